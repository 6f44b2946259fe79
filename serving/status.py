"""What a request is answered with when it cannot be served."""

import grpc

_LIMIT = 1024
_TRUNCATED = "...TRUNCATED"


class StatusError(Exception):
    """A gRPC status other than OK.

    Args:
        code: gRPC's code.
        message: for the client; cut behind 1024 bytes, as TensorFlow Serving does.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        data = message.encode(errors="replace")
        self.message = message if len(data) <= _LIMIT else data[:_LIMIT].decode(errors="ignore") + _TRUNCATED


def invalid(message: str) -> StatusError:
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)
