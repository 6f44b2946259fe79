"""Each type of frame, and error codes (RFC 9113, sections 6 and 7): 42 cases of h2spec, by its numbers."""

import pytest

from tests.conformance.http2.wire import (
    HELLO,
    HOLD,
    Case,
    Check,
    Wire,
    data,
    failed,
    headers,
    priority,
    request,
    reset,
    run,
    settings,
)
from tests.serving.http2.peers import HEADERS, LITERALS
from unroll.serving.http2 import frames
from unroll.serving.http2.frames import (
    END_HEADERS,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    MAX_WINDOW,
    PADDED,
    PROTOCOL_ERROR,
    STREAM_CLOSED,
    frame,
)

CUT_SHORT = headers(flags=0)
PART = frame(frames.CONTINUATION, 0, 1, b"\x00\x01a\x01b")
LAST_PART = frame(frames.CONTINUATION, END_HEADERS, 1, b"\x00\x01c\x01d")
UNKNOWN_CODE = 0xFF
WIDEST = frames.window_update(0, MAX_WINDOW)
WIDEST_OF_STREAM = frames.window_update(1, MAX_WINDOW)


def acknowledged(wire: Wire) -> None:
    assert wire.frame_of(frames.SETTINGS).flags & frames.ACK


def window(*sizes: int) -> Check:
    """Of an answer comes as much as the last of these initial windows admits."""

    def check(wire: Wire) -> None:
        wire.greet(*((frames.INITIAL_WINDOW_SIZE, size) for size in sizes))
        wire.send(request())
        assert wire.frame_of(frames.DATA, 1).payload == HELLO[: sizes[-1]]

    return check


def widened(wire: Wire) -> None:
    wire.greet((frames.INITIAL_WINDOW_SIZE, 0))
    wire.send(request(), settings((frames.INITIAL_WINDOW_SIZE, 1)))
    assert wire.frame_of(frames.DATA, 1).payload == HELLO[:1]


def narrowed(wire: Wire) -> None:
    wire.greet((frames.INITIAL_WINDOW_SIZE, 3))
    wire.send(request())
    assert wire.frame_of(frames.DATA, 1).payload == HELLO[:3]
    wire.send(settings((frames.INITIAL_WINDOW_SIZE, 2)))
    acknowledged(wire)
    wire.send(frames.window_update(1, 2))
    assert wire.frame_of(frames.DATA, 1).payload == HELLO[3:4]


def pinged(flags: int, answers: list[bytes]) -> Case:
    """PINGs that are answered before the FENCE."""

    def check(wire: Wire) -> None:
        assert [one.payload for one in wire.alive() if one.kind == frames.PING][:-1] == answers

    return frame(frames.PING, flags, 0, b"a signal"), check


