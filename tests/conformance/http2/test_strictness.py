"""What h2spec does not ask: where the rules of streams and frames are strict, and where they must not be."""

import pytest

from tests.conformance.http2.echo_server import MAX_STREAMS
from tests.conformance.http2.wire import (
    FENCE,
    HELLO,
    HOLD,
    WHOLE,
    Case,
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
    HAS_PRIORITY,
    MAX_WINDOW,
    NO_ERROR,
    PREFACE,
    PROTOCOL_ERROR,
    STREAM_CLOSED,
    frame,
)

NO_GRPC = [*HEADERS[:-1], ("content-type", "text/html")]
TRAILERS = headers(fields=[("a", "b")], flags=WHOLE)
MALFORMED = headers(fields=[*HEADERS, ("connection", "close")])
SHUT = headers(fields=NO_GRPC)

CASES: dict[str, Case] = {
    "HEADERS too short for their priority": (
        frame(frames.HEADERS, WHOLE | HAS_PRIORITY, 1, bytes(4)),
        failed(FRAME_SIZE_ERROR),
    ),
    "PRIORITY of 4 bytes when idle": (frame(frames.PRIORITY, 0, 1, bytes(4)), failed(FRAME_SIZE_ERROR)),
    "PRIORITY on itself when open": (headers() + priority(1, depends_on=1), reset(PROTOCOL_ERROR)),
    "GOAWAY of 7 bytes": (frame(frames.GOAWAY, 0, 0, bytes(7)), failed(FRAME_SIZE_ERROR)),
    "a window that SETTINGS make too wide": (
        request(fields=HOLD) + frames.window_update(1, MAX_WINDOW - 65535) + settings((4, 65536)),
        failed(FLOW_CONTROL_ERROR),
    ),
    "trailers when half-closed": (request(fields=HOLD) + TRAILERS, reset(STREAM_CLOSED)),
    "DATA behind trailers": (
        headers(fields=HOLD) + data(flags=0) + TRAILERS + data(),
        reset(STREAM_CLOSED),
    ),
    "WINDOW_UPDATE and RST_STREAM when closed": (
        headers(flags=WHOLE) + frames.window_update(1, 1) + frames.rst_stream(1, frames.CANCEL),
        Wire.untroubled,
    ),
    "DATA of a stream that was left out": (request(5) + data(stream=3), failed(STREAM_CLOSED)),
    "DATA behind the end of what was answered early": (SHUT + data() + data(), failed(STREAM_CLOSED)),
    "HEADERS behind the end of what was answered early": (SHUT + data() + headers(), failed(STREAM_CLOSED)),
    "DATA of what the client cancelled too": (
        SHUT + frames.rst_stream(1, frames.CANCEL) + data(),
        failed(STREAM_CLOSED),
    ),
}
LATE: dict[str, bytes] = {
    "DATA": data(flags=0) * 3 + data(),
    "trailers": data(flags=0) + TRAILERS,
    "WINDOW_UPDATE": frames.window_update(1, 100),
    "RST_STREAM": frames.rst_stream(1, frames.CANCEL),
    "PRIORITY": priority(1),
}
ENDED_EARLY: dict[str, tuple[bytes, int]] = {
    "answered": (SHUT, NO_ERROR),
    "malformed": (MALFORMED, PROTOCOL_ERROR),
    "broken": (headers() + frames.window_update(1, 0), PROTOCOL_ERROR),
}


@pytest.mark.parametrize("name", CASES)
def test_streams_and_frames(wire: Wire, name: str) -> None:
    run(wire, CASES[name])


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize("ended", ENDED_EARLY)
def test_what_was_on_its_way_is_left_out(wire: Wire, ended: str, late: str) -> None:
    sent, code = ENDED_EARLY[ended]
    run(wire, (sent + LATE[late], reset(code)))
    wire.send(request(3))
    wire.answered(3)


def test_what_is_on_its_way_to_refused_streams_is_left_out(wire: Wire) -> None:
    wire.greet()
    numbers = range(1, 6 * MAX_STREAMS, 2)
    wire.send(*(headers(number) for number in numbers), *(data(HELLO[:3], number, flags=0) for number in numbers))
    wire.send(*(data(HELLO[3:], number) for number in numbers))
    for number in numbers[:MAX_STREAMS]:
        wire.frame_of(frames.DATA, number)
    wire.send(FENCE)
    wire.alive()


def test_a_client_that_begins_without_settings_is_let_go(wire: Wire) -> None:
    wire.send(PREFACE, headers(), data())
    wire.failed(PROTOCOL_ERROR)


def test_headers_of_a_refused_request_still_count_for_the_table(wire: Wire) -> None:
    indexed = b"\x40\x0cx-request-id\x05an-id"
    run(wire, (headers(fields=[*HEADERS, ("connection", "close")], more=indexed), reset(PROTOCOL_ERROR)))
    wire.send(frame(frames.HEADERS, END_HEADERS, 3, LITERALS + b"\xbe"), data(stream=3))
    assert wire.answer(3)[0]["x-request-id"] == "an-id"
