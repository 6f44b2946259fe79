"""Requests that HTTP does not have (RFC 9113, section 8): 20 cases of h2spec, by its numbers, and their like.

Whoever stands in front of the server reads such a request in one way or another, so the server reads it in none.
"""

import pytest

from tests.conformance.http2.wire import FENCE, HELLO, Case, Fields, Wire, data, failed, headers, reset, run
from tests.serving.http2.peers import HEADERS
from unroll.serving.http2 import frames
from unroll.serving.http2.frames import PROTOCOL_ERROR, frame

METHOD, SCHEME, PATH, AUTHORITY = HEADERS[:4]
REGULAR = HEADERS[4:]
SIZE = str(len(HELLO))


def without(field: tuple[str, str]) -> Fields:
    return [one for one in HEADERS if one != field]


def trailers(fields: Fields, flags: int = frames.END_HEADERS | frames.END_STREAM) -> bytes:
    """A call that ends so."""
    return headers() + data(flags=0) + headers(fields=fields, flags=flags)


def sized(size: str, *parts: bytes) -> bytes:
    """A call that says how many bytes it has, and has these."""
    sent = b"".join(data(part, flags=frames.END_STREAM if part is parts[-1] else 0) for part in parts)
    return headers(fields=[*HEADERS, ("content-length", size)]) + sent


