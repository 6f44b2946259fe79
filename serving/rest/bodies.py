"""Request bodies: read up to a limit, unpacked up to the same limit, and bounded together."""

import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc

from unroll.serving.front.background import LARGE, Background
from unroll.serving.protocol.status import StatusError, invalid

_MAX_RATIO = 100  # of what is unpacked to what came
_SMALL_BYTES = 1 << 20  # of which any share may be packed
_PIECE_BYTES = 256 << 10
_UNPACKING_SECONDS = 60.0

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class TooLarge(Exception):  # noqa: N818 - HTTP's name of it
    """A body is larger than the limit.

    Args:
        message: what to tell the client.
    """


class UnknownEncoding(Exception):  # noqa: N818
    """A body is packed in a way that is not read here."""


class Disconnected(Exception):  # noqa: N818 - ASGI's name of it
    """The client left before its request was whole."""


class Bodies:
    """The bodies that come in.

    Args:
        limit: the most bytes of one, packed or not.
        total: the most bytes of those of requests that are not answered yet, all together; of one peer, half of that.
            It always allows for one of the limit.
        background: where large ones are unpacked.
    """

    def __init__(self, limit: int, total: int, background: Background) -> None:
        self._limit = limit
        self._background = background
        self._total = max(total, 2 * limit)
        self._held: Counter[str] = Counter()
        self._all_held = 0

    def of(self, peer: str) -> "Body":
        """The body of a peer's next request. Whoever takes it releases it."""
        return Body(self, peer)

    def hold(self, peer: str, size: int) -> None:
        """Counts what a peer's bodies take.

        Raises:
            StatusError: RESOURCE_EXHAUSTED.
        """
        self._held[peer] += size
        self._all_held += size
        if self._held[peer] > self._total // 2 or self._all_held > self._total:
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "the server holds too many unfinished requests")

    def release(self, peer: str, size: int) -> None:
        """Takes back what `hold` counted."""
        self._all_held -= size
        self._held[peer] -= size
        if not self._held[peer]:
            del self._held[peer]

    @property
    def limit(self) -> int:
        return self._limit

    async def unpack(self, peer: str, packed: bytes) -> bytes:
        """Unpacks a peer's gzip.

        Raises:
            TooLarge: beyond the limit, or too many times what came.
            StatusError: INVALID_ARGUMENT: it is not gzip.
        """
        ratio_limit = max(_SMALL_BYTES, _MAX_RATIO * len(packed))
        if len(packed) < LARGE:
            body = _unpacked(packed, min(self._limit, ratio_limit, LARGE))
            if body is not None:
                return body
        pace = self._background.pace(_UNPACKING_SECONDS)
        body = await self._background.run(peer, _unpacked, packed, min(self._limit, ratio_limit), pace)
        if body is None:
            if ratio_limit < self._limit:
                raise TooLarge(f"The request unpacks to more than {_MAX_RATIO} times its size. Send it plain.")
            raise too_large(self._limit)
        return body


class Body:
    """One request's body. Whoever asks for it with `Bodies.of` calls `release` in the end."""

    def __init__(self, bodies: Bodies, peer: str) -> None:
        self._bodies = bodies
        self._peer = peer
        self._size = 0

    async def read(self, receive: Receive, headers: Mapping[str, str]) -> bytes:
        """Reads a request's body; one with `Content-Encoding: gzip` is unpacked.

        Args:
            receive: ASGI's.
            headers: names in lower case.

        Raises:
            UnknownEncoding: it is packed in another way. Nothing of it was read.
            TooLarge: beyond the limit. No more than it was kept in memory.
            Disconnected: the client left.
            StatusError: INVALID_ARGUMENT: what is said to be gzip is not; RESOURCE_EXHAUSTED: too much is being read.
        """
        encoding = headers.get("content-encoding", "").lower()
        packed = "gzip" in encoding
        if not packed and encoding not in ("", "identity"):
            raise UnknownEncoding
        limit = self._bodies.limit
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            raise too_large(limit)
        parts: list[bytes] = []
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            part = message.get("body", b"")
            parts.append(part)
            self._hold(len(part))
            if self._size > limit:
                raise too_large(limit)
            more = message.get("more_body", False)
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        if packed:
            body = await self._bodies.unpack(self._peer, body)
            self._hold(len(body))
        return body

    def release(self) -> None:
        """Lets others have what this body held."""
        self._bodies.release(self._peer, self._size)
        self._size = 0

    def _hold(self, size: int) -> None:
        self._size += size
        self._bodies.hold(self._peer, size)


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request is larger than {limit} bytes, the most allowed.")


def _unpacked(packed: bytes, limit: int, pace: Callable[[], None] | None = None) -> bytes | None:
    """What was packed; None if that is more than the limit."""
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    parts: list[bytes] = []
    size = 0
    while not unpacking.eof:
        if pace:
            pace()
        try:
            part = unpacking.decompress(packed, min(_PIECE_BYTES, limit + 1 - size))
        except zlib.error:
            raise _no_gzip() from None
        packed = unpacking.unconsumed_tail
        size += len(part)
        if size > limit:
            return None
        if not (part or packed or unpacking.eof):
            raise _no_gzip()
        parts.append(part)
    return b"".join(parts)


def _no_gzip() -> StatusError:
    return invalid("Failed to uncompress the gzipped body")
