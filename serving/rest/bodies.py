"""Request bodies: read up to a limit, unpacked up to the same limit."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from serving.status import StatusError, invalid

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class TooLarge(Exception):  # noqa: N818 - HTTP's name of it
    """A body is larger than the limit."""


class Disconnected(Exception):  # noqa: N818 - ASGI's name of it
    """The client left before its request was whole."""


async def read(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """Reads a request's body; one with `Content-Encoding: gzip` is unpacked.

    Args:
        receive: ASGI's.
        headers: names in lower case.
        limit: the most bytes, packed or not.

    Raises:
        TooLarge: beyond the limit. No more than it was kept in memory.
        Disconnected: the client left.
        StatusError: INVALID_ARGUMENT: what is said to be gzip is none.
    """
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise TooLarge
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise TooLarge
        more = message.get("more_body", False)
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    if "gzip" in headers.get("content-encoding", ""):
        return await asyncio.to_thread(_unpacked, body, limit)
    return body


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
