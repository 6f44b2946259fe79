"""One request and its answer on an HTTP/2 connection."""

import asyncio
import functools
from collections import deque
from collections.abc import Callable
from typing import Protocol

from unroll.serving.http2 import frames
from unroll.serving.http2.frames import frame
from unroll.serving.http2.stall_timeout import StallTimeout


class Sender(Protocol):
    """What a stream needs of its connection: see `unroll.serving.http2.connection.Connection`."""

    def write(self, data: bytes) -> None: ...

    def admits(self, stream: "Stream", size: int) -> bool: ...

    def answered(self, stream: "Stream", size: int) -> None: ...

    def send_unsent(self, stream: "Stream") -> None: ...

    def reset(self, stream: "Stream", code: int) -> None: ...


class Receiver(Protocol):
    """Takes what a client sends on one stream."""

    @property
    def awaited(self) -> int | None:
        """How many bytes have come of what the client has yet to finish; None where it need not send more."""

    def expire(self, message: str) -> None:
        """The client does not go on, says `message`."""

    def data_received(self, data: bytes, ended: bool) -> None:
        """The next bytes of the body; `ended`: the last ones."""

    def cancelled(self) -> None:
        """The client gave the stream up, or is gone. Nothing more can be sent."""


class Stream:
    """A request and its answer. Sending never blocks: what the client does not take yet waits here; see `sent`."""

    __slots__ = (
        "_connection",
        "closed",
        "number",
        "receiver",
        "remote_ended",
        "stall_timeout",
        "trailers",
        "undelivered",
        "unsent",
        "when_sent",
        "window",
        "worth",
    )

    def __init__(self, connection: "Sender", number: int, window: int, worth: int) -> None:
        self._connection = connection
        self.number = number
        self.window = window
        self.worth = worth  # see `unroll.serving.http2.budget`; nothing for one that is refused
        self.receiver: Receiver | None = None
        self.stall_timeout: StallTimeout | None = None
        self.remote_ended = False
        self.undelivered: int | None = None  # bytes that the client has yet to send, where it said how many
        self.closed = False
        self.unsent: deque[memoryview] = deque()
        self.trailers: bytes | None = None
        self.when_sent: Callable[[], None] | None = None
        """Called once the client has taken all that was sent to it, should it have to wait for that."""

    def owed(self) -> int | None:
        """A measure that grows as the client goes on with what it owes: to take the answer, or to end its request."""
        if self.unsent:
            return -sum(map(len, self.unsent))
        return None if self.receiver is None else self.receiver.awaited

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

    async def sent(self) -> None:
        """Waits until the client has taken all that was sent to it. One caller at a time."""
        if self.unsent:
            sent = asyncio.get_running_loop().create_future()
            self.when_sent = functools.partial(_settle, sent)
            await sent

    def note_sent(self) -> None:
        """Says that nothing waits any more."""
        if self.when_sent is not None:
            told, self.when_sent = self.when_sent, None
            told()

    def reset(self, code: int) -> None:
        """Ends the answer where it is, with an error code of RFC 9113, section 7."""
        if not self.closed:
            self._connection.reset(self, code)

    def admit(self, size: int) -> None:
        """Lets the client send that many bytes more."""
        if not self.closed:
            self._connection.write(frames.window_update(self.number, size))


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
