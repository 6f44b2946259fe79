"""Frames, streams and their states (RFC 9113, sections 3 to 5): 33 cases of h2spec, by its numbers."""

import pytest

from tests.conformance.http2.wire import (
    FENCE,
    HOLD,
    WHOLE,
    Case,
    Check,
    Wire,
    data,
    dependency,
    failed,
    headers,
    priority,
    request,
    reset,
    run,
    settings,
)
from tests.serving.http2.peers import LITERALS
from unroll.serving.http2 import frames
from unroll.serving.http2.frames import (
    COMPRESSION_ERROR,
    END_HEADERS,
    FRAME_SIZE_ERROR,
    HAS_PRIORITY,
    MAX_FRAME_BYTES,
    PREFACE,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
    frame,
)

HELD = request(fields=HOLD)
CUT_SHORT = headers(flags=0)
REST = frame(frames.CONTINUATION, END_HEADERS, 1, b"\x00\x01a\x01b")
CANCELLED = headers() + frames.rst_stream(1, frames.CANCEL)
UNKNOWN = frame(22, 0, 0, bytes(8))
OF_NO_STREAM = frame(frames.PING, 0, 3, bytes(8))


def preface(wire: Wire) -> None:
    wire.send(PREFACE, settings((frames.INITIAL_WINDOW_SIZE, 65535)))
    first = wire.next()
    assert first is not None
    assert (first.kind, first.flags & frames.ACK) == (frames.SETTINGS, 0)


def no_preface(wire: Wire) -> None:
    wire.send(b"INVALID CONNECTION PREFACE\r\n\r\n")
    wire.failed(PROTOCOL_ERROR)


def ping(flags: int, stream: int) -> Case:
    def check(wire: Wire) -> None:
        assert wire.frame_of(frames.PING).payload == b"a signal"

    return frame(frames.PING, flags, stream, b"a signal"), check


def whole_frame(wire: Wire) -> None:
    """A message of exactly one frame that is as long as a frame may be."""
    body = b"\x00" + (MAX_FRAME_BYTES - 5).to_bytes(4, "big") + b"x" * (MAX_FRAME_BYTES - 5)
    wire.greet()
    wire.send(headers(), data(body))
    wire.answered(body=body)


def after(*sent: bytes, code: int = STREAM_CLOSED) -> Check:
    """Once a call is answered, this much on its stream is too much."""

    def check(wire: Wire) -> None:
        wire.greet()
        wire.send(request())
        wire.answered()
        wire.send(*sent, FENCE)
        wire.failed(code)

    return check


def too_many(wire: Wire) -> None:
    allowed = wire.greet()[frames.MAX_CONCURRENT_STREAMS]
    last = 1 + 2 * allowed
    wire.send(*(headers(number) for number in range(1, last + 2, 2)), FENCE)
    refused = [(one.stream, one.code) for one in wire.alive() if one.kind == frames.RST_STREAM]
    assert refused == [(last, REFUSED_STREAM)]


TALKS: dict[str, Check] = {
    "3.5/1 a preface": preface,
    "3.5/2 no preface": no_preface,
    "4.2/1 DATA of 2^14 bytes": whole_frame,
    "5.1/11 closed: DATA": after(data()),
    "5.1/12 closed: HEADERS": after(headers()),
    "5.1/13 closed: CONTINUATION": after(REST, code=PROTOCOL_ERROR),
    "5.1.2/1 more streams than allowed": too_many,
}
CASES: dict[str, Case] = {
    "4.1/1 a frame of unknown type": (UNKNOWN, Wire.untroubled),
    "4.1/2 unknown flags": ping(0x16, 0),
    "4.1/3 a reserved bit": ping(0x16, 1 << 31),
    "4.2/2 DATA that is too large": (headers() + data(bytes(MAX_FRAME_BYTES + 1)), failed(FRAME_SIZE_ERROR)),
    "4.2/3 HEADERS that are too large": (
        frame(frames.HEADERS, WHOLE, 1, LITERALS + bytes(MAX_FRAME_BYTES)),
        failed(FRAME_SIZE_ERROR),
    ),
    "4.3/1 a header block that is cut off": (frame(frames.HEADERS, WHOLE, 1, b"\x40"), failed(COMPRESSION_ERROR)),
    "4.3/2 PRIORITY within a header block": (CUT_SHORT + priority(1) + REST, failed(PROTOCOL_ERROR)),
    "4.3/3 HEADERS within a header block": (CUT_SHORT + headers(3) + REST, failed(PROTOCOL_ERROR)),
    "5.1/1 idle: DATA": (data(), failed(PROTOCOL_ERROR)),
    "5.1/2 idle: RST_STREAM": (frames.rst_stream(1, frames.CANCEL), failed(PROTOCOL_ERROR)),
    "5.1/3 idle: WINDOW_UPDATE": (frames.window_update(1, 100), failed(PROTOCOL_ERROR)),
    "5.1/4 idle: CONTINUATION": (REST, failed(PROTOCOL_ERROR)),
    "5.1/5 half-closed: DATA": (HELD + data(), reset(STREAM_CLOSED)),
    "5.1/6 half-closed: HEADERS": (HELD + headers(flags=WHOLE), reset(STREAM_CLOSED)),
    "5.1/7 half-closed: CONTINUATION": (HELD + REST, failed(PROTOCOL_ERROR)),
    "5.1/8 cancelled: DATA": (CANCELLED + data(), failed(STREAM_CLOSED)),
    "5.1/9 cancelled: HEADERS": (CANCELLED + headers(), failed(STREAM_CLOSED)),
    "5.1/10 cancelled: CONTINUATION": (CANCELLED + REST, failed(PROTOCOL_ERROR)),
    "5.1.1/1 an even stream": (headers(2), failed(PROTOCOL_ERROR)),
    "5.1.1/2 a stream below the last": (headers(5) + headers(3), failed(PROTOCOL_ERROR)),
    "5.3.1/1 HEADERS that depend on themselves": (
        frame(frames.HEADERS, WHOLE | HAS_PRIORITY, 1, dependency(1) + LITERALS),
        failed(PROTOCOL_ERROR),
    ),
    "5.3.1/2 PRIORITY that depends on itself": (priority(1, depends_on=1), failed(PROTOCOL_ERROR)),
    "5.4.1/1 an end for PING of a stream": (OF_NO_STREAM, failed(PROTOCOL_ERROR)),
    "5.4.1/2 GOAWAY for PING of a stream": (OF_NO_STREAM, failed(PROTOCOL_ERROR)),
    "5.5/1 an extension": (UNKNOWN, Wire.untroubled),
    "5.5/2 an extension within a header block": (CUT_SHORT + UNKNOWN, failed(PROTOCOL_ERROR)),
}


@pytest.mark.parametrize("name", CASES)
def test_frames_and_streams(wire: Wire, name: str) -> None:
    run(wire, CASES[name])


@pytest.mark.parametrize("name", TALKS)
def test_frames_and_streams_in_turn(wire: Wire, name: str) -> None:
    TALKS[name](wire)
