"""gRPC calls over real sockets, by grpc's own client."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import uvloop

from tests.serving.http2.peers import HEADERS, Peer, prefixed, running
from unroll.serving.http2 import GrpcLimits, GrpcServer, frames
from unroll.serving.http2.frames import PREFACE, frame
from unroll.serving.protocol.call import Call
from unroll.serving.protocol.status import StatusError

ECHO, HOLD, FAIL, BREAK, COUNT = (f"/test.Service/{name}" for name in ("Echo", "Hold", "Fail", "Break", "Count"))

OWN = (("grpc.use_local_subchannel_pool", 1),)  # or else a channel shares the connection of another to the same port


class Service:
    """What the calls ask."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.held: list[str] = []
        self.cancelled: list[str] = []
        self.go = asyncio.Event()

    async def answer(self, message: bytes, call: Call) -> bytes:
        self.calls.append(call)
        if call.path == FAIL:
            raise StatusError(grpc.StatusCode.FAILED_PRECONDITION, message.decode())
        if call.path == BREAK:
            raise ZeroDivisionError
        if call.path == HOLD:
            self.held.append(call.request_id)
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                self.cancelled.append(call.request_id)
                raise
        return message

    async def count(self, messages: AsyncIterator[bytes], call: Call) -> AsyncIterator[bytes]:
        async for message in messages:
            for number in range(int(message)):
                yield str(number).encode()


@contextlib.asynccontextmanager
async def serving(limits: GrpcLimits | None = None) -> AsyncIterator[tuple[Service, GrpcServer, int]]:
    service = Service()
    server = GrpcServer(service.answer, {COUNT: service.count}, limits)
    port = await server.listen("127.0.0.1", 0)
    yield service, server, port
    await server.stop(0)


@contextlib.asynccontextmanager
async def calling(limits: GrpcLimits | None = None, **options: Any) -> AsyncIterator[tuple[Service, grpc.aio.Channel]]:
    unlimited = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
    async with (
        serving(limits) as (service, _, port),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=(*unlimited, *OWN), **options) as channel,
    ):
        yield service, channel


