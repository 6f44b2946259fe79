"""What every HTTP/2 server accepts: the 44 generic cases of h2spec, by its numbers, asked of gRPC."""

import pytest

from tests.conformance.http2.literals import Form, literal
from tests.conformance.http2.wire import (
    FENCE,
    GET,
    HELLO,
    HOLD,
    WHOLE,
    Case,
    Check,
    Wire,
    data,
    dependency,
    headers,
    priority,
    request,
    run,
    settings,
)
from tests.serving.http2.peers import HEADERS, LITERALS
from unroll.serving.http2 import frames
from unroll.serving.http2.frames import END_HEADERS, END_STREAM, HAS_PRIORITY, PADDED, PREFACE, frame


def greeted(wire: Wire) -> None:
    wire.send(PREFACE, settings((frames.INITIAL_WINDOW_SIZE, 65535)))
    first = wire.next()
    assert first is not None
    assert (first.kind, first.flags & frames.ACK) == (frames.SETTINGS, 0)


def narrow(*parts: bytes) -> Check:
    """A call that finds no window is answered by the byte which the last part makes room for."""

    def check(wire: Wire) -> None:
        wire.greet((frames.INITIAL_WINDOW_SIZE, 0))
        wire.send(request(), *parts)
        assert wire.frame_of(frames.DATA, 1).payload == HELLO[:1]

    return check


def closed(wire: Wire) -> None:
    wire.greet()
    wire.send(request())
    wire.answered()
    wire.send(priority(1), FENCE)
    wire.untroubled()


def acknowledged(wire: Wire) -> None:
    assert wire.frame_of(frames.SETTINGS).flags & frames.ACK


def status(code: str) -> Check:
    def check(wire: Wire) -> None:
        assert wire.answer()[0][":status"] == code

    return check


def named(request_id: str) -> Check:
    """The server read this id from the request's headers."""

    def check(wire: Wire) -> None:
        assert wire.answer()[0]["x-request-id"] == request_id

    return check


def described(form: Form, huffman: bool) -> tuple[Case, Case]:
    """Calls with one more header, its name of the static table (58, user-agent) and spelt out."""
    known, new = literal(form, 58, "a client", huffman), literal(form, "x-request-id", "an-id", huffman)
    return (headers(more=known) + data(), Wire.answered), (headers(more=new) + data(), named("an-id"))


ALL_SETTINGS = settings(
    (frames.HEADER_TABLE_SIZE, 4096),
    (frames.ENABLE_PUSH, 1),
    (frames.MAX_CONCURRENT_STREAMS, 100),
    (frames.INITIAL_WINDOW_SIZE, 65535),
    (frames.MAX_FRAME_SIZE, 16384),
    (frames.MAX_HEADER_LIST_SIZE, 100),
)
PADDING = bytes(8)
REPRESENTATIONS = [case for form in Form for coded in (False, True) for case in described(form, coded)]

TALKS: dict[str, Check] = {
    "1/1 a preface": greeted,
    "2/2 WINDOW_UPDATE when half-closed": narrow(frames.window_update(1, 1)),
    "2/3 PRIORITY when half-closed": narrow(priority(1), frames.window_update(1, 1)),
    "2/5 PRIORITY when closed": closed,
}
CASES: dict[str, Case] = {
    "2/1 PRIORITY when idle": (priority(1), Wire.untroubled),
    "2/4 RST_STREAM when half-closed": (
        headers(fields=HOLD) + data() + frames.rst_stream(1, frames.CANCEL),
        Wire.untroubled,
    ),
    "3.1/1 DATA": (request(), Wire.answered),
    "3.1/2 DATA in parts": (headers() + data(HELLO[:4], flags=0) + data(HELLO[4:]), Wire.answered),
    "3.1/3 DATA with padding": (headers() + data(b"\x05" + HELLO + bytes(5), flags=PADDED | END_STREAM), Wire.answered),
    "3.2/1 HEADERS": (headers(flags=WHOLE), Wire.refused),
    "3.2/2 HEADERS with padding": (
        frame(frames.HEADERS, END_HEADERS | PADDED, 1, b"\x08" + LITERALS + PADDING) + data(),
        Wire.answered,
    ),
    "3.2/3 HEADERS with priority": (
        frame(frames.HEADERS, END_HEADERS | HAS_PRIORITY, 1, dependency() + LITERALS) + data(),
        Wire.answered,
    ),
    "3.3/1 PRIORITY of 1": (priority(1, weight=0) + request(), Wire.answered),
    "3.3/2 PRIORITY of 256": (priority(1, weight=255) + request(), Wire.answered),
    "3.3/3 PRIORITY behind another stream": (priority(3, depends_on=1, weight=0) + request(), Wire.answered),
    "3.3/4 PRIORITY alone": (priority(1, weight=0, exclusive=True) + request(), Wire.answered),
    "3.3/5 PRIORITY of a later stream": (priority(3) + request(), Wire.answered),
    "3.4/1 RST_STREAM": (headers() + frames.rst_stream(1, frames.CANCEL), Wire.untroubled),
    "3.5/1 SETTINGS": (ALL_SETTINGS, acknowledged),
    "3.7/1 PING": (b"", Wire.untroubled),
    "3.8/1 GOAWAY": (frames.goaway(0, frames.NO_ERROR, "bye"), Wire.untroubled),
    "3.9/1 WINDOW_UPDATE of the connection": (frames.window_update(0, 1), Wire.untroubled),
    "3.9/2 WINDOW_UPDATE of a stream": (headers() + frames.window_update(1, 1) + data(), Wire.answered),
    "3.10/1 CONTINUATION": (
        frame(frames.HEADERS, 0, 1, LITERALS[:5]) + frame(frames.CONTINUATION, END_HEADERS, 1, LITERALS[5:]) + data(),
        Wire.answered,
    ),
    "3.10/2 CONTINUATION in parts": (
        frame(frames.HEADERS, 0, 1, LITERALS[:5])
        + frame(frames.CONTINUATION, 0, 1, LITERALS[5:10])
        + frame(frames.CONTINUATION, END_HEADERS, 1, LITERALS[10:])
        + data(),
        Wire.answered,
    ),
    "4/1 GET": (headers(fields=GET, flags=WHOLE), status("405")),
    "4/2 HEAD": (headers(fields=[(":method", "HEAD"), *GET[1:]], flags=WHOLE), status("405")),
    "4/3 POST": (request(), Wire.answered),
    "4/4 POST with trailers": (
        headers(fields=[*HEADERS, ("trailer", "x-test")])
        + data(flags=0)
        + headers(fields=[("x-test", "ok")], flags=WHOLE),
        Wire.answered,
    ),
    "5/1 an indexed header": (headers(more=b"\xba") + data(), Wire.answered),
    **{f"5/{number} a literal header": case for number, case in enumerate(REPRESENTATIONS, 2)},
    "5/14 another table size": (
        frame(frames.HEADERS, END_HEADERS, 1, b"\x3f\x61" + LITERALS) + data(),
        Wire.answered,
    ),
    "5/15 another table size, and another": (
        frame(frames.HEADERS, END_HEADERS, 1, b"\x3f\x61\x3f\xe1\x1f" + LITERALS) + data(),
        Wire.answered,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_every_server_accepts(wire: Wire, name: str) -> None:
    run(wire, CASES[name])


@pytest.mark.parametrize("name", TALKS)
def test_what_every_server_accepts_in_turn(wire: Wire, name: str) -> None:
    TALKS[name](wire)
