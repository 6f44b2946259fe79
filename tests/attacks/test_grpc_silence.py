"""Clients that begin and do not go on: they must not keep others out, nor be waited for for ever."""

from collections.abc import Callable

import pytest

from tests.attacks.grpc_target import ECHO, WATCH
from tests.attacks.trial import Target, flood, withstands
from tests.serving.http2.peers import HELLO, LITERALS, prefixed
from unroll.serving.http2 import frames
from unroll.serving.http2.frames import PREFACE, frame

STREAMS = range(1, 4096, 2)  # as many as one connection may have
WATCHES = LITERALS.replace(bytes((len(ECHO),)) + ECHO.encode(), bytes((len(WATCH),)) + WATCH.encode())
NARROW = frames.settings({frames.INITIAL_WINDOW_SIZE: 0})
WIDE = frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 30}) + frames.window_update(0, 1 << 30)


def opened(block: bytes = LITERALS) -> bytes:
    return b"".join(frame(frames.HEADERS, frames.END_HEADERS, number, block) for number in STREAMS)


def sent(data: bytes, flags: int = 0) -> bytes:
    return b"".join(frame(frames.DATA, flags, number, data) for number in STREAMS)


MANY = {
    "requests of headers": HELLO + opened(),
    "requests of half a message": HELLO + opened() + sent(prefixed(bytes(100))[:50]),
    "streams without a message": HELLO + opened(WATCHES),
    "answers for which no window opens": HELLO + NARROW + opened() + sent(prefixed(bytes(50)), frames.END_STREAM),
}


@pytest.mark.parametrize("name", MANY)
def test_streams_that_stand_still(grpc_target: Target, name: str) -> None:
    withstands(grpc_target, lambda: flood(grpc_target.port, MANY[name], connections=4))


def test_bodies_that_come_byte_by_byte(grpc_target: Target) -> None:
    opening, crumbs = HELLO + opened() + sent(prefixed(bytes(10_000))[:5]), sent(b"x")
    withstands(grpc_target, lambda: flood(grpc_target.port, opening, lambda: crumbs, 4, bytes_per_second=100_000))


@pytest.mark.parametrize(
    "begun",
    [HELLO + frame(frames.HEADERS, 0, 1, LITERALS[:9]), HELLO + frame(frames.HEADERS, 0, 1, LITERALS)[:20]],
    ids=["a header block", "a frame"],
)
def test_what_is_begun_and_left(start_grpc: Callable[..., Target], begun: bytes) -> None:
    target = start_grpc(stall_seconds=1)
    withstands(target, lambda: flood(target.port, begun, connections=100))


def test_answers_that_are_not_read(start_grpc: Callable[..., Target]) -> None:
    target = start_grpc(stall_seconds=0.5)
    calls = b"".join(
        frame(frames.HEADERS, frames.END_HEADERS, number, LITERALS)
        + frame(frames.DATA, frames.END_STREAM, number, prefixed(bytes(16_000)))
        for number in STREAMS[:500]
    )
    withstands(target, lambda: flood(target.port, HELLO + WIDE + calls, connections=2, reads=False))


def test_pings_whose_answers_are_not_read(start_grpc: Callable[..., Target]) -> None:
    """The internal data buffering of CVE-2019-9517, with the ping flood of CVE-2019-9512."""
    target = start_grpc(stall_seconds=0.5)
    pings = frame(frames.PING, 0, 0, bytes(8)) * 1000
    withstands(target, lambda: flood(target.port, HELLO, lambda: pings, connections=4, reads=False))


def test_messages_of_which_half_is_sent(start_grpc: Callable[..., Target]) -> None:
    """An address may keep half of the bytes that all have for requests that come in part."""
    target = start_grpc(max_buffered_bytes=4 << 20, max_message_bytes=1 << 20)
    half = b"".join(frame(frames.HEADERS, frames.END_HEADERS, number, LITERALS) for number in range(1, 41, 2))
    half += b"".join(
        frame(frames.DATA, 0, number, part)
        for number in range(1, 41, 2)
        for part in (prefixed(bytes(1 << 20))[:16384], *[bytes(16384)] * 30)
    )
    withstands(target, lambda: flood(target.port, HELLO + half, connections=4, source="127.0.0.2"), within=None)


@pytest.mark.parametrize("said", [b"", PREFACE[:7], b"\x16\x03\x01"], ids=["nothing", "half a preface", "half a hello"])
def test_connections_that_say_nothing(start_grpc: Callable[..., Target], said: bytes) -> None:
    """While connections run short, one that says nothing has a second."""
    target = start_grpc(max_connections=64)
    withstands(target, lambda: flood(target.port, said, connections=200, source="127.0.0.2"))


def test_connections_that_ask_nothing(start_grpc: Callable[..., Target]) -> None:
    """They are told to go elsewhere, with their next request too, and closed."""
    target = start_grpc(max_connections=64, idle_seconds=10)
    withstands(target, lambda: flood(target.port, HELLO, connections=200, source="127.0.0.2"))
