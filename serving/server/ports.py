"""Whether a server can listen where it is told to, found out at once, before TensorFlow and models are loaded."""

import os
import socket
from pathlib import Path

from unroll.errors import UserError

_MAX_SOCKET_PATH = 107  # bytes, on Linux


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


def check_socket(path: Path) -> None:
    """Returns if gRPC can be answered on a UNIX socket there. One that a server left, or still has, can be taken over.

    Args:
        path: the socket's.

    Raises:
        UserError: a socket cannot be made there.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        problem, remedy = f"there is no folder {folder}", "Make it, or name a path in one that is there"
    elif os.path.lexists(path) and not path.is_socket():
        kind = "a folder" if path.is_dir() else "a file"
        problem, remedy = f"there is {kind} of this name, not a socket", "Move it away, or name another path"
    elif not os.access(folder, os.W_OK | os.X_OK):
        problem, remedy = f"this user may not write in {folder}", "Name a path in a folder that it may write in"
    elif (size := len(os.fsencode(path))) > _MAX_SOCKET_PATH:
        problem = f"a socket's path has {_MAX_SOCKET_PATH} bytes at most, and this one {size}"
        remedy = "Name a shorter one, or one that begins in the working folder"
    else:
        return
    raise UserError(f"--grpc_socket_path {path}: {problem}. {remedy}.")


def is_answered(path: Path) -> bool:
    """Whether a server listens on the UNIX socket at that path."""
    with socket.socket(socket.AF_UNIX) as trying:
        trying.setblocking(False)
        try:
            trying.connect(str(path))
        except BlockingIOError:  # others wait there already
            return True
        except OSError:
            return False
        return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which nobody listens."""
    with _trying(host) as trying:
        trying.bind((host, 0))
        return trying.getsockname()[1]


def _trying(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
