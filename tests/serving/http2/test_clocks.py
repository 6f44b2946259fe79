"""Clients that begin and do not go on, connections that nobody uses, and what one client may have of all there is."""

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import h2.events
import pytest

from tests.serving.http2.peers import HEADERS, LITERALS, Peer, goaway_code, prefixed, raw, request, running, serving
from unroll.serving.http2 import GrpcLimits, GrpcServer, frames, lifetime
from unroll.serving.http2.frames import PREFACE, frame
from unroll.serving.protocol.call import Call

WATCH = "/test.Service/Watch"
WATCH_HEADERS = [*HEADERS[:2], (":path", WATCH), *HEADERS[3:]]
HASTY = GrpcLimits(greeting_seconds=1, stall_seconds=1, idle_seconds=1)


async def watch(messages: AsyncIterator[bytes], call: Call) -> AsyncIterator[bytes]:
    yield await anext(messages, b"")
    await asyncio.Event().wait()


async def test_a_request_that_does_not_go_on_is_answered_with_its_deadline() -> None:
    async with running(HASTY, {WATCH: watch}) as (_, port):
        peer = await Peer.connect(port)
        peer.http.send_headers(1, HEADERS)
        peer.http.send_headers(3, HEADERS)
        peer.http.send_data(3, prefixed(b"hello")[:7])
        peer.http.send_headers(5, WATCH_HEADERS)
        await peer.send()
        await peer.hear(lambda: peer.ended >= {1, 3, 5})
        for number in (1, 3, 5):
            assert peer.headers[number]["grpc-status"] == "4"
            assert peer.headers[number]["grpc-message"] == "the client did not go on for 1 seconds"
        assert await peer.ask() == b"hello"
        peer.writer.close()


async def test_an_answer_that_is_not_taken_is_reset() -> None:
    async with running(HASTY) as (server, port):
        peer = await Peer.connect(port)
        peer.http.update_settings({4: 3})
        peer.http.send_headers(1, HEADERS)
        peer.http.send_data(1, prefixed(b"hello"), end_stream=True)
        await peer.send()
        await peer.hear(lambda: any(isinstance(e, h2.events.StreamReset) for e in peer.events), acknowledge=False)
        assert server.usage.buffered == 0
        peer.writer.close()


async def test_a_slow_upload_is_waited_for_as_long_as_it_goes_on() -> None:
    async with serving(HASTY) as port:
        peer = await Peer.connect(port)
        message = prefixed(bytes(range(256)) * 100)
        peer.http.send_headers(1, HEADERS)
        for at in range(0, len(message), 2048):  # 2 KB each 0.25 s: thrice as long as one that stands still is given
            peer.http.send_data(1, message[at : at + 2048], end_stream=at + 2048 >= len(message))
            await peer.send()
            await asyncio.sleep(0.25)
        await peer.hear(lambda: 1 in peer.ended)
        assert peer.body[1] == message
        peer.writer.close()


async def test_a_stream_that_waits_for_the_server_is_left_alone() -> None:
    async with running(HASTY, {WATCH: watch}) as (_, port):
        peer = await Peer.connect(port)
        peer.http.send_headers(1, WATCH_HEADERS)
        peer.http.send_data(1, prefixed(b"on"))
        await peer.send()
        await peer.hear(lambda: 1 in peer.body)
        await asyncio.sleep(2.5)
        assert await peer.ask() == b"hello"
        assert 1 not in peer.ended
        assert not any(isinstance(e, h2.events.ConnectionTerminated) for e in peer.events)
        peer.writer.close()


async def test_an_idle_connection_is_told_to_go_elsewhere_which_costs_its_client_nothing() -> None:
    async with serving(HASTY) as port:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            echo = channel.unary_unary("/test.Service/Echo")
            assert await asyncio.to_thread(echo, b"on", timeout=30) == b"on"
            reader, writer = await raw(port, request())
            assert await goaway_code(reader) == frames.NO_ERROR
            writer.close()
            assert await asyncio.to_thread(echo, b"on", timeout=30) == b"on"


@pytest.mark.parametrize("said", [b"", PREFACE[:9], PREFACE + frame(frames.HEADERS, 0, 1, LITERALS)[:12]])
async def test_who_does_not_begin_is_let_go(said: bytes) -> None:
    async with serving(HASTY) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        async with asyncio.timeout(10):
            try:
                while await reader.read(65536):
                    pass
            except ConnectionResetError:
                pass
        writer.close()


async def test_requests_that_have_not_come_whole_take_no_slot_of_calls() -> None:
    async with running(GrpcLimits(max_concurrent_calls=1)) as (server, port):
        _, writer = await raw(port, b"".join(frame(frames.HEADERS, 4, number, LITERALS) for number in (1, 3, 5)))
        peer = await Peer.connect(port)
        for _ in range(20):
            assert await peer.ask() == b"hello"
        assert server.usage.calls == 0
        writer.close()
        peer.writer.close()