async def when(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("size", [0, 1, 16379, 16380, 65531, 65536, 1 << 20, (8 << 20) + 7])
async def test_messages_come_back_whole(size: int) -> None:
    message = bytes(range(251)) * (size // 251 + 1)
    async with calling() as (_, channel):
        for _ in range(3):
            assert await channel.unary_unary(ECHO)(message[:size], timeout=30) == message[:size]


async def test_many_calls_at_the_same_time_on_one_connection() -> None:
    messages = [str(number).encode() * (number % 97 * 300) for number in range(1000)]
    async with calling() as (_, channel):
        echo = channel.unary_unary(ECHO)
        assert await asyncio.gather(*(echo(message, timeout=60) for message in messages)) == messages


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_compressed_requests(compression: grpc.Compression) -> None:
    async with calling(compression=compression) as (service, channel):
        assert await channel.unary_unary(ECHO)(b"a" * 100_000, timeout=30) == b"a" * 100_000
    assert service.calls[0].metadata["grpc-encoding"] == compression.name.lower()


async def test_a_compressed_message_larger_than_the_limit_is_not_unpacked() -> None:
    async with calling(GrpcLimits(max_message_bytes=10_000), compression=grpc.Compression.Gzip) as (service, channel):
        call = channel.unary_unary(ECHO)(b"a" * 1_000_000, timeout=30)
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await call.details() == "Received message larger than max (10000)"
        assert not service.calls
        assert await channel.unary_unary(ECHO)(b"a" * 10_000, timeout=30) == b"a" * 10_000


async def test_a_message_larger_than_the_limit_is_refused_before_it_is_read() -> None:
    async with calling(GrpcLimits(max_message_bytes=10_000)) as (_, channel):
        call = channel.unary_unary(ECHO)(b"a" * 5_000_000, timeout=30)
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await call.details() == "Received message larger than max (5000000 vs. 10000)"
        assert await channel.unary_unary(ECHO)(b"next", timeout=30) == b"next"


async def test_unfinished_requests_have_a_limit_in_all() -> None:
    async with calling(GrpcLimits(max_buffered_bytes=100_000)) as (service, channel):
        call = channel.unary_unary(ECHO)(b"a" * 150_000, timeout=30)
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await call.details() == "the server holds too many unfinished requests"
        assert not service.calls
        for _ in range(3):  # what was given back counts no more
            assert await channel.unary_unary(ECHO)(b"a" * 90_000, timeout=30) == b"a" * 90_000


async def test_who_is_not_admitted_is_refused_before_the_message_is_read() -> None:
    def admit(call: Call) -> None:
        if "token" not in call.metadata:
            raise StatusError(grpc.StatusCode.UNAUTHENTICATED, "no token")

    service = Service()
    server = GrpcServer(service.answer, {COUNT: service.count}, None, admit)
    port = await server.listen("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(ECHO)(b"a" * 3_000_000, timeout=30)
        assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
        assert await call.details() == "no token"
        assert not service.calls
        assert await channel.unary_unary(ECHO)(b"in", metadata=(("token", "x"),), timeout=30) == b"in"
    await server.stop(0)


async def test_refusals_carry_code_text_and_request_id() -> None:
    text = '100 % "Übel"\n\tend'
    async with calling() as (_, channel):
        call = channel.unary_unary(FAIL)(text.encode(), metadata=(("x-request-id", "mine"),), timeout=30)
        assert await call.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert await call.details() == text
        assert dict(await call.trailing_metadata())["x-request-id"] == "mine"
        broken = channel.unary_unary(BREAK)(b"", timeout=30)
        assert await broken.code() is grpc.StatusCode.INTERNAL
        assert "ZeroDivision" not in await broken.details()


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("blank ", "blank%20"),
        (" two  ", "%20two %20"),
        (" ", "%20"),
        ("a\tb\x7f%ü~", "a%09b%7F%25%C3%BC~"),
        ("\t", "%09"),
    ],
)
async def test_messages_are_percent_encoded_down_to_the_blanks_at_their_ends(text: str, sent: str) -> None:
    async with serving() as (_, _, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        peer = await Peer.connect(port)
        peer.http.send_headers(1, [*HEADERS[:2], (":path", FAIL), *HEADERS[3:]])
        peer.http.send_data(1, prefixed(text.encode()), end_stream=True)
        await peer.send()
        await peer.hear(lambda: 1 in peer.ended)
        assert peer.headers[1]["grpc-message"] == sent
        peer.writer.close()
        assert await channel.unary_unary(FAIL)(text.encode(), timeout=30).details() == text


async def test_metadata_and_request_ids() -> None:
    async with calling() as (service, channel):
        call = channel.unary_unary(ECHO)(b"", metadata=(("key", "one"), ("key", "two"), ("x-request-id", "mine")))
        assert dict(await call.initial_metadata())["x-request-id"] == "mine"
        assert service.calls[0].metadata["key"] == "one,two"
        made_up = dict(await channel.unary_unary(ECHO)(b"").initial_metadata())["x-request-id"]
        assert len(made_up) == 32
        too_long = channel.unary_unary(ECHO)(b"", metadata=(("x-request-id", "x" * 129),))
        assert len(dict(await too_long.initial_metadata())["x-request-id"]) == 32


async def test_a_deadline_ends_the_call_on_both_sides() -> None:
    async with calling() as (service, channel):
        call = channel.unary_unary(HOLD)(b"", timeout=0.2)
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await when(lambda: service.cancelled)
        assert await channel.unary_unary(ECHO)(b"on", timeout=30) == b"on"


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("timeout", ["1n", "10u", "50m"])
def test_a_deadline_that_is_over_before_the_method_begins_is_told(
    loop: Callable[[], asyncio.AbstractEventLoop], timeout: str
) -> None:
    async def ask() -> None:
        async with running() as (_, port):  # which checks that nothing of the call is left
            peer = await Peer.connect(port)
            peer.http.send_headers(1, [*HEADERS, ("grpc-timeout", timeout)])
            if timeout == "50m":
                await peer.ask()  # so that the server has read the headers
            peer.http.send_data(1, prefixed(b"hello"), end_stream=True)
            await peer.send()
            time.sleep(0.06)  # the message is there and the deadline over when the server looks
            await peer.hear(lambda: 1 in peer.ended)
            assert peer.headers[1]["grpc-status"] in ("0", "4")  # asyncio's own loop begins the method first
            peer.writer.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(ask())


async def test_a_client_that_cancels_frees_what_it_held() -> None:
    async with calling() as (service, channel):
        call = channel.unary_unary(HOLD)(b"", timeout=60)
        code = asyncio.ensure_future(call.code())
        await when(lambda: service.held)
        call.cancel()
        assert await code is grpc.StatusCode.CANCELLED
        await when(lambda: service.cancelled == service.held)


async def test_a_lost_connection_ends_its_calls() -> None:
    async with serving() as (service, server, port):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            calls = [asyncio.ensure_future(channel.unary_unary(HOLD)(b"", timeout=60).code()) for _ in range(3)]
            await when(lambda: len(service.held) == 3)
        await asyncio.wait(calls)
        await when(lambda: sorted(service.cancelled) == sorted(service.held))
        assert server.usage.calls == 0


async def test_no_more_calls_at_the_same_time_than_the_limit() -> None:
    async with calling(GrpcLimits(max_concurrent_calls=2)) as (service, channel):
        calls = [asyncio.ensure_future(channel.unary_unary(HOLD)(b"", timeout=60).code()) for _ in range(2)]
        await when(lambda: len(service.held) == 2)
        assert await channel.unary_unary(ECHO)(b"").code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        service.go.set()
        assert await asyncio.gather(*calls) == [grpc.StatusCode.OK] * 2
        assert await channel.unary_unary(ECHO)(b"again") == b"again"


async def test_a_connection_with_more_calls_than_streams_waits_for_its_turn() -> None:
    async with calling(GrpcLimits(max_streams=3)) as (service, channel):
        echo = channel.unary_unary(ECHO)
        messages = [str(number).encode() for number in range(200)]
        answers = await asyncio.gather(*(echo(message, timeout=30) for message in messages), return_exceptions=True)
        assert answers == messages, f"{len(service.calls)} of {len(messages)} calls have reached the server"


async def test_streams_of_messages_both_ways() -> None:
    async with calling() as (_, channel):
        call = channel.stream_stream(COUNT)(timeout=30)
        for size in (3, 0, 2):
            await call.write(str(size).encode())
            assert [await call.read() for _ in range(size)] == [str(number).encode() for number in range(size)]
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK


async def test_draining_answers_what_is_in_flight_and_takes_nothing_new() -> None:
    async with serving() as (service, server, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        calls = [asyncio.ensure_future(channel.unary_unary(HOLD)(b"", timeout=60).code()) for _ in range(5)]
        await when(lambda: len(service.held) == 5)
        stopping = asyncio.ensure_future(server.stop(drain_seconds=60))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OWN) as late:
            assert await late.unary_unary(ECHO)(b"", timeout=30).code() is grpc.StatusCode.UNAVAILABLE
        assert not stopping.done()
        service.go.set()
        assert await asyncio.gather(*calls) == [grpc.StatusCode.OK] * 5
        await asyncio.wait_for(stopping, 10)


async def test_draining_ends_when_its_time_is_over() -> None:
    async with serving() as (service, server, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = asyncio.ensure_future(channel.unary_unary(HOLD)(b"", timeout=60).code())
        await when(lambda: service.held)
        await asyncio.wait_for(server.stop(drain_seconds=0.1), 10)
        assert await call is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("sent", [b"", PREFACE[:5], PREFACE + frame(frames.SETTINGS, 0, 0, b"")])
async def test_draining_does_not_wait_for_a_connection_that_is_silent(sent: bytes) -> None:
    async with serving() as (_, server, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert await channel.unary_unary(ECHO)(b"on", timeout=30) == b"on"
        await asyncio.wait_for(server.stop(drain_seconds=60), 5)
        writer.close()


async def test_a_unix_socket(tmp_path: Path) -> None:
    async with serving() as (_, server, _):
        await server.listen_unix(str(tmp_path / "socket"))
        async with grpc.aio.insecure_channel(f"unix:{tmp_path}/socket") as channel:
            assert await channel.unary_unary(ECHO)(b"through", timeout=30) == b"through"


async def test_the_blocking_client_in_threads() -> None:
    async with serving() as (_, _, port):

        def ask() -> list[bytes]:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                futures = [channel.unary_unary(ECHO).future(str(n).encode(), timeout=30) for n in range(100)]
                return [future.result() for future in futures]

        assert await asyncio.to_thread(ask) == [str(number).encode() for number in range(100)]


async def test_connections_without_a_word_are_looked_after_by_the_system() -> None:
    async with serving() as (_, _, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert await channel.unary_unary(ECHO)(b"on", timeout=30) == b"on"

        def is_kept_alive() -> bool:
            rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            timers = [row[5].split(":") for row in rows if row[1] == f"0100007F:{port:04X}" and row[3] == "01"]
            assert timers
            return all(kind == "02" and int(ticks, 16) <= 60 * 100 for kind, ticks in timers)

        await when(is_kept_alive)  # while bytes are on their way, the timer is another
