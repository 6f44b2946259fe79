"""Frames of one HTTP/2 connection: bytes to frames, a turn at a time, and back; how it ends."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import cast

from unroll.serving.http2 import frames
from unroll.serving.http2.budget import STRAINED, Budget
from unroll.serving.http2.frames import ProtocolError

_LINGER = 1.0  # seconds for a client to read what was sent before a close, as long as it takes some of it
_LINGER_BYTES = 1024
TURN_COST = 128
"""Frames, or as much, before others have their turn."""
_HELD_BYTES = 1 << 16  # that wait for the next turn before no more is read


class Turns:
    """Has connections that sent more than a turn's worth go on one after another, one a round of the loop.

    However many they are, whoever else has something to say waits for one of them only. One for a server; used in the
    event loop's thread.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Callable[[], None]] = deque()

    def wait(self, go_on: Callable[[], None]) -> None:
        """Has it called when it is its turn. Who waits already should not wait again before."""
        self._waiting.append(go_on)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        go_on = self._waiting.popleft()
        if self._waiting:
            self._loop.call_soon(self._next)
        go_on()


class Framing(asyncio.Protocol):
    """Takes frames from a client and writes what is sent to it. What a frame means is a subclass's business.

    Args:
        budget: what the client has used up.
        turns: for what more than one turn takes.
    """

    def __init__(self, budget: Budget, turns: Turns) -> None:
        self._budget = budget
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, None)
        self._buffer = b""
        self._position = 0  # in the buffer, of what was not looked at yet
        self._held = True  # the rest of the buffer is for the next turn, or for when the connection stands
        self._scheduled = False
        self._reading = True
        self._turn = 0
        self._greeted = False
        self._newest = 0  # stream
        self._paused = False
        self._out: list[bytes] = []
        self._closing = False  # nothing more is read
        self._sealed = False  # nothing more is written
        self._timer: asyncio.TimerHandle | None = None  # of the end: everything else waits for a tick

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Takes a frame.

        Raises:
            ProtocolError: it ends the connection.
        """
        raise NotImplementedError

    def _send_waiting(self) -> None:
        """Goes on with answers that waited for the client to read."""
        raise NotImplementedError

    def _drop_all(self) -> None:
        """Drops the streams."""
        raise NotImplementedError

    @property
    def _is_done(self) -> bool:
        """Whether the connection is over once what is written is sent."""
        raise NotImplementedError

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
                if self._turn >= TURN_COST or self._paused:
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

    def _flush(self) -> None:
        out, self._out = self._out, []
        if not self._sealed and not self._transport.is_closing():
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        if self._is_done:
            self._close()

    def abort(self) -> None:
        """Closes at once."""
        self._transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

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