async def test_the_last_slots_are_for_connections_that_have_few_calls() -> None:
    go = asyncio.Event()

    async def hold(message: bytes, call: Call) -> bytes:
        if message == b"hold":
            await go.wait()
        return message

    server = GrpcServer(hold, {}, GrpcLimits(max_concurrent_calls=16))
    port = await server.listen("127.0.0.1", 0)
    greedy, modest = await Peer.connect(port), await Peer.connect(port)
    for number in range(1, 33, 2):
        greedy.http.send_headers(number, HEADERS)
        greedy.http.send_data(number, prefixed(b"hold"), end_stream=True)
    await greedy.send()
    await greedy.hear(lambda: len(greedy.ended) == 2)
    assert all(greedy.headers[number]["grpc-status"] == "8" for number in greedy.ended)
    assert await modest.ask() == b"hello"
    go.set()
    await greedy.hear(lambda: len(greedy.ended) == 16)
    assert await greedy.ask() == b"hello"
    for peer in (greedy, modest):
        peer.writer.close()
    await server.stop(0)


async def test_an_address_may_have_three_quarters_of_the_connections() -> None:
    async with serving(GrpcLimits(max_connections=4)) as port:
        mine = [await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)) for _ in range(4)]
        async with asyncio.timeout(20):
            assert await mine[3][0].read(-1) == b""
        other = await Peer.connect(port)
        assert await other.ask() == b"hello"
        other.writer.close()
        for _, writer in mine:
            writer.close()


async def test_clients_of_a_unix_socket_share_nothing(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with running(GrpcLimits(max_connections=4)) as (server, _):
        await server.listen_unix(str(tmp_path / "socket"))
        peers = [Peer(*await asyncio.open_unix_connection(tmp_path / "socket")) for _ in range(4)]
        for peer in peers:
            assert await peer.ask() == b"hello"
            peer.writer.close()


async def test_draining_ends_streams_that_would_stay_open_and_does_not_wait_for_half_a_request() -> None:
    async def echo_all(messages: AsyncIterator[bytes], call: Call) -> AsyncIterator[bytes]:
        async for message in messages:
            yield message

    watched = LITERALS.replace(b"/test.Service/Echo", b"/test.Service/Eche")
    begun = frame(frames.HEADERS, frames.END_HEADERS, 1, LITERALS) + frame(frames.HEADERS, 4, 3, watched)
    async with running(streams={"/test.Service/Eche": echo_all}) as (server, port):
        reader, writer = await raw(port, begun + frame(frames.DATA, 0, 3, prefixed(b"on")))
        received = b""
        async with asyncio.timeout(20):
            while prefixed(b"on") not in received:
                received += await reader.read(65536)
            stopping = asyncio.ensure_future(server.stop(60))
            while data := await reader.read(65536):
                received += data
        assert b"grpc-status\x010" in received
        assert b"grpc-status\x014" in received
        writer.close()
        await asyncio.wait_for(stopping, 10)


async def test_a_client_that_is_to_come_back_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "_DRAIN_STALL_SECONDS", 0.0)  # is for a server that stops
    monkeypatch.setattr(lifetime, "_ON_THEIR_WAY_SECONDS", 0.1)  # these clients answer no PING

    async def echo_all(messages: AsyncIterator[bytes], call: Call) -> AsyncIterator[bytes]:
        async for message in messages:
            yield message

    async def hear(until: Callable[[bytes], bool]) -> bytes:
        received = b""
        async with asyncio.timeout(20):
            while not until(received) and (data := await reader.read(65536)):
                received += data
        return received

    slowly, streamed = prefixed(b"slowly"), LITERALS.replace(b"/test.Service/Echo", b"/test.Service/Eche")
    begun = frame(frames.HEADERS, frames.END_HEADERS, 1, LITERALS) + frame(frames.DATA, 0, 1, slowly[:7])
    begun += frame(frames.HEADERS, frames.END_HEADERS, 3, streamed) + frame(frames.DATA, 0, 3, prefixed(b"on"))
    async with running(streams={"/test.Service/Eche": echo_all}) as (server, port):
        idle, idle_writer = await raw(port)
        reader, writer = await raw(port, begun)
        await hear(lambda received: prefixed(b"on") in received)
        server.call_back(0.0)
        assert await goaway_code(idle) == frames.NO_ERROR  # and the end
        idle_writer.close()
        await hear(lambda received: frames.goaway(3, frames.NO_ERROR) in received)
        await asyncio.sleep(1.2)  # twice a second the server looks at who stands still
        writer.write(frame(frames.DATA, frames.END_STREAM, 1, slowly[7:]))
        received = await hear(lambda received: b"grpc-status\x010" in received)
        assert slowly in received
        assert received.count(b"grpc-status") == 1  # the stream of messages stays
        assert server.connections == 1
        stopping = asyncio.ensure_future(server.stop(60))
        assert b"grpc-status\x010" in await hear(lambda _: False)
        writer.close()
        await asyncio.wait_for(stopping, 10)
