"""What a request is answered with when it cannot be served."""

from typing import Any

import grpc
from google.protobuf.message import DecodeError

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


def parsed(message_class: Any, message: bytes) -> Any:
    """Reads a request.

    Raises:
        StatusError: INVALID_ARGUMENT: it is not such a message.
    """
    try:
        return message_class.FromString(message)
    except DecodeError:
        raise invalid(f"The request is not a {message_class.DESCRIPTOR.name} message") from None
