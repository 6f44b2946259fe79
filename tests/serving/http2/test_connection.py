"""HTTP/2 at its edges, spoken by the `h2` package and byte by byte."""

import asyncio
import contextlib
import struct

import h2.events
import h2.settings
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.http2.peers import HEADERS, LITERALS, Peer, echo_of, goaway_code, prefixed, raw, request, serving
from unroll.serving.http2 import GrpcLimits, GrpcServer, frames
from unroll.serving.http2.frames import PREFACE, frame
from unroll.serving.protocol.call import Call


async def test_another_implementation_is_answered_again_and_again() -> None:
    async with serving() as port:
        peer = await Peer.connect(port)
        for number in range(50):
            assert await peer.ask(str(number).encode()) == str(number).encode()
        peer.writer.close()


async def test_bytes_that_come_one_at_a_time() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for byte in PREFACE + frame(frames.SETTINGS, 0, 0, b"") + request():
            writer.write(bytes((byte,)))
            await writer.drain()
        await echo_of(reader, b"hello")
        writer.close()


async def test_padding_priority_continuation_and_unknown_frames() -> None:
    half = len(LITERALS) // 2
    opened = b"\x03" + b"\x00\x00\x00\x00\x10" + LITERALS[:half] + b"\x00" * 3
    parts = (
        frame(frames.PRIORITY, 0, 1, b"\x00\x00\x00\x00\x10"),
        frame(99, 255, 0, b"an extension"),
        frame(frames.HEADERS, frames.PADDED | frames.HAS_PRIORITY, 1, opened),
        frame(frames.CONTINUATION, 0, 1, LITERALS[half:-1]),
        frame(frames.CONTINUATION, frames.END_HEADERS, 1, LITERALS[-1:]),
        frame(frames.DATA, frames.PADDED, 1, b"\x02" + prefixed(b"hello")[:7] + b"\x00\x00"),
        frame(frames.DATA, 0, 1, b""),
        frame(frames.DATA, frames.END_STREAM, 1, prefixed(b"hello")[7:]),
    )
    async with serving() as port:
        reader, writer = await raw(port, *parts)
        await echo_of(reader, b"hello")
        writer.close()


async def test_an_answer_fits_the_windows_that_the_client_opens() -> None:
    message = bytes(range(256)) * 200
    async with serving() as port:
        peer = await Peer.connect(port)
        peer.http.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1000})
        await peer.send()
        await peer.hear(lambda: any(isinstance(e, h2.events.SettingsAcknowledged) for e in peer.events))
        peer.http.send_headers(1, HEADERS)
        whole = prefixed(message)
        for start in range(0, len(whole), 16384):
            peer.http.send_data(1, whole[start : start + 16384], end_stream=start + 16384 >= len(whole))
        await peer.send()
        await peer.hear(lambda: len(peer.body.get(1, b"")) == 1000, acknowledge=False)
        peer.http.increment_flow_control_window(500, 1)
        await peer.send()
        await peer.hear(lambda: len(peer.body[1]) == 1500, acknowledge=False)
        assert 1 not in peer.ended
        peer.http.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 100_000})
        await peer.send()
        await peer.hear(lambda: 1 in peer.ended, acknowledge=False)
        assert peer.body[1] == whole
        assert max(peer.sizes) <= 16384
        peer.writer.close()


async def test_one_slow_reader_does_not_hold_up_another_stream() -> None:
    async with serving() as port:
        peer = await Peer.connect(port)
        peer.http.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
        await peer.send()
        await peer.hear(lambda: any(isinstance(e, h2.events.SettingsAcknowledged) for e in peer.events))
        peer.http.send_headers(1, HEADERS)
        peer.http.send_data(1, prefixed(b"a" * 100), end_stream=True)
        await peer.send()
        await peer.hear(lambda: 1 in peer.body, acknowledge=False)
        peer.http.send_headers(3, HEADERS)
        peer.http.send_data(3, prefixed(b"b"), end_stream=True)
        await peer.send()
        await peer.hear(lambda: 3 in peer.ended, acknowledge=False)
        assert peer.body[3][5:] == b"b"
        assert 1 not in peer.ended
        peer.writer.close()


