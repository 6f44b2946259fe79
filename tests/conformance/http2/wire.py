"""An HTTP/2 client that sends whatever it is told to, frame by frame, and says what came back.

What a server does about a frame, it does before it answers a PING that was sent behind it. So nothing here waits for
time to pass: a test ends with the PING's answer, or with the end of the connection.
"""

import socket
from collections.abc import Callable
from typing import NamedTuple

import hpack

from tests.conformance.http2.literals import Form, literal
from tests.serving.http2.peers import HEADERS, prefixed
from unroll.serving.http2 import frames
from unroll.serving.http2.frames import END_HEADERS, END_STREAM, PREFACE, frame

Fields = list[tuple[str, str]]
OPEN, WHOLE = END_HEADERS, END_HEADERS | END_STREAM
GET: Fields = [(":method", "GET"), *HEADERS[1:4]]
HOLD: Fields = [*HEADERS[:2], (":path", "/test.Service/Hold"), *HEADERS[3:]]
HELLO = prefixed(b"hello")
FENCE = frame(frames.PING, 0, 0, b"a fence!")
_PASSED = frame(frames.PING, frames.ACK, 0, b"a fence!")[frames.HEAD_BYTES :]
_SECONDS = 10  # for one answer


class Frame(NamedTuple):
    """What the server sent."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        """Of RST_STREAM or GOAWAY."""
        return int.from_bytes(self.payload[4:8] if self.kind == frames.GOAWAY else self.payload, "big")


def headers(stream: int = 1, fields: Fields = HEADERS, flags: int = OPEN, more: bytes = b"") -> bytes:
    """A HEADERS frame of literals, and whatever else its block is to hold."""
    block = b"".join(literal(Form.PLAIN, name, value) for name, value in fields)
    return frame(frames.HEADERS, flags, stream, block + more)


def data(payload: bytes = HELLO, stream: int = 1, flags: int = END_STREAM) -> bytes:
    """A DATA frame."""
    return frame(frames.DATA, flags, stream, payload)


def request(stream: int = 1, fields: Fields = HEADERS) -> bytes:
    """A call that says hello."""
    return headers(stream, fields) + data(stream=stream)


def priority(stream: int, depends_on: int = 0, weight: int = 255, exclusive: bool = False) -> bytes:
    """What a PRIORITY frame holds."""
    return frame(frames.PRIORITY, 0, stream, dependency(depends_on, weight, exclusive))


def dependency(depends_on: int = 0, weight: int = 255, exclusive: bool = False) -> bytes:
    """The stream that another one depends on."""
    return (depends_on | exclusive << 31).to_bytes(4, "big") + bytes((weight,))


def settings(*pairs: tuple[int, int]) -> bytes:
    """A SETTINGS frame, which may name a setting twice."""
    return frame(frames.SETTINGS, 0, 0, b"".join(frames.settings({k: v})[frames.HEAD_BYTES :] for k, v in pairs))


class Wire:
    """One connection.

    Args:
        port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input = self._socket.makefile("rb")
        self._decoder = hpack.Decoder()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *raised: object) -> None:
        self._input.close()
        self._socket.close()

    def send(self, *parts: bytes) -> None:
        """Sends bytes as they are, all at once."""
        self._socket.sendall(b"".join(parts))

    def greet(self, *pairs: tuple[int, int]) -> dict[int, int]:
        """Sends the preface with these settings; gives the server's, once it has acknowledged them."""
        self.send(PREFACE, settings(*pairs))
        theirs = self.frame_of(frames.SETTINGS)
        assert not theirs.flags & frames.ACK
        self.send(frame(frames.SETTINGS, frames.ACK, 0, b""))
        assert self.frame_of(frames.SETTINGS).flags & frames.ACK
        return dict(frames.read_settings(theirs.payload))

    def next(self) -> Frame | None:
        """The next frame; None at the end of the connection."""
        head = self._input.read(frames.HEAD_BYTES)
        if not head:
            return None
        payload = self._input.read(int.from_bytes(head[:3], "big"))
        return Frame(head[3], head[4], int.from_bytes(head[5:], "big"), payload)

    def until(self, found: Callable[[Frame], bool]) -> list[Frame]:
        """The frames that come, the last one being the first that is looked for."""
        received: list[Frame] = []
        while not received or not found(received[-1]):
            following = self.next()
            assert following is not None, f"the server closed the connection; it sent {received}"
            received.append(following)
        return received

    def frame_of(self, kind: int, stream: int = 0) -> Frame:
        """The next frame of a kind."""
        return self.until(lambda one: (one.kind, one.stream) == (kind, stream))[-1]

    def alive(self) -> list[Frame]:
        """Asserts that the connection goes on, behind a FENCE; gives what came before."""
        received = self.until(lambda one: one.kind == frames.PING and one.payload == _PASSED)
        assert all(one.kind != frames.GOAWAY for one in received)
        return received

    def untroubled(self) -> None:
        """Asserts the same, and that no stream was reset."""
        assert all(one.kind != frames.RST_STREAM or one.code == frames.NO_ERROR for one in self.alive())

    def failed(self, *codes: int) -> None:
        """Asserts that the server says goodbye with one of these codes, and ends the connection."""
        received: list[Frame] = []
        while (following := self.next()) is not None:
            assert following.payload != _PASSED or following.kind != frames.PING, f"unmoved; it sent {received}"
            received.append(following)
        assert received
        assert received[-1].kind == frames.GOAWAY
        assert received[-1].code in codes

    def reset(self, *codes: int, stream: int = 1) -> None:
        """Asserts that the server resets a stream with one of these codes, and that the connection goes on."""
        found = [one.code for one in self.alive() if (one.kind, one.stream) == (frames.RST_STREAM, stream)]
        assert found
        assert found[0] in codes

    def answer(self, stream: int = 1) -> tuple[dict[str, str], bytes]:
        """Headers, trailers and body of an answer, once it ends."""
        received = self.until(lambda one: one.stream == stream and bool(one.flags & END_STREAM))
        fields: dict[str, str] = {}
        body = b""
        for one in received:
            if one.kind == frames.HEADERS:
                fields.update(self._decoder.decode(one.payload))
            elif one.kind == frames.DATA:
                body += one.payload
            else:
                assert (one.kind, one.stream) != (frames.RST_STREAM, stream), f"reset with {one.code}"
        return fields, body

    def answered(self, stream: int = 1, body: bytes = HELLO) -> None:
        """Asserts that a call is answered with what it sent."""
        fields, received = self.answer(stream)
        assert fields.get("grpc-status") == "0", fields
        assert received == body

    def refused(self, status: str = "3", stream: int = 1) -> None:
        """Asserts that a call is answered with this gRPC status."""
        assert self.answer(stream)[0].get("grpc-status") == status


Check = Callable[[Wire], None]
Case = tuple[bytes, Check]
"""What is sent behind the preface, and what is to come of it."""


def failed(*codes: int) -> Check:
    """See `Wire.failed`."""
    return lambda wire: wire.failed(*codes)


def reset(*codes: int, stream: int = 1) -> Check:
    """See `Wire.reset`."""
    return lambda wire: wire.reset(*codes, stream=stream)


def run(wire: Wire, case: Case) -> None:
    """Greets, sends and checks."""
    sent, check = case
    wire.greet()
    wire.send(sent, FENCE)
    check(wire)
