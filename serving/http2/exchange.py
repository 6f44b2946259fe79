"""One gRPC call on its stream: messages in and out, deadline, status."""

import asyncio
import logging
import zlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import grpc

from unroll.serving.http2 import frames
from unroll.serving.http2.connection import RECEIVE_WINDOW
from unroll.serving.http2.headers import OK_STATUS, encode, percent_encoded
from unroll.serving.http2.stream import Stream
from unroll.serving.http2.usage import Share
from unroll.serving.protocol.call import REQUEST_ID, Call, Method
from unroll.serving.protocol.call import Stream as StreamMethod
from unroll.serving.protocol.status import StatusError, invalid

_log = logging.getLogger(__name__)
WINDOW_BITS = {"gzip": 31, "deflate": 15}
"""Of zlib, by grpc-encoding."""
_HEADERS = OK_STATUS + encode([("content-type", "application/grpc")])
_OK = encode([("grpc-status", "0")])
_QUEUED_MESSAGES = 64
_MAX_RATIO = 100  # of what is unpacked to what came
_SMALL_BYTES = 1 << 20  # that may be unpacked from any size
_LARGE_BYTES = 64 << 10  # of a packed message: to unpack more of them holds the event loop up
# One at a time: how much a message takes is counted once it is unpacked.
_unpacking = ThreadPoolExecutor(1, "grpc-unpack")
_OUR_FAULT = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE)


class Exchange:
    """One call on its stream.

    Args:
        share: what this call adds to.
        stream: its request and answer.
        call: what its headers said.
    """

    def __init__(self, share: Share, stream: Stream, call: Call) -> None:
        self._share = share
        self._limits = share.usage.limits
        self._stream = stream
        self._call = call
        self._body = bytearray()
        self._kept = 0
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._counted = False
        self._over = True

    def begin(self) -> None:
        self._over = False
        if self._call.deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(self._call.deadline, self.expire, "Deadline Exceeded")

    def cancelled(self) -> None:
        self._stop()
        self._end()

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def refuse(self, code: grpc.StatusCode, message: str) -> None:
        """Answers with a status other than OK."""
        if code not in _OUR_FAULT:
            self._share.refused(self._stream)
        if self._stream.unsent:  # the client takes no answers, this one neither
            full = code is grpc.StatusCode.RESOURCE_EXHAUSTED
            self._stream.reset(frames.ENHANCE_YOUR_CALM if full else frames.CANCEL)
        else:
            self._send_refusal(_refusal(self._call, code, message))
        self._end()

    def _send_refusal(self, refusal: bytes) -> None:
        self._stream.send_headers(_answer_headers(self._call))
        self._stream.finish(refusal)

    @property
    def awaited(self) -> int | None:
        """How much has come of what the client has yet to finish; None where it is the server's turn."""
        raise NotImplementedError

    def expire(self, message: str) -> None:
        """Ends a call that took too long."""
        self._stop()  # which cannot answer by itself: a task that has yet to begin runs none of its code then
        self.refuse(grpc.StatusCode.DEADLINE_EXCEEDED, message)

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """Answers; whatever happens, the client hears of it once."""
        try:
            await self._work()
        except StatusError as error:
            self.refuse(error.code, error.message)
        except Exception:
            _log.exception("%s, request %s", self._call.path, self._call.request_id)
            self.refuse(grpc.StatusCode.INTERNAL, f"the server failed; its log tells of {self._call.request_id}")
        else:
            if self._stream.closed:
                self._end()
            else:  # the rest is for the client to take, and nothing here need wait for it
                self._stream.when_sent = self._end

    async def _work(self) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        if not self._over:
            self._over = True
            if self._counted:
                self._leave()
            self._release()
            if self._timer is not None:
                self._timer.cancel()

    def _leave(self) -> None:
        """Releases its slot among the calls."""
        self._counted = False
        self._share.end_call()

    def _keep(self, size: int) -> None:
        """Counts bytes in that are kept for this call; with a negative number, out.

        Raises:
            StatusError: that are too many.
        """
        self._kept += size
        self._share.keep(size)

    def _release(self) -> None:
        """Keeps nothing any more."""
        self._body = bytearray()
        if self._kept:
            self._share.release(self._kept)
            self._kept = 0

    def _buffer(self, data: bytes) -> int | None:
        """Keeps a part of a message; gives the size of the whole, its prefix included, once that is known."""
        self._body += data
        self._keep(len(data))
        return self._size(self._body) if len(self._body) >= 5 else None

    def _size(self, data: bytes | bytearray) -> int:
        size = int.from_bytes(data[1:5], "big")
        if size > self._limits.max_message_bytes:
            raise StatusError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"Received message larger than max ({size} vs. {self._limits.max_message_bytes})",
            )
        return 5 + size

    def _message(self, data: bytes) -> bytes:
        """The message behind a prefix, decompressed."""
        if not data[0]:
            return data[5:]
        bits = WINDOW_BITS.get(self._call.metadata.get("grpc-encoding", ""))
        maximum = self._limits.max_message_bytes
        limit = min(maximum, max(_SMALL_BYTES, _MAX_RATIO * len(data)))
        if data[0] != 1 or bits is None:
            raise invalid("a message is flagged as compressed, but grpc-encoding names no way to read it")
        try:
            reader = zlib.decompressobj(bits)
            message = reader.decompress(data[5:], limit)
            if reader.unconsumed_tail:
                larger = f"Received message larger than max ({maximum})"
                packed = f"The message unpacks to more than {_MAX_RATIO} times its size. Send it uncompressed"
                raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, larger if limit == maximum else packed)
            if not reader.eof:
                raise invalid("a compressed message is cut short")
        except zlib.error as error:
            raise invalid(f"a compressed message cannot be read: {error}") from None
        return message


