"""One HTTP/2 connection, the server's side: the life of its streams, from headers to trailers or a reset."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from typing import cast

from unroll.serving.http2 import frames
from unroll.serving.http2.budget import CALL_WORTH, CANCELLED, REFUSED, worth
from unroll.serving.http2.fields import Headers
from unroll.serving.http2.flow import SMALL_BYTES
from unroll.serving.http2.frames import ProtocolError
from unroll.serving.http2.framing import TURN_COST, Turns
from unroll.serving.http2.headers import HeaderDecoder
from unroll.serving.http2.lifetime import Lifetime
from unroll.serving.http2.stream import Receiver, Stream
from unroll.serving.http2.usage import Share

_log = logging.getLogger(__name__)
RECEIVE_WINDOW = 1 << 20
"""Bytes of a request that a client may send before the server has looked at it."""
_CONNECTION_WINDOW = 1 << 30
_CALL_COST = 3  # beyond its frame's own
_DATA_BYTES_A_COST = 2048


class Connection(Lifetime):
    """Speaks HTTP/2 with one client.

    Args:
        accept: takes a new request's stream and headers; gives what receives its body, or None where the stream is
            answered already.
        share: what its calls use up, and may.
        turns: for what more than one turn takes.
        on_made: called with the client's address when the connection stands; tells whether it may stay. One whose TLS
            handshake fails never stands.
        on_lost: called when it is gone.
    """

    def __init__(
        self,
        accept: Callable[[Stream, Mapping[str, str]], Receiver | None],
        share: Share,
        turns: Turns,
        on_made: "Callable[[Connection, str], bool]",
        on_lost: "Callable[[Connection], None]",
    ) -> None:
        super().__init__(share, turns)
        self._accept = accept
        self._on_made = on_made
        self._on_lost = on_lost
        self._headers = HeaderDecoder(self._limits.max_header_bytes)
        self._unheard: dict[int, None] = {}  # streams that were ended before the client had said all
        self._skips = False  # whether the client left out numbers of streams
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if not self._on_made(self, peer[0] if isinstance(peer, tuple) else ""):
            self._closing = True
            self._transport.close()
            return
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() not in (None, "h2"):
            self._transport.abort()
            return
        self.write(
            frames.settings(
                {
                    frames.MAX_CONCURRENT_STREAMS: self._limits.max_streams,
                    frames.INITIAL_WINDOW_SIZE: RECEIVE_WINDOW,
                    frames.MAX_HEADER_LIST_SIZE: self._limits.max_header_bytes,
                }
            )
            + frames.window_update(0, _CONNECTION_WINDOW - frames.FIRST_WINDOW)
        )
        self._held = bool(self._buffer)  # of a TLS client that asked as soon as it could
        if self._held:
            self._schedule()

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        self._stop_timer()
        self._drop_all()
        self._on_lost(self)

    def reset(self, stream: Stream, code: int) -> None:
        """Ends a stream of which the client has not taken the whole answer."""
        self._cut(stream.number, code, stream.remote_ended)
        self._forget(stream)

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._header_block is not None and (kind != frames.CONTINUATION or number != self._header_block[0]):
            raise ProtocolError(frames.PROTOCOL_ERROR, "a header block is cut short")
        if kind == frames.DATA:
            self._data(number, flags, payload)
        elif kind == frames.HEADERS:
            if flags & frames.PADDED:
                payload = frames.unpadded(payload)
            if flags & frames.HAS_PRIORITY:
                if frames.read_dependency(payload) == number:
                    raise ProtocolError(frames.PROTOCOL_ERROR, f"stream {number} depends on itself")
                payload = payload[frames.DEPENDENCY_BYTES :]
            if flags & frames.END_HEADERS:
                self._open(number, flags, payload)
            else:
                self._header_block = (number, flags, bytearray(payload))
        elif kind == frames.CONTINUATION:
            self._continue(number, flags, payload)
        elif kind == frames.WINDOW_UPDATE:
            self._budget.strike(1, "WINDOW_UPDATE")
            self._window_update(number, frames.read_u32(payload) & 0x7FFFFFFF)
        elif kind == frames.RST_STREAM:
            self._reset(number, frames.read_u32(payload))
        elif kind == frames.SETTINGS:
            self._settings(flags, number, payload)
        elif kind == frames.PING:
            self._ping(flags, number, payload)
        elif kind == frames.PRIORITY:
            self._priority(number, payload)
        elif kind == frames.GOAWAY:
            self._budget.strike(1, "GOAWAY")
            if number or len(payload) < 8:  # it means only that no further request will come
                raise ProtocolError(frames.FRAME_SIZE_ERROR if not number else frames.PROTOCOL_ERROR, "no GOAWAY")
        elif kind == frames.PUSH_PROMISE:
            raise ProtocolError(frames.PROTOCOL_ERROR, "clients do not push")
        else:  # extensions
            self._budget.strike(1, "frames that mean nothing here")

    def _data(self, number: int, flags: int, payload: bytes) -> None:
        size = len(payload)
        self._turn += size // _DATA_BYTES_A_COST
        self._received += size
        if self._received > _CONNECTION_WINDOW // 2:
            self.write(frames.window_update(0, self._received))
            self._received = 0
        if flags & frames.PADDED:
            payload = frames.unpadded(payload)
        stream = self._streams.get(number)
        if len(payload) < SMALL_BYTES and not flags & frames.END_STREAM:
            self._budget.strike(1, "DATA of next to nothing")
        if stream is None:
            self._ignore_late(number, flags)
            return
        if stream.remote_ended:
            self._break(stream, frames.STREAM_CLOSED)
            return
        if len(payload) < size:
            stream.admit(size - len(payload))  # padding fills the window, but no message
        stream.remote_ended = bool(flags & frames.END_STREAM)
        if stream.undelivered is not None:
            stream.undelivered -= len(payload)
            if stream.undelivered < 0 or (stream.remote_ended and stream.undelivered):
                self._break(stream, frames.PROTOCOL_ERROR)
                return
        assert stream.receiver is not None
        stream.receiver.data_received(payload, stream.remote_ended)

    def _open(self, number: int, flags: int, block: bytes) -> None:
        headers = self._headers.decode(block)  # of refused ones too: the table must follow
        cost = self._headers.cost
        self._turn += cost + _CALL_COST
        if cost:
            self._budget.strike(cost, "headers")
        stream = self._streams.get(number)
        ended = bool(flags & frames.END_STREAM)
        if stream is not None:
            self._take_trailers(stream, headers, ended)
            return
        if number <= self._newest:
            if number in self._unheard or not self._skips:
                self._ignore_late(number, flags)
                self._budget.strike(REFUSED, "headers of closed streams")
                return
            raise ProtocolError(frames.PROTOCOL_ERROR, f"stream {number} behind stream {self._newest}")
        if number % 2 == 0:
            raise ProtocolError(frames.PROTOCOL_ERROR, f"stream {number} of a client")
        if number > self._newest + 2:
            self._skips = True
        self._newest = number
        if headers.no_request or (ended and headers.content_length):
            _log.debug("stream %d begins no request: %s", number, headers.no_request or "content-length of no body")
            self._cut(number, frames.PROTOCOL_ERROR, ended)
            self._budget.strike(CANCELLED, "malformed requests")
            return
        if self._drained or len(self._streams) >= self._limits.max_streams:
            self._cut(number, frames.REFUSED_STREAM, ended)
            self._budget.strike(REFUSED, "more streams than the limit")
            return
        stream = self._streams[number] = Stream(self, number, self._stream_window, worth(cost) if cost else CALL_WORTH)
        stream.undelivered = headers.content_length
        stream.remote_ended = ended
        receiver = self._accept(stream, headers)
        if receiver is None:
            return
        stream.receiver = receiver
        if ended and not stream.closed:
            receiver.data_received(b"", True)

    def _take_trailers(self, stream: Stream, trailers: Headers, ended: bool) -> None:
        """Ends a request by trailers, which say nothing in gRPC."""
        if stream.remote_ended:
            self._break(stream, frames.STREAM_CLOSED)
            return
        stream.remote_ended = ended
        if not ended or trailers.no_trailers or stream.undelivered:
            _log.debug("trailers of stream %d: %s", stream.number, trailers.no_trailers or "not where a request ends")
            self._break(stream, frames.PROTOCOL_ERROR)
            return
        assert stream.receiver is not None
        stream.receiver.data_received(b"", True)

    def _ignore_late(self, number: int, flags: int) -> None:
        """Leaves out what was on its way when the server ended a stream.

        Raises:
            ProtocolError: the client had ended the stream, or never begun it.
        """
        self._check_known(number)
        if number not in self._unheard:
            raise ProtocolError(frames.STREAM_CLOSED, f"a frame of stream {number}, which is closed")
        if flags & frames.END_STREAM:
            del self._unheard[number]

    def _continue(self, number: int, flags: int, payload: bytes) -> None:
        if self._header_block is None:
            raise ProtocolError(frames.PROTOCOL_ERROR, "CONTINUATION of no header block")
        self._budget.strike(1, "CONTINUATION")
        _, begun, block = self._header_block
        block += payload
        if len(block) > self._limits.max_header_bytes:
            raise ProtocolError(frames.ENHANCE_YOUR_CALM, "the header block is too large")
        if flags & frames.END_HEADERS:
            self._header_block = None
            self._open(number, begun, bytes(block))

    def _reset(self, number: int, code: int) -> None:
        self._check_known(number)
        self._unheard.pop(number, None)
        if number in self._streams:
            self._cancel(self._streams[number])
        else:
            self._budget.strike(1, "resets of closed streams")

    def _break(self, stream: Stream, code: int) -> None:
        """Ends a stream for what the client sent."""
        self._cut(stream.number, code, stream.remote_ended)
        self._cancel(stream)

    def _cut(self, number: int, code: int, remote_ended: bool) -> None:
        """Sends RST_STREAM, and remembers where more may be on its way."""
        self.write(frames.rst_stream(number, code))
        if not remote_ended:
            self._unheard[number] = None
            if len(self._unheard) > 2 * self._limits.max_streams:
                del self._unheard[next(iter(self._unheard))]

    def _cancel(self, stream: Stream) -> None:
        """Drops a stream that the client reset, or had reset by what it sent: the work is the same."""
        self._budget.strike(CANCELLED, "streams that are cancelled")
        self._drop(stream)
        if self._drained:
            self._loop.call_soon(self._flush)  # which closes behind the last stream

    def _priority(self, number: int, payload: bytes) -> None:
        """Says nothing any more (RFC 9113, section 5.3), but has its form."""
        self._budget.strike(1, "PRIORITY")
        if not number:
            raise ProtocolError(frames.PROTOCOL_ERROR, "PRIORITY of no stream")
        if len(payload) != frames.DEPENDENCY_BYTES:
            code = frames.FRAME_SIZE_ERROR
        elif frames.read_dependency(payload) == number:
            code = frames.PROTOCOL_ERROR
        else:
            return
        if number not in self._streams:
            raise ProtocolError(code, f"PRIORITY of invalid stream {number}")
        self._break(self._streams[number], code)

    def _check_known(self, number: int) -> None:
        if not number or number > self._newest or number % 2 == 0:
            raise ProtocolError(frames.PROTOCOL_ERROR, f"a frame of stream {number}, which is not open")

    def _end(self, stream: Stream) -> None:
        """The answer is sent: the stream is over, whatever the client still wants to send."""
        self._answered += 1
        if not stream.remote_ended:
            self._cut(stream.number, frames.NO_ERROR, False)
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        stream.closed = True
        self._streams.pop(stream.number, None)
        self._waiting.pop(stream.number, None)

    def _drop(self, stream: Stream) -> None:
        self._forget(stream)
        if stream.receiver is not None:
            stream.receiver.cancelled()

    def _drop_all(self) -> None:
        """Drops the streams: where they are many, some at a time, since others wait."""
        for stream in list(itertools.islice(self._streams.values(), TURN_COST)):
            self._drop(stream)
        if self._streams:
            self._turns.wait(self._drop_all)