BROKEN = {
    "a frame too large": (b"\x00\x40\x01" + bytes(6) + bytes(16385), frames.FRAME_SIZE_ERROR),
    "an even stream": (request(2), frames.PROTOCOL_ERROR),
    "data of no stream": (frame(frames.DATA, 0, 1, b"x"), frames.PROTOCOL_ERROR),
    "data of the connection": (frame(frames.DATA, 0, 0, b"x"), frames.PROTOCOL_ERROR),
    "a broken header block": (frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff" * 20), frames.COMPRESSION_ERROR),
    "a header block cut short": (
        frame(frames.HEADERS, 0, 1, LITERALS) + frame(frames.PING, 0, 0, bytes(8)),
        frames.PROTOCOL_ERROR,
    ),
    "continuation of nothing": (frame(frames.CONTINUATION, 0, 1, b""), frames.PROTOCOL_ERROR),
    "a header block without end": (
        frame(frames.HEADERS, 0, 1, LITERALS) + frame(frames.CONTINUATION, 0, 1, bytes(9000)) * 2,
        frames.ENHANCE_YOUR_CALM,
    ),
    "headers too large": (
        frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x40\x01a\x7f\x81\x01" + b"b" * 256 + b"\xbe" * 100),
        frames.ENHANCE_YOUR_CALM,
    ),
    "a short ping": (frame(frames.PING, 0, 0, b"1234"), frames.FRAME_SIZE_ERROR),
    "a short reset": (request() + frame(frames.RST_STREAM, 0, 1, b"1"), frames.FRAME_SIZE_ERROR),
    "a reset of no stream": (frame(frames.RST_STREAM, 0, 7, bytes(4)), frames.PROTOCOL_ERROR),
    "a push": (frame(frames.PUSH_PROMISE, 0, 1, bytes(4)), frames.PROTOCOL_ERROR),
    "settings of odd size": (frame(frames.SETTINGS, 0, 0, bytes(5)), frames.FRAME_SIZE_ERROR),
    "a window too large": (
        frame(frames.WINDOW_UPDATE, 0, 0, struct.pack(">L", 2**31 - 1)),
        frames.FLOW_CONTROL_ERROR,
    ),
    "a window of nothing": (frame(frames.WINDOW_UPDATE, 0, 0, bytes(4)), frames.PROTOCOL_ERROR),
    "an initial window too large": (frames.settings({frames.INITIAL_WINDOW_SIZE: 2**31}), frames.FLOW_CONTROL_ERROR),
    "more padding than frame": (
        frame(frames.HEADERS, frames.END_HEADERS | frames.PADDED, 1, b"\xff\x00"),
        frames.PROTOCOL_ERROR,
    ),
    "streams opened and cancelled": (
        b"".join(
            frame(frames.HEADERS, frames.END_HEADERS, number, LITERALS) + frames.rst_stream(number, frames.CANCEL)
            for number in range(1, 4001, 2)
        ),
        frames.ENHANCE_YOUR_CALM,
    ),
    "streams opened and broken, for the server to reset": (
        b"".join(
            frame(frames.HEADERS, frames.END_HEADERS, number, LITERALS) + frames.window_update(number, 0)
            for number in range(1, 4001, 2)
        ),
        frames.ENHANCE_YOUR_CALM,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_who_breaks_the_protocol_is_told_and_let_go(name: str) -> None:
    sent, code = BROKEN[name]
    async with serving() as port:
        reader, writer = await raw(port, sent)
        assert await goaway_code(reader) == code
        writer.close()
        peer = await Peer.connect(port)
        assert await peer.ask() == b"hello"
        peer.writer.close()


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"])
async def test_who_speaks_another_protocol_is_let_go(sent: bytes) -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(20):
            assert b"this port speaks gRPC" in await reader.read(-1)
        writer.close()


BAD_CALLS = {
    "no POST": ([(":method", "GET"), *HEADERS[1:]], b"", ":status", "405"),
    "no gRPC": ([*HEADERS[:-1], ("content-type", "text/html")], b"", ":status", "415"),
    "gRPC-Web": ([*HEADERS[:-1], ("content-type", "application/grpc-web+proto")], b"", ":status", "415"),
    "an unknown encoding": ([*HEADERS, ("grpc-encoding", "zstd")], prefixed(b""), "grpc-status", "12"),
    "no message": (HEADERS, b"", "grpc-status", "3"),
    "half a prefix": (HEADERS, b"\x00\x00", "grpc-status", "3"),
    "half a message": (HEADERS, prefixed(b"hello")[:-1], "grpc-status", "3"),
    "two messages": (HEADERS, prefixed(b"a") * 2, "grpc-status", "3"),
    "compressed by nothing": (HEADERS, b"\x01" + prefixed(b"a")[1:], "grpc-status", "3"),
    "broken gzip": ([*HEADERS, ("grpc-encoding", "gzip")], b"\x01" + prefixed(b"abc")[1:], "grpc-status", "3"),
    "a flag of no meaning": (HEADERS, b"\x07" + prefixed(b"a")[1:], "grpc-status", "3"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
@pytest.mark.parametrize("in_two", [False, True])
async def test_calls_that_are_none(name: str, in_two: bool) -> None:
    headers, body, field, value = BAD_CALLS[name]
    async with serving() as port:
        peer = await Peer.connect(port)
        peer.http.send_headers(1, headers)
        if in_two:
            peer.http.send_data(1, body[: len(body) // 2])
            peer.http.send_data(1, body[len(body) // 2 :], end_stream=True)
        else:
            peer.http.send_data(1, body, end_stream=True)
        await peer.send()
        await peer.hear(lambda: 1 in peer.ended or any(isinstance(e, h2.events.StreamReset) for e in peer.events))
        assert peer.headers[1][field] == value
        assert await peer.ask() == b"hello"
        peer.writer.close()


async def test_streams_beyond_the_limit_are_refused_so_that_the_client_tries_again() -> None:
    async with serving(GrpcLimits(max_streams=2)) as port:
        opened = b"".join(frame(frames.HEADERS, frames.END_HEADERS, number, LITERALS) for number in (1, 3, 5))
        reader, writer = await raw(port, opened)
        wanted = frames.rst_stream(5, frames.REFUSED_STREAM)
        received = b""
        async with asyncio.timeout(20):
            while wanted not in received:
                received += await reader.read(65536)
        writer.close()


async def test_draining_ends_with_the_last_stream_that_is_cancelled() -> None:
    async def echo(message: bytes, call: Call) -> bytes:
        return message

    server = GrpcServer(echo, {})
    reader, writer = await raw(
        await server.listen("127.0.0.1", 0), frame(frames.HEADERS, frames.END_HEADERS, 1, LITERALS)
    )
    await reader.read(65536)
    stopping = asyncio.ensure_future(server.stop(drain_seconds=60))
    async with asyncio.timeout(20):
        while b"draining" not in (received := await reader.read(65536)):
            assert received
        writer.write(frame(frames.PING, frames.ACK, 0, b"draining"))
        assert await reader.read(65536) == frames.goaway(1, frames.NO_ERROR)
        writer.write(frames.rst_stream(1, frames.CANCEL))
        assert not await reader.read(65536)
        writer.close()
        await stopping


async def test_no_more_connections_than_the_limit() -> None:
    async with serving(GrpcLimits(max_connections=1)) as port:
        peer = await Peer.connect(port)
        assert await peer.ask() == b"hello"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(20):
            assert await reader.read(-1) == b""
        writer.close()
        assert await peer.ask() == b"hello"
        peer.writer.close()


FRAMES = st.builds(
    frame,
    st.integers(0, 10),
    st.integers(0, 255),
    st.sampled_from([0, 1, 2, 3, 5, 2**31 - 1]),
    st.one_of(st.binary(max_size=40), st.just(LITERALS), st.just(prefixed(b"x")), st.just(bytes(4))),
)
BYTES = st.lists(st.one_of(st.binary(max_size=30), FRAMES, st.just(request()), st.just(request(3))), max_size=12)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.booleans(), BYTES)
def test_no_bytes_bring_the_server_down(greet: bool, parts: list[bytes]) -> None:
    async def attempt() -> None:
        async with serving() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(ConnectionError):
                writer.write(PREFACE * greet + b"".join(parts))
                await writer.drain()
                writer.write_eof()
                async with asyncio.timeout(20):
                    await reader.read(-1)
            writer.close()
            peer = await Peer.connect(port)
            assert await peer.ask() == b"hello"
            peer.writer.close()

    asyncio.run(attempt())