class Unary(Exchange):
    """One message for one.

    Args:
        share, stream, call: see `Exchange`.
        method: answers the message; raises StatusError for a refusal.
    """

    _request = b""
    _packed = b""  # what it is yet to be unpacked from

    def __init__(self, share: Share, stream: Stream, call: Call, method: Method) -> None:
        super().__init__(share, stream, call)
        self._method = method

    def data_received(self, data: bytes, ended: bool) -> None:
        if self._over or self._task is not None:
            return
        try:
            if ended and not self._body:  # as nearly all requests come
                if len(data) < 5 or len(data) != self._size(data):
                    raise invalid(f"a unary call takes one whole message; received {len(data)} bytes")
                self._receive(data)
                return
            known = len(self._body) >= 5
            size = self._buffer(data)
            if size is not None:
                if not known and size > RECEIVE_WINDOW:
                    self._stream.admit(size - RECEIVE_WINDOW)
                if len(self._body) > size:
                    raise invalid("a unary call takes one message; received more")
            if ended:
                if size is None or len(self._body) < size:
                    raise invalid(f"a unary call takes one whole message; received {len(self._body)} bytes of {size}")
                self._receive(bytes(self._body))
                self._body = bytearray()
        except StatusError as error:
            self.refuse(error.code, error.message)

    @property
    def awaited(self) -> int | None:
        return len(self._body) if self._task is None else None

    def _receive(self, data: bytes) -> None:
        self._share.begin_call()
        self._counted = True
        if data[0] and len(data) > _LARGE_BYTES:
            self._packed = data
        else:
            self._request = self._message(data)
            if data[0]:  # or else it is small, or counted as it came
                self._keep(len(self._request) - self._kept)
        self._start()

    async def _work(self) -> None:
        if self._packed:
            self._request = await asyncio.get_running_loop().run_in_executor(_unpacking, self._message, self._packed)
            self._packed = b""
            self._keep(len(self._request) - self._kept)
        answer = await self._method(self._request, self._call)
        prefixed = b"\x00" + len(answer).to_bytes(4, "big") + answer
        if self._counted:
            self._leave()  # what is left to do is the client's
        self._stream.answer(_answer_headers(self._call), prefixed, _OK)
        if not self._stream.closed:
            self._request = b""
            self._release()
            self._keep(len(prefixed))


class Streaming(Exchange):
    """Many messages for many.

    Args:
        share, stream, call: see `Exchange`.
        method: answers the messages.
    """

    def __init__(self, share: Share, stream: Stream, call: Call, method: StreamMethod) -> None:
        super().__init__(share, stream, call)
        self._method = method
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUED_MESSAGES)
        self._asked = False
        self._begun = False

    def begin(self) -> None:
        super().begin()
        self._begun = True
        self._share.usage.streams += 1
        self._stream.send_headers(_answer_headers(self._call))

    def data_received(self, data: bytes, ended: bool) -> None:
        if self._over:
            return
        try:
            self._buffer(data)
            if data:
                self._stream.admit(len(data))
            while len(self._body) >= 5 and len(self._body) >= (size := self._size(self._body)):
                message = self._message(bytes(self._body[:size]))
                self._keep(len(message) - size)
                self._messages.put_nowait(message)
                self._asked = True
                del self._body[:size]
            if ended:
                self._messages.put_nowait(None)
                self._asked = True
            if self._asked and self._task is None:
                self._start()
        except StatusError as error:
            self._stop()
            self.refuse(error.code, error.message)
        except asyncio.QueueFull:
            self._stop()
            self.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, f"more than {_QUEUED_MESSAGES} messages are waiting")

    @property
    def awaited(self) -> int | None:
        return len(self._body) if self._body or not self._asked else None

    def _end(self) -> None:
        if not self._over:
            self._share.usage.streams -= 1
        super()._end()

    def _send_refusal(self, refusal: bytes) -> None:
        self._stream.finish(refusal if self._begun else _HEADERS + refusal)

    async def _work(self) -> None:
        async for answer in self._method(self._received(), self._call):
            self._stream.send_data(b"\x00" + len(answer).to_bytes(4, "big") + answer)
            await asyncio.sleep(0)  # it goes out now; a client that does not read makes the next one wait
            await self._stream.sent()
        self._stream.finish(_OK)

    async def _received(self) -> AsyncIterator[bytes]:
        while (message := await self._messages.get()) is not None:
            self._keep(-len(message))
            yield message


def _answer_headers(call: Call) -> bytes:
    return _HEADERS + encode([(REQUEST_ID, call.request_id)])


def _refusal(call: Call, code: grpc.StatusCode, message: str) -> bytes:
    """Trailers. The id is in them too: of a call that fails at once, grpc.aio's client shows no other metadata."""
    return encode(
        [
            ("grpc-status", str(code.value[0])),
            ("grpc-message", percent_encoded(message)),
            (REQUEST_ID, call.request_id),
        ]
    )