MALFORMED: dict[str, Fields] = {
    "8.1.2/1 an upper-case name": [*HEADERS, ("X-TEST", "ok")],
    "8.1.2.1/1 an unknown pseudo-header": [*HEADERS[:4], (":test", "ok"), *REGULAR],
    "8.1.2.1/2 a pseudo-header of answers": [*HEADERS[:4], (":status", "200"), *REGULAR],
    "8.1.2.1/4 a pseudo-header behind another header": [("x-test", "ok"), *HEADERS],
    "8.1.2.2/1 a header of the connection": [*HEADERS, ("connection", "keep-alive")],
    "8.1.2.2/2 TE of anything but trailers": [*without(("te", "trailers")), ("te", "trailers, deflate")],
    "8.1.2.3/1 an empty :path": [METHOD, SCHEME, (":path", ""), AUTHORITY, *REGULAR],
    "8.1.2.3/2 no :method": without(METHOD),
    "8.1.2.3/3 no :scheme": without(SCHEME),
    "8.1.2.3/4 no :path": without(PATH),
    "8.1.2.3/5 two of :method": [METHOD, *HEADERS],
    "8.1.2.3/6 two of :scheme": [SCHEME, *HEADERS],
    "8.1.2.3/7 two of :path": [PATH, *HEADERS],
    "two of :authority": [AUTHORITY, *HEADERS],
    "two of :method, one of them behind": [*HEADERS, METHOD],
    "a path that is not one": [METHOD, SCHEME, (":path", "test.Service/Echo"), AUTHORITY, *REGULAR],
    "another host than :authority": [*HEADERS, ("host", "elsewhere")],
    "two hosts": [*without(AUTHORITY), ("host", "here"), ("host", "there")],
    "one upper-case letter": [*HEADERS, ("content-Length", SIZE)],
    "an empty name": [*HEADERS, ("", "ok")],
    "a name with a blank": [*HEADERS, ("content-length ", SIZE)],
    "a name with a colon": [*HEADERS, ("content-length:", SIZE)],
    "a value with a line break": [*HEADERS, ("x-test", "a\r\ncontent-length: 0")],
    "a value with a NUL": [*HEADERS, ("x-test", "a\0b")],
    "a :path with a line break": [METHOD, SCHEME, (":path", PATH[1] + "\nx"), AUTHORITY, *REGULAR],
    **{
        f"a header of the connection, {name}": [*HEADERS, (name, value)]
        for name, value in {
            "proxy-connection": "keep-alive",
            "keep-alive": "timeout=5",
            "transfer-encoding": "chunked",
            "upgrade": "h2c",
        }.items()
    },
    "content-length twice": [*HEADERS, ("content-length", SIZE), ("content-length", SIZE)],
    "content-length of two": [*HEADERS, ("content-length", f"{SIZE}, {SIZE}")],
    "content-length with a sign": [*HEADERS, ("content-length", f"+{SIZE}")],
    "content-length in another script": [*HEADERS, ("content-length", "1\xb2")],
    "content-length of nothing": [*HEADERS, ("content-length", "")],
}
CASES: dict[str, Case] = {
    "8.1/1 trailers without an end": (trailers([("x-test", "ok")], frames.END_HEADERS), reset(PROTOCOL_ERROR)),
    "8.1.2.1/3 a pseudo-header in trailers": (trailers([METHOD]), reset(PROTOCOL_ERROR)),
    "an upper-case name in trailers": (trailers([("X-TEST", "ok")]), reset(PROTOCOL_ERROR)),
    "a header of the connection in trailers": (trailers([("connection", "close")]), reset(PROTOCOL_ERROR)),
    "8.1.2.6/1 content-length that is not DATA's": (sized("1", HELLO), reset(PROTOCOL_ERROR)),
    "8.1.2.6/2 content-length that is not the sum": (sized("1", HELLO[:4], HELLO[4:]), reset(PROTOCOL_ERROR)),
    "content-length that is more than the sum": (sized("11", HELLO[:4], HELLO[4:]), reset(PROTOCOL_ERROR)),
    "content-length of DATA that never comes": (
        headers(fields=[*HEADERS, ("content-length", SIZE)], flags=frames.END_HEADERS | frames.END_STREAM),
        reset(PROTOCOL_ERROR),
    ),
    "content-length that trailers cut short": (
        headers(fields=[*HEADERS, ("content-length", SIZE)]) + data(HELLO[:4], flags=0) + headers(fields=[], flags=5),
        reset(PROTOCOL_ERROR),
    ),
    "content-length": (sized(SIZE, HELLO), Wire.answered),
    "content-length of the sum": (sized(SIZE, HELLO[:4], HELLO[4:]), Wire.answered),
    "content-length before padding": (
        headers(fields=[*HEADERS, ("content-length", SIZE)])
        + data(b"\x03" + HELLO + bytes(3), flags=frames.PADDED | frames.END_STREAM),
        Wire.answered,
    ),
    "content-length before trailers": (
        headers(fields=[*HEADERS, ("content-length", SIZE)]) + data(flags=0) + headers(fields=[("a", "b")], flags=5),
        Wire.answered,
    ),
    "8.2/1 a push": (frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, bytes(4)), failed(PROTOCOL_ERROR)),
}
UNUSUAL: dict[str, Fields] = {
    "a host like :authority": [*HEADERS, ("host", AUTHORITY[1])],
    "a host and no :authority": [*without(AUTHORITY), ("host", "here")],
    "neither host nor :authority": without(AUTHORITY),
    "no te": without(("te", "trailers")),
    "te in other letters": [*without(("te", "trailers")), ("te", "Trailers")],
    "metadata twice": [*HEADERS, ("x-test", "a"), ("x-test", "b")],
    "cookies in parts": [*HEADERS, ("cookie", "a=1"), ("cookie", "b=2")],
    "every sign that a name may have": [*HEADERS, ("!#$%&'*+-.^_`|~09az", "ok")],
    "a value of blanks": [*HEADERS, ("x-test", " a ")],
    "an empty value": [*HEADERS, ("x-test", "")],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_requests_are_reset_each_time(wire: Wire, name: str) -> None:
    wire.greet()
    for number in (1, 3, 5):
        wire.send(headers(number, MALFORMED[name]), data(stream=number), FENCE)
        wire.reset(PROTOCOL_ERROR, stream=number)
    wire.send(headers(7), data(stream=7))
    wire.answered(7)


@pytest.mark.parametrize("name", CASES)
def test_requests_and_their_bodies(wire: Wire, name: str) -> None:
    run(wire, CASES[name])


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_requests_are_answered(wire: Wire, name: str) -> None:
    run(wire, (headers(fields=UNUSUAL[name]) + data(), Wire.answered))
