"""What a client does, step by step, without a connection."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class Request:
    """One message to send.

    Args:
        path: `/package.Service/Method`.
        message: the request.
        timeout: seconds.
        metadata: names and values.
        address: where to; None for where all go.
    """

    path: str
    message: bytes
    timeout: float
    metadata: tuple[tuple[str, str], ...]
    address: str | None = None


T = TypeVar("T")
Operation = Generator[Request | float, bytes, T]
"""Yields what is to be sent or seconds to wait, is given answers, and returns what came of it."""
