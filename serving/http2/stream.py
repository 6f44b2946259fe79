"""One request and its answer on an HTTP/2 connection."""

from collections import deque
from typing import Protocol

from serving.http2 import frames
from serving.http2.frames import frame


class Sender(Protocol):
    """What a stream needs of its connection: see `serving.http2.connection.Connection`."""

    def write(self, data: bytes) -> None: ...

    def admits(self, stream: "Stream", size: int) -> bool: ...

    def answered(self, stream: "Stream", size: int) -> None: ...

    def send_unsent(self, stream: "Stream") -> None: ...


class Receiver(Protocol):
    """Takes what a client sends on one stream."""

    def data_received(self, data: bytes, ended: bool) -> None:
        """The next bytes of the body; `ended`: the last ones."""

    def given_up(self) -> None:
        """The client gave the stream up, or is gone. Nothing more can be sent."""


class Stream:
    """A request and its answer. Sending never blocks: what the client's window does not admit waits here."""

    __slots__ = ("_connection", "closed", "number", "receiver", "remote_ended", "trailers", "unsent", "window")

    def __init__(self, connection: "Sender", number: int, window: int) -> None:
        self._connection = connection
        self.number = number
        self.window = window
        self.receiver: Receiver | None = None
        self.remote_ended = False
        self.closed = False
        self.unsent: deque[memoryview] = deque()
        self.trailers: bytes | None = None

    def send_headers(self, block: bytes) -> None:
        """Sends the answer's headers."""
        if not self.closed:
            self._connection.write(frame(frames.HEADERS, frames.END_HEADERS, self.number, block))

    def send_data(self, data: bytes) -> None:
        """Sends a part of the answer's body, or keeps it until there is room."""
        if not self.closed:
            self.unsent.append(memoryview(data))
            self._connection.send_unsent(self)

    def finish(self, trailers: bytes) -> None:
        """Ends the answer, after all data."""
        if not self.closed:
            self.trailers = trailers
            self._connection.send_unsent(self)

    def answer(self, headers: bytes, data: bytes, trailers: bytes) -> None:
        """Sends a whole answer, in one piece if the window admits it."""
        if self.closed:
            return
        if self._connection.admits(self, len(data)):
            ended = frames.END_HEADERS | frames.END_STREAM
            self._connection.write(
                frame(frames.HEADERS, frames.END_HEADERS, self.number, headers)
                + frame(frames.DATA, 0, self.number, data)
                + frame(frames.HEADERS, ended, self.number, trailers)
            )
            self._connection.answered(self, len(data))
        else:
            self.send_headers(headers)
            self.send_data(data)
            self.finish(trailers)

    def admit(self, size: int) -> None:
        """Lets the client send that many bytes more."""
        if not self.closed:
            self._connection.write(frames.window_update(self.number, size))
