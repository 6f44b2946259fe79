"""One HTTP/2 connection, the server's side: frames in, frames out, flow control both ways."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Mapping
from typing import cast

from unroll.serving.http2 import frames
from unroll.serving.http2.budget import CALL_WORTH, GIVEN_UP, REFUSED, STALLED, STRAINED, TAKEN_IN_CRUMBS, worth
from unroll.serving.http2.fields import Headers
from unroll.serving.http2.frames import ProtocolError, frame
from unroll.serving.http2.headers import HeaderDecoder
from unroll.serving.http2.patience import TICK, Patience, looked
from unroll.serving.http2.stream import Receiver, Stream
from unroll.serving.http2.turns import Turns
from unroll.serving.http2.usage import Share

_log = logging.getLogger(__name__)
RECEIVE_WINDOW = 1 << 20
"""Bytes of a request that a client may send before the server has looked at it."""
_CONNECTION_WINDOW = 1 << 30
_DRAIN_PING = b"draining"
_DRAIN_STALL_SECONDS = 2.0  # for a client that stands still while the server drains
_CROWDED_GREETING_SECONDS = 1.0
_CROWDED_IDLE = 1 / 20
_LINGER = 1.0  # seconds for a client to read what was sent before a close, as long as it takes some of it
_LINGER_BYTES = 1024
_TURN_COST = 128  # frames, or as much, before others have their turn
_CALL_COST = 3  # beyond its frame's own
_DATA_BYTES_A_COST = 2048
_HELD_BYTES = 1 << 16  # that wait for the next turn before no more is read
_SMALL_BYTES = 16  # of a message, for which a frame of its own is not progress
_TAKEN_BYTES_A_COST = 32  # of an answer: what pays for the frames that ask for more
_FREE_RESIZES = 100  # of the window of all its streams, beyond the calls that were answered


class Connection(asyncio.Protocol):
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
        self._accept = accept
        self.share = share
        self._budget = share.budget
        self._limits = limits = share.usage.limits
        self._turns = turns
        self._on_made = on_made
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._headers = HeaderDecoder(limits.max_header_bytes)
        self._buffer = b""
        self._position = 0  # in the buffer, of what was not looked at yet
        self._held = True  # the rest of the buffer is for the next turn, or for when the connection stands
        self._scheduled = False
        self._reading = True
        self._turn = 0
        self._greeted = False
        self._streams: dict[int, Stream] = {}
        self._waiting: dict[int, Stream] = {}  # for the connection's window, or for the client to read
        self._unheard: dict[int, None] = {}  # streams that were ended before the client had said all
        self._newest = 0
        self._skips = False  # whether the client left out numbers of streams
        self._header_block: tuple[int, int, bytearray] | None = None  # stream, flags, what CONTINUATION goes on with
        self._window = frames.FIRST_WINDOW
        self._stream_window = frames.FIRST_WINDOW
        self._frame_bytes = frames.MAX_FRAME_BYTES
        self._received = 0
        self._answered = 0
        self._resizes = 0
        self._paused = False
        self._out: list[bytes] = []
        self._draining = False
        self._drained = False
        self._closing = False  # nothing more is read
        self._sealed = False  # nothing more is written
        self._transport = cast(asyncio.Transport, None)
        self._timer: asyncio.TimerHandle | None = None  # of the end: everything else waits for `tick`
        self._quiet = 0.0  # seconds without a call
        self._seen = 0  # the newest stream at the last tick
        self._patience: Patience | None = None

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

    def pause_writing(self) -> None:
        self._paused = True
        self._read(False)  # who does not read the answers need not ask more

    def resume_writing(self) -> None:
        self._paused = False
        self._send_waiting()
        if self._held:
            self._schedule()
        else:
            self._read(True)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._held:
            self._buffer = self._buffer[self._position :] + data
            self._position = 0
            self._read(len(self._buffer) < _HELD_BYTES)
        elif self._budget.struck > STRAINED:
            self._hold(self._buffer + data, 0)
        else:
            self._take(self._buffer + data if self._buffer else data, 0)

    def _go_on(self) -> None:
        """Takes what an earlier turn left."""
        self._scheduled = False
        if not self._held or self._closing or self._paused:
            return
        self._held = False
        self._take(self._buffer, self._position)
        if not self._held and not self._paused:
            self._read(True)

    def _read(self, reading: bool) -> None:
        if reading is not self._reading:
            self._reading = reading
            if reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _take(self, data: bytes, position: int) -> None:
        """Takes frames, as many as one turn may have; others wait for the loop too."""
        end = len(data)
        self._turn = 0
        try:
            if self._budget.struck > STRAINED:
                self._budget.strike(0, "calls that are refused")
            if not self._greeted:
                if not frames.PREFACE.startswith(data[: len(frames.PREFACE)]):
                    raise ProtocolError(frames.PROTOCOL_ERROR, "this port speaks gRPC, that is HTTP/2")
                if end < len(frames.PREFACE) + frames.HEAD_BYTES:
                    self._buffer = data
                    return
                if data[len(frames.PREFACE) + 3] != frames.SETTINGS:
                    raise ProtocolError(frames.PROTOCOL_ERROR, "a client begins with SETTINGS")
                self._greeted = True
                position = len(frames.PREFACE)
            while end - position >= frames.HEAD_BYTES:
                size = data[position] << 16 | data[position + 1] << 8 | data[position + 2]
                if size > frames.MAX_FRAME_BYTES:
                    raise ProtocolError(frames.FRAME_SIZE_ERROR, f"a frame of {size} bytes")
                begin = position + frames.HEAD_BYTES
                if end - begin < size:
                    break
                if self._turn >= _TURN_COST or self._paused:
                    self._hold(data, position)
                    return
                self._turn += 1
                kind, flags = data[position + 3], data[position + 4]
                number = int.from_bytes(data[position + 5 : begin], "big") & 0x7FFFFFFF
                position = begin + size
                self._frame(kind, flags, number, data[begin:position])
                if self._closing:
                    return
            self._buffer = data[position:]
        except ProtocolError as error:
            self._fail(error)

    def _hold(self, data: bytes, position: int) -> None:
        self._held = True
        self._buffer, self._position = data, position
        if len(data) - position >= _HELD_BYTES:
            self._read(False)
        if not self._paused:
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:  # a turn that came twice would go on coming twice
            self._scheduled = True
            self._turns.wait(self._go_on)

    def write(self, data: bytes) -> None:
        """Sends bytes, together with what else this turn of the loop has to send."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def drain(self) -> None:
        """Takes no new requests, and closes when the last one is answered."""
        if self._draining or self._closing:
            return
        self._draining = True
        # Requests that are on their way are still welcome: the ping's answer comes behind them (RFC 9113, 6.8).
        self.write(frames.goaway(frames.MAX_WINDOW, frames.NO_ERROR) + frame(frames.PING, 0, 0, _DRAIN_PING))
        self._stop_timer()
        self._timer = self._loop.call_later(1.0, self._refuse_new)

    @property
    def is_busy(self) -> bool:
        """Whether a look at it takes long enough for others to notice."""
        return len(self._streams) > _TURN_COST

    def tick(self, crowded: bool) -> None:
        """Looks after what the client owes; called each `unroll.serving.http2.patience.TICK` seconds.

        Args:
            crowded: whether connections are running short.
        """
        if self._sealed:
            return
        self._quiet = 0.0 if self._streams or self._newest != self._seen else self._quiet + TICK
        self._seen = self._newest
        if not self._greeted:
            if self._quiet >= (_CROWDED_GREETING_SECONDS if crowded else self._limits.greeting_seconds):
                self.abort()
            return
        if self._quiet >= self._limits.idle_seconds * (_CROWDED_IDLE if crowded else 1):
            self.drain()
            if crowded:  # a request that is on its way is sent anew: GOAWAY says that it was not seen
                self._refuse_new()
        stall = _DRAIN_STALL_SECONDS if self._draining else self._limits.stall_seconds
        self._patience = looked(self._patience, stall, self._owed())
        if self._patience is not None and self._patience.is_over:
            self.abort()
            return
        try:
            self._budget.pass_time(TICK)
            if not self._paused and not self._held:
                self._budget.strike(STALLED * self._look_at_streams(stall), "streams that stand still")
        except ProtocolError as error:
            self._fail(error)

    def _owed(self) -> int | None:
        """A measure that grows as the client reads, or goes on with what it began."""
        if self._paused:
            return -self._transport.get_write_buffer_size()
        if self._held or not (self._buffer or self._header_block):
            return None
        return len(self._buffer) + (len(self._header_block[2]) if self._header_block else 0)

    def _look_at_streams(self, stall: float) -> int:
        """Ends those whose client took too long; gives the number of the others that stand still."""
        stalled = 0
        for stream in list(self._streams.values()):
            stream.patience = patience = looked(stream.patience, stall, stream.owed())
            if patience is not None:
                if patience.is_over and stream.receiver is not None:
                    stream.receiver.expire(f"the client did not go on for {stall:g} seconds")
                stalled += patience.is_stalled
        return stalled

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def abort(self) -> None:
        """Closes at once."""
        self._transport.abort()

    def admits(self, stream: Stream, size: int) -> bool:
        """Whether that much data may be sent on a stream now, in one frame."""
        return size <= self._frame_bytes and size <= self._window and size <= stream.window and not self._paused

    def answered(self, stream: Stream, size: int) -> None:
        """Notes that a whole answer with that much data went out, which `admits` had admitted."""
        self._window -= size
        self._budget.earned += stream.worth
        self._end(stream)

    def send_unsent(self, stream: Stream) -> None:
        """Sends what the windows admit, to a client that reads."""
        while stream.unsent:
            part = stream.unsent[0]
            size = min(len(part), self._frame_bytes, self._window, stream.window)
            if self._paused or (size <= 0 and len(part)):
                if self._paused or stream.window > 0:
                    self._waiting[stream.number] = stream
                else:  # a wider window of its own wakes it
                    self._waiting.pop(stream.number, None)
                return
            self._window -= size
            stream.window -= size
            if size < _SMALL_BYTES and size < len(part):
                self._budget.add(TAKEN_IN_CRUMBS)
            self._budget.earned += size // _TAKEN_BYTES_A_COST
            self.write(frame(frames.DATA, 0, stream.number, bytes(part[:size])))
            if size == len(part):
                stream.unsent.popleft()
            else:
                stream.unsent[0] = part[size:]
        self._waiting.pop(stream.number, None)
        stream.note_sent()
        if stream.trailers is not None:
            flags = frames.END_HEADERS | frames.END_STREAM
            self.write(frame(frames.HEADERS, flags, stream.number, stream.trailers))
            self._budget.earned += stream.worth
            self._end(stream)

    def reset(self, stream: Stream, code: int) -> None:
        """Ends a stream of which the client has not taken the whole answer."""
        self._cut(stream.number, code, stream.remote_ended)
        self._forget(stream)

    def _send_waiting(self) -> None:
        while self._waiting and self._window > 0 and not self._paused:
            self.send_unsent(next(iter(self._waiting.values())))

    def _flush(self) -> None:
        out, self._out = self._out, []
        if not self._sealed and not self._transport.is_closing():
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        if self._drained and not self._streams:
            self._close()

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
        if len(payload) < _SMALL_BYTES and not flags & frames.END_STREAM:
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
            self._budget.strike(GIVEN_UP, "requests that are none")
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

    def _window_update(self, number: int, increment: int) -> None:
        if not number:
            self._window += increment
            if not increment or self._window > frames.MAX_WINDOW:
                code = frames.FLOW_CONTROL_ERROR if increment else frames.PROTOCOL_ERROR
                raise ProtocolError(code, f"WINDOW_UPDATE of {increment}")
            self._send_waiting()
        elif number in self._streams:
            stream = self._streams[number]
            stream.window += increment
            if not increment or stream.window > frames.MAX_WINDOW:
                self._break(stream, frames.FLOW_CONTROL_ERROR if increment else frames.PROTOCOL_ERROR)
            elif stream.unsent:
                self.send_unsent(stream)
        else:
            self._check_known(number)

    def _reset(self, number: int, code: int) -> None:
        self._check_known(number)
        self._unheard.pop(number, None)
        if number in self._streams:
            self._give_up(self._streams[number])
        else:
            self._budget.strike(1, "resets of closed streams")

    def _break(self, stream: Stream, code: int) -> None:
        """Ends a stream for what the client sent."""
        self._cut(stream.number, code, stream.remote_ended)
        self._give_up(stream)

    def _cut(self, number: int, code: int, remote_ended: bool) -> None:
        """Sends RST_STREAM, and remembers where more may be on its way."""
        self.write(frames.rst_stream(number, code))
        if not remote_ended:
            self._unheard[number] = None
            if len(self._unheard) > 2 * self._limits.max_streams:
                del self._unheard[next(iter(self._unheard))]

    def _give_up(self, stream: Stream) -> None:
        """Drops a stream that the client reset, or had reset by what it sent: the work is the same."""
        self._budget.strike(GIVEN_UP, "streams that are given up")
        self._drop(stream)
        if self._drained:
            self._loop.call_soon(self._flush)  # which closes behind the last stream

    def _settings(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise ProtocolError(frames.PROTOCOL_ERROR, "SETTINGS of a stream")
        if flags & frames.ACK and payload:
            raise ProtocolError(frames.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS that says something")
        if flags & frames.ACK:
            return
        values = dict(frames.read_settings(payload))
        self._turn += len(payload) // frames.SETTING_BYTES
        self._budget.strike(1 + len(payload) // frames.SETTING_BYTES, "SETTINGS")
        self.write(frame(frames.SETTINGS, frames.ACK, 0, b""))  # before any frame that counts on it
        self._frame_bytes = values.get(frames.MAX_FRAME_SIZE, self._frame_bytes)
        wider = values.get(frames.INITIAL_WINDOW_SIZE, self._stream_window) - self._stream_window
        if wider:
            self._resizes += 1
            if self._resizes > _FREE_RESIZES + self._answered:  # each costs as much as there are streams
                raise ProtocolError(frames.ENHANCE_YOUR_CALM, "too many changes of the initial window size")
            self._stream_window += wider
            streams = list(self._streams.values())
            for stream in streams:
                stream.window += wider
                if stream.window > frames.MAX_WINDOW:
                    raise ProtocolError(frames.FLOW_CONTROL_ERROR, f"a window of {stream.window} bytes")
            for stream in streams:
                if stream.unsent:
                    self.send_unsent(stream)

    def _ping(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise ProtocolError(frames.PROTOCOL_ERROR, "PING of a stream")
        if len(payload) != 8:
            raise ProtocolError(frames.FRAME_SIZE_ERROR, f"PING of {len(payload)} bytes")
        self._budget.strike(1, "PING")
        if not flags & frames.ACK:
            self.write(frame(frames.PING, frames.ACK, 0, payload))
        elif payload == _DRAIN_PING and self._draining:
            self._refuse_new()

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
            stream.receiver.given_up()

    def _drop_all(self) -> None:
        """Drops the streams: where they are many, some at a time, since others wait."""
        for stream in list(itertools.islice(self._streams.values(), _TURN_COST)):
            self._drop(stream)
        if self._streams:
            self._turns.wait(self._drop_all)

    def _refuse_new(self) -> None:
        if not self._drained:
            self._drained = True
            self._stop_timer()
            if self._greeted:
                self.write(frames.goaway(self._newest, frames.NO_ERROR))
                for stream in list(self._streams.values()):  # of messages, which may stay open for ever, have an end
                    if stream.receiver is not None and stream.receiver.awaited is None and not stream.remote_ended:
                        stream.receiver.data_received(b"", True)
            else:
                self.abort()

    def _fail(self, error: ProtocolError) -> None:
        self._closing = True
        self._buffer = b""
        self._read(True)  # and thrown away: a close with bytes unread would cut off what the client has yet to read
        self.write(frames.goaway(self._newest, error.code, str(error)))
        self._drop_all()
        self._loop.call_soon(self._close)  # behind the flush

    def _close(self) -> None:
        if self._sealed:
            return
        self._closing = self._sealed = True
        self._stop_timer()
        self._linger(self._transport.get_write_buffer_size())
        if self._transport.can_write_eof():
            with contextlib.suppress(OSError):  # the client is gone already, and the loop has yet to say so
                self._transport.write_eof()
        else:
            self._transport.close()

    def _linger(self, unread: int) -> None:
        self._timer = self._loop.call_later(_LINGER, self._let_go, unread)

    def _let_go(self, unread: int) -> None:
        left = self._transport.get_write_buffer_size()
        if left <= unread - _LINGER_BYTES and not self._budget.is_exhausted:
            self._linger(left)
        else:
            self.abort()
