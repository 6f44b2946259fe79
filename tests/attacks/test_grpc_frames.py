"""Frames and calls that cost a client next to nothing: they must not cost others their answers."""

import itertools
import struct
from collections.abc import Callable

import pytest

from tests.attacks.trial import Target, flood, withstands
from tests.serving.http2.peers import HELLO, LITERALS, prefixed
from unroll.serving.http2 import frames
from unroll.serving.http2.frames import frame

OPENED = frame(frames.HEADERS, frames.END_HEADERS, 1, LITERALS)
SMALL_FRAMES = 1 << 14  # bytes of them, sent together

FRAMES = {
    "empty CONTINUATION (CVE-2024-27316)": (frame(frames.HEADERS, 0, 1, b""), frame(frames.CONTINUATION, 0, 1, b"")),
    "empty DATA (CVE-2019-9518)": (OPENED, frame(frames.DATA, 0, 1, b"")),
    "DATA of padding": (OPENED, frame(frames.DATA, frames.PADDED, 1, b"\x02\x00\x00")),
    "DATA of a byte": (OPENED + frame(frames.DATA, 0, 1, b"\x00\x01\xff\xff\xff"), frame(frames.DATA, 0, 1, b"x")),
    "PRIORITY (CVE-2019-9513)": (OPENED, frame(frames.PRIORITY, 0, 1, b"\x00\x00\x00\x00\x10")),
    "WINDOW_UPDATE": (OPENED, frames.window_update(1, 1)),
    "WINDOW_UPDATE of the connection": (b"", frames.window_update(0, 1)),
    "SETTINGS that change nothing (CVE-2019-9515)": (b"", frames.settings({frames.INITIAL_WINDOW_SIZE: 65535})),
    "SETTINGS of many values": (b"", frame(frames.SETTINGS, 0, 0, struct.pack(">HL", 99, 1) * 2700)),
    "PING (CVE-2019-9512)": (b"", frame(frames.PING, 0, 0, bytes(8))),
    "answers to no PING": (b"", frame(frames.PING, frames.ACK, 0, bytes(8))),
    "resets of a closed stream": (OPENED + frames.rst_stream(1, frames.CANCEL), frames.rst_stream(1, frames.CANCEL)),
    "unknown frames": (b"", frame(99, 0, 0, b"")),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_that_make_no_progress(grpc_target: Target, name: str) -> None:
    opening, one = FRAMES[name]
    many = one * (SMALL_FRAMES // len(one) + 1)
    withstands(grpc_target, lambda: flood(grpc_target.port, HELLO + opening, lambda: many, connections=4))


def headers(number: int, block: bytes = LITERALS, flags: int = frames.END_HEADERS) -> bytes:
    return frame(frames.HEADERS, flags, number, block)


def churn(number: int) -> bytes:
    """Literals that push each other out of the dynamic table, a few hundred a request, never the same."""
    return b"".join(b"\x40\x01a\x03%03x" % (number * 7 + field & 0xFFF) for field in range(150))


ENDED = frames.END_HEADERS | frames.END_STREAM
REQUESTS: dict[str, Callable[[int], bytes]] = {
    "rapid reset (CVE-2023-44487)": lambda n: headers(n) + frames.rst_stream(n, frames.CANCEL),
    "rapid reset of whole requests": lambda n: (
        headers(n) + frame(frames.DATA, frames.END_STREAM, n, prefixed(b"")) + frames.rst_stream(n, frames.CANCEL)
    ),
    "resets by the server (CVE-2025-8671, CVE-2019-9514)": lambda n: headers(n) + frames.window_update(n, 0),
    "requests of another protocol": lambda n: headers(n, b"\x82\x86\x84", ENDED),
    "calls that are refused": lambda n: headers(n, LITERALS + b"\x00\x0dgrpc-encoding\x04zstd", ENDED),
    "calls without a message": lambda n: headers(n, LITERALS, ENDED),
    "calls that are past their deadline": lambda n: (
        headers(n, LITERALS + b"\x00\x0cgrpc-timeout\x021n") + frame(frames.DATA, frames.END_STREAM, n, prefixed(b""))
    ),
    "empty headers (CVE-2019-9516)": lambda n: headers(n, b"\x82\x86\x84" + b"\x00\x00\x00" * 300, ENDED),
    "churn of the header table": lambda n: (
        headers(n, LITERALS + churn(n)) + frame(frames.DATA, frames.END_STREAM, n, prefixed(b""))
    ),
    "header tables of other sizes": lambda n: headers(n, b"\x20\x3f\xe1\x1f" * 500 + LITERALS, ENDED),
    "requests beyond the limit of streams": lambda n: headers(n),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_that_come_to_nothing(grpc_target: Target, name: str) -> None:
    numbers = itertools.count(1, 2)
    size = len(REQUESTS[name](1))

    def more() -> bytes:
        return b"".join(REQUESTS[name](next(numbers)) for _ in range(SMALL_FRAMES // size + 1))

    def attack() -> list[float | None]:
        nonlocal numbers
        numbers = itertools.count(1, 2)
        return flood(grpc_target.port, HELLO, more, connections=4)

    withstands(grpc_target, attack)


def test_header_bombs(grpc_target: Target) -> None:
    """One entry of 4,000 bytes in the table, named a thousand times: 4 MB of headers for 5 kB (CVE-2016-6581)."""
    block = b"\x40\x01a\x7f\xa1\x1e" + b"b" * 4000 + b"\xbe" * 1000
    withstands(grpc_target, lambda: flood(grpc_target.port, HELLO + headers(1, block), connections=4))


def test_an_answer_that_is_taken_byte_by_byte(grpc_target: Target) -> None:
    """The data dribble, CVE-2019-9511."""
    message = prefixed(bytes(60_000))
    parts = [message[at : at + 16384] for at in range(0, len(message), 16384)]
    asked = b"".join(frame(frames.DATA, 0, 1, part) for part in parts) + frame(frames.DATA, frames.END_STREAM, 1, b"")
    narrow = frames.settings({frames.INITIAL_WINDOW_SIZE: 0})
    many = frames.window_update(1, 1) * 1000
    withstands(
        grpc_target, lambda: flood(grpc_target.port, HELLO + narrow + OPENED + asked, lambda: many, connections=4)
    )
