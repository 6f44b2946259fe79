"""Request bodies: read up to a limit, unpacked up to the same limit."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc

from serving.status import StatusError, invalid

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class TooLarge(Exception):  # noqa: N818 - HTTP's name of it
    """A body is larger than the limit."""


class UnknownEncoding(Exception):  # noqa: N818
    """A body is packed in a way that is not read here."""


class Disconnected(Exception):  # noqa: N818 - ASGI's name of it
    """The client left before its request was whole."""


class Bodies:
    """The bodies that come in.

    Args:
        limit: the most bytes of one, packed or not.
        total: the most bytes of those that are being read, all together.
    """

    def __init__(self, limit: int, total: int) -> None:
        self._limit = limit
        self._total = total
        self._held = 0

    async def read(self, receive: Receive, headers: Mapping[str, str]) -> bytes:
        """Reads a request's body; one with `Content-Encoding: gzip` is unpacked.

        Args:
            receive: ASGI's.
            headers: names in lower case.

        Raises:
            UnknownEncoding: it is packed in another way. Nothing of it was read.
            TooLarge: beyond the limit. No more than it was kept in memory.
            Disconnected: the client left.
            StatusError: INVALID_ARGUMENT: what is said to be gzip is none; RESOURCE_EXHAUSTED: too much is being read.
        """
        encoding = headers.get("content-encoding", "").lower()
        packed = "gzip" in encoding
        if not packed and encoding not in ("", "identity"):
            raise UnknownEncoding
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limit:
            raise TooLarge
        parts: list[bytes] = []
        size = 0
        try:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                part = message.get("body", b"")
                parts.append(part)
                size += len(part)
                self._held += len(part)
                if size > self._limit:
                    raise TooLarge
                if self._held > self._total:
                    raise StatusError(
                        grpc.StatusCode.RESOURCE_EXHAUSTED, "the server holds too many unfinished requests"
                    )
                more = message.get("more_body", False)
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            if packed:
                return await asyncio.to_thread(_unpacked, body, self._limit)
            return body
        finally:
            self._held -= size


def _unpacked(packed: bytes, limit: int) -> bytes:
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        body = unpacking.decompress(packed, limit + 1)
    except zlib.error:
        raise _no_gzip() from None
    if len(body) > limit:
        raise TooLarge
    if not unpacking.eof:
        raise _no_gzip()
    return body


def _no_gzip() -> StatusError:
    return invalid("Failed to uncompress the gzipped body")
