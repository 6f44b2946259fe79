"""Whether a server can listen where it is told to, found out at once, before TensorFlow and models are loaded."""

import socket

from errors import UserError


def check_free(host: str, grpc: int, rest: int) -> None:
    """Returns if gRPC's and REST's ports can be listened on; 0 always can.

    Args:
        host: address to listen on.
        grpc: gRPC's port.
        rest: REST's.

    Raises:
        UserError: one of them is in use, or the address is not this machine's.
    """
    for flag, port in (("--port", grpc), ("--rest_api_port", rest)):
        with _trying(host) as trying:
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trying.bind((host, port))
            except OSError:
                free = "--port 0 picks a free one" if flag == "--port" else "--rest_api_port 0: no REST"
                raise UserError(
                    f"{flag} {port}: cannot listen on {host}:{port}; another program uses the port, or the "
                    f"address is not this machine's. Stop it, or choose another port ({free})."
                ) from None


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which nobody listens."""
    with _trying(host) as trying:
        trying.bind((host, 0))
        return trying.getsockname()[1]


def _trying(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
