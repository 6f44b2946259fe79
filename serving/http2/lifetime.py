"""How long one HTTP/2 connection lives: its greeting, what its client owes, idling, draining."""

from unroll.serving.http2 import frames
from unroll.serving.http2.budget import STALLED
from unroll.serving.http2.flow import FlowControl
from unroll.serving.http2.frames import ProtocolError, frame
from unroll.serving.http2.framing import TURN_COST, Turns
from unroll.serving.http2.stall_timeout import TICK, StallTimeout, looked
from unroll.serving.http2.usage import Share

_DRAIN_PING = b"draining"
_ON_THEIR_WAY_SECONDS = 10.0  # for requests that a client began before it read that it is to come back
_DRAIN_SECONDS = 1.0  # the same while the server drains
_DRAIN_STALL_SECONDS = 2.0  # for a client that stands still while the server drains
_CROWDED_GREETING_SECONDS = 1.0
_CROWDED_IDLE = 1 / 20


class Lifetime(FlowControl):
    """Ends a connection whose client keeps it waiting, or that is to go.

    Args:
        share: what its calls use up, and may.
        turns: for what more than one turn takes.
    """

    def __init__(self, share: Share, turns: Turns) -> None:
        super().__init__(share.budget, turns)
        self.share = share
        self._limits = share.usage.limits
        self._header_block: tuple[int, int, bytearray] | None = None  # stream, flags, what CONTINUATION goes on with
        self._draining = False
        self._hurried = False
        self._drained = False
        self._quiet = 0.0  # seconds without a call
        self._seen = 0  # the newest stream at the last tick
        self._stall_timeout: StallTimeout | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a look at it takes long enough for others to notice."""
        return len(self._streams) > TURN_COST

    def come_back(self) -> None:
        """Has the client come back on another connection, at no cost to it.

        It takes no new requests, and closes when the last one is answered, however long that takes.
        """
        if self._greeted and not (self._draining or self._closing):
            self._announce_end(_ON_THEIR_WAY_SECONDS)

    def drain(self) -> None:
        """Takes no new requests, and closes when the last one is answered, for which the server waits.

        Hence clients who stand still have less time than usual, and streams of messages, which may stay open for ever,
        have an end.
        """
        if self._hurried or self._closing:
            return
        self._hurried = True
        if self._drained:
            self._end_streams()
        else:
            self._announce_end(_DRAIN_SECONDS)

    def _announce_end(self, seconds: float) -> None:
        self._draining = True
        # Requests that are on their way are still welcome: the ping's answer comes behind them (RFC 9113, 6.8).
        self.write(frames.goaway(frames.MAX_WINDOW, frames.NO_ERROR) + frame(frames.PING, 0, 0, _DRAIN_PING))
        self._stop_timer()
        self._timer = self._loop.call_later(seconds, self._refuse_new)

    def tick(self, crowded: bool) -> None:
        """Looks after what the client owes; called each `unroll.serving.http2.stall_timeout.TICK` seconds.

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
            if crowded:  # a request that is on its way is sent again: GOAWAY says that it was not seen
                self._refuse_new()
        stall = _DRAIN_STALL_SECONDS if self._hurried else self._limits.stall_seconds
        self._stall_timeout = looked(self._stall_timeout, stall, self._owed())
        if self._stall_timeout is not None and self._stall_timeout.is_over:
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
            stream.stall_timeout = stall_timeout = looked(stream.stall_timeout, stall, stream.owed())
            if stall_timeout is not None:
                if stall_timeout.is_over and stream.receiver is not None:
                    stream.receiver.expire(f"the client did not go on for {stall:g} seconds")
                stalled += stall_timeout.is_stalled
        return stalled

    def _refuse_new(self) -> None:
        if not self._drained:
            self._drained = True
            self._stop_timer()
            if self._greeted:
                self.write(frames.goaway(self._newest, frames.NO_ERROR))
                if self._hurried:
                    self._end_streams()
            else:
                self.abort()

    def _end_streams(self) -> None:
        """Ends streams of messages that wait for another one."""
        for stream in list(self._streams.values()):
            if stream.receiver is not None and stream.receiver.awaited is None and not stream.remote_ended:
                stream.receiver.data_received(b"", True)

    @property
    def _is_done(self) -> bool:
        return self._drained and not self._streams

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