TALKS: dict[str, Check] = {
    "6.5.3/1 the last of two settings": window(100, 1),
    "6.9.1/1 a window of 1": window(1),
    "6.9.2/1 a window that is widened": widened,
    "6.9.2/2 a window that becomes negative": narrowed,
}
CASES: dict[str, Case] = {
    "6.1/1 DATA of the connection": (data(stream=0), failed(PROTOCOL_ERROR)),
    "6.1/2 DATA behind the end": (request(fields=HOLD) + data(), reset(STREAM_CLOSED)),
    "6.1/3 DATA, more padding than frame": (
        headers(fields=[*HEADERS, ("content-length", "4")]) + data(b"\x06test", flags=frames.END_STREAM | PADDED),
        failed(PROTOCOL_ERROR),
    ),
    "6.2/1 PRIORITY behind HEADERS that go on": (CUT_SHORT + priority(1) + LAST_PART, failed(PROTOCOL_ERROR)),
    "6.2/2 HEADERS behind HEADERS that go on": (CUT_SHORT + headers(3) + LAST_PART, failed(PROTOCOL_ERROR)),
    "6.2/3 HEADERS of the connection": (headers(0), failed(PROTOCOL_ERROR)),
    "6.2/4 HEADERS, more padding than frame": (
        frame(frames.HEADERS, END_HEADERS | PADDED, 1, bytes((len(LITERALS) + 2,)) + LITERALS),
        failed(PROTOCOL_ERROR),
    ),
    "6.3/1 PRIORITY of the connection": (priority(0), failed(PROTOCOL_ERROR)),
    "6.3/2 PRIORITY of 4 bytes": (headers() + frame(frames.PRIORITY, 0, 1, bytes(4)), reset(FRAME_SIZE_ERROR)),
    "6.4/1 RST_STREAM of the connection": (frames.rst_stream(0, frames.CANCEL), failed(PROTOCOL_ERROR)),
    "6.4/2 RST_STREAM when idle": (frames.rst_stream(1, frames.CANCEL), failed(PROTOCOL_ERROR)),
    "6.4/3 RST_STREAM of 3 bytes": (headers() + frame(frames.RST_STREAM, 0, 1, bytes(3)), failed(FRAME_SIZE_ERROR)),
    "6.5/1 an acknowledgement that says something": (
        frame(frames.SETTINGS, frames.ACK, 0, b"\x00"),
        failed(FRAME_SIZE_ERROR),
    ),
    "6.5/2 SETTINGS of a stream": (
        frame(frames.SETTINGS, 0, 1, b"\x00\x03\x00\x00\x00\x64"),
        failed(PROTOCOL_ERROR),
    ),
    "6.5/3 SETTINGS of 3 bytes": (frame(frames.SETTINGS, 0, 0, b"\x00\x03\x00"), failed(FRAME_SIZE_ERROR)),
    "6.5.2/1 SETTINGS_ENABLE_PUSH of 2": (settings((frames.ENABLE_PUSH, 2)), failed(PROTOCOL_ERROR)),
    "6.5.2/2 SETTINGS_INITIAL_WINDOW_SIZE of 2^31": (
        settings((frames.INITIAL_WINDOW_SIZE, 2**31)),
        failed(FLOW_CONTROL_ERROR),
    ),
    "6.5.2/3 SETTINGS_MAX_FRAME_SIZE of 2^14 - 1": (settings((frames.MAX_FRAME_SIZE, 16383)), failed(PROTOCOL_ERROR)),
    "6.5.2/4 SETTINGS_MAX_FRAME_SIZE of 2^24": (settings((frames.MAX_FRAME_SIZE, 2**24)), failed(PROTOCOL_ERROR)),
    "6.5.2/5 an unknown setting": (settings((0xFF, 1)), Wire.untroubled),
    "6.5.3/2 SETTINGS are acknowledged": (settings((frames.ENABLE_PUSH, 0)), acknowledged),
    "6.7/1 PING": pinged(0, [b"a signal"]),
    "6.7/2 the answer of a PING": pinged(frames.ACK, []),
    "6.7/3 PING of a stream": (frame(frames.PING, 0, 1, bytes(8)), failed(PROTOCOL_ERROR)),
    "6.7/4 PING of 6 bytes": (frame(frames.PING, 0, 0, bytes(6)), failed(FRAME_SIZE_ERROR)),
    "6.8/1 GOAWAY of a stream": (frame(frames.GOAWAY, 0, 1, bytes(8)), failed(PROTOCOL_ERROR)),
    "6.9/1 WINDOW_UPDATE of 0": (frames.window_update(0, 0), failed(PROTOCOL_ERROR)),
    "6.9/2 WINDOW_UPDATE of 0 for a stream": (headers() + frames.window_update(1, 0), reset(PROTOCOL_ERROR)),
    "6.9/3 WINDOW_UPDATE of 3 bytes": (frame(frames.WINDOW_UPDATE, 0, 0, bytes(3)), failed(FRAME_SIZE_ERROR)),
    "6.9.1/2 a window above 2^31 - 1": (WIDEST * 2, failed(FLOW_CONTROL_ERROR)),
    "6.9.1/3 a stream's window above 2^31 - 1": (headers() + WIDEST_OF_STREAM * 2, reset(FLOW_CONTROL_ERROR)),
    "6.9.2/3 an initial window of 2^31": (settings((frames.INITIAL_WINDOW_SIZE, 2**31)), failed(FLOW_CONTROL_ERROR)),
    "6.10/1 CONTINUATION in parts": (CUT_SHORT + PART + LAST_PART + data(), Wire.answered),
    "6.10/2 DATA behind CONTINUATION that goes on": (CUT_SHORT + PART + data(), failed(PROTOCOL_ERROR)),
    "6.10/3 CONTINUATION of the connection": (
        CUT_SHORT + frame(frames.CONTINUATION, END_HEADERS, 0, b"\x00\x01c\x01d"),
        failed(PROTOCOL_ERROR),
    ),
    "6.10/4 CONTINUATION behind whole HEADERS": (headers() + LAST_PART, failed(PROTOCOL_ERROR)),
    "6.10/5 CONTINUATION behind the last one": (CUT_SHORT + LAST_PART * 2, failed(PROTOCOL_ERROR)),
    "6.10/6 CONTINUATION behind DATA": (headers() + data(flags=0) + PART + LAST_PART, failed(PROTOCOL_ERROR)),
    "7/1 GOAWAY of an unknown code": (frames.goaway(0, UNKNOWN_CODE), Wire.untroubled),
    "7/2 RST_STREAM of an unknown code": (headers() + frames.rst_stream(1, UNKNOWN_CODE), Wire.untroubled),
}


@pytest.mark.parametrize("name", CASES)
def test_types_of_frames(wire: Wire, name: str) -> None:
    run(wire, CASES[name])


@pytest.mark.parametrize("name", TALKS)
def test_types_of_frames_in_turn(wire: Wire, name: str) -> None:
    TALKS[name](wire)
