"""Flow control of one HTTP/2 connection (RFC 9113, section 5.2): what may be sent now, and what waits."""

from unroll.serving.http2 import frames
from unroll.serving.http2.budget import TAKEN_IN_CRUMBS, Budget
from unroll.serving.http2.frames import ProtocolError, frame
from unroll.serving.http2.framing import Framing, Turns
from unroll.serving.http2.stream import Stream

SMALL_BYTES = 16
"""Of a message, for which a frame of its own is not progress."""
_TAKEN_BYTES_A_COST = 32  # of an answer: what pays for the frames that ask for more
_FREE_RESIZES = 100  # of the window of all its streams, beyond the calls that were answered


class FlowControl(Framing):
    """Sends answers as far as the client's windows go. How a stream ends is a subclass's business.

    Args:
        budget: what the client has used up.
        turns: for what more than one turn takes.
    """

    def __init__(self, budget: Budget, turns: Turns) -> None:
        super().__init__(budget, turns)
        self._streams: dict[int, Stream] = {}
        self._waiting: dict[int, Stream] = {}  # for the connection's window, or for the client to read
        self._window = frames.FIRST_WINDOW
        self._stream_window = frames.FIRST_WINDOW
        self._frame_bytes = frames.MAX_FRAME_BYTES
        self._answered = 0
        self._resizes = 0

    def _end(self, stream: Stream) -> None:
        """The answer is sent: the stream is over."""
        raise NotImplementedError

    def _break(self, stream: Stream, code: int) -> None:
        """Ends a stream for what the client sent."""
        raise NotImplementedError

    def _check_known(self, number: int) -> None:
        """Raises ProtocolError for a stream that was never open."""
        raise NotImplementedError

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
            if size < SMALL_BYTES and size < len(part):
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

    def _send_waiting(self) -> None:
        while self._waiting and self._window > 0 and not self._paused:
            self.send_unsent(next(iter(self._waiting.values())))

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
