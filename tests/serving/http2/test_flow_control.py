"""Answers that a client does not take: they wait, are counted, have an end, and hold up nobody else."""

import asyncio
import gzip
import random
from collections.abc import AsyncIterator

import h2.events
import h2.settings
import pytest

from tests.serving.http2.peers import HEADERS, LITERALS, Peer, goaway_code, prefixed, raw, running, serving
from unroll.serving.http2 import GrpcLimits, frames
from unroll.serving.http2.frames import frame
from unroll.serving.protocol.call import Call

COUNT = "/test.Service/Count"
COUNT_HEADERS = [*HEADERS[:2], (":path", COUNT), *HEADERS[3:]]


async def resize(peer: Peer, window: int) -> None:
    """Sets the window of all the client's streams, and waits until the server knows."""
    known = len(peer.events)
    peer.http.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
    await peer.send()
    await peer.hear(
        lambda: any(isinstance(event, h2.events.SettingsAcknowledged) for event in peer.events[known:]),
        acknowledge=False,
    )


async def narrow(port: int, window: int = 0) -> Peer:
    """A client that takes so much of each answer."""
    peer = await Peer.connect(port)
    await resize(peer, window)
    return peer


async def begin(peer: Peer, number: int, message: bytes, headers: list[tuple[str, str]] = HEADERS) -> None:
    """Makes a call, and returns when the server has taken it in."""
    peer.http.send_headers(number, headers)
    peer.http.send_data(number, prefixed(message), end_stream=True)
    peer.http.ping(number.to_bytes(8, "big"))
    await peer.send()
    known = len(peer.events)
    await peer.hear(
        lambda: any(isinstance(event, h2.events.PingAckReceived) for event in peer.events[known:]), acknowledge=False
    )
    await peer.hear(lambda: number in peer.headers or resets(peer).get(number), acknowledge=False)


def resets(peer: Peer) -> dict[int, int]:
    return {event.stream_id: event.error_code for event in peer.events if isinstance(event, h2.events.StreamReset)}


async def reset_code(peer: Peer, number: int) -> int:
    await peer.hear(lambda: number in resets(peer), acknowledge=False)
    return resets(peer)[number]


class Counter:
    """Answers one message with as many as it says, of 1000 bytes each."""

    def __init__(self) -> None:
        self.made = 0

    async def count(self, messages: AsyncIterator[bytes], call: Call) -> AsyncIterator[bytes]:
        async for message in messages:
            for _ in range(int(message)):
                self.made += 1
                yield b"%01000d" % self.made

    async def pause(self) -> int:
        """Waits until no more answers are made, and tells how many were."""
        before = -1
        async with asyncio.timeout(20):
            while before != self.made:
                before = self.made
                await asyncio.sleep(0.2)
        return before


async def test_a_stream_makes_no_more_answers_than_its_client_takes() -> None:
    counter = Counter()
    async with running(streams={COUNT: counter.count}) as (_, port):
        peer = await narrow(port, 2500)
        await begin(peer, 1, b"50", COUNT_HEADERS)
        assert await counter.pause() == 3
        assert await peer_answers(peer) == b"hello"
        await resize(peer, 100_000)
        await peer.hear(lambda: 1 in peer.ended)
        assert peer.body[1] == b"".join(prefixed(b"%01000d" % number) for number in range(1, 51))
        peer.writer.close()


async def peer_answers(peer: Peer) -> bytes:
    """Asks on a stream that may be answered although others wait."""
    number = peer.http.get_next_available_stream_id()
    await begin(peer, number, b"hello")
    await peer.hear(lambda: number in peer.ended, acknowledge=False)
    return peer.body[number][5:]


async def test_a_stream_stops_before_a_client_that_does_not_read() -> None:
    counter = Counter()
    wide = frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 30}) + frames.window_update(0, 1 << 30)
    headers = LITERALS.replace(b"/test.Service/Echo", b"/test.Service/Coun")
    call = frame(frames.HEADERS, frames.END_HEADERS, 1, headers) + frame(
        frames.DATA, frames.END_STREAM, 1, prefixed(b"60000")
    )
    async with running(streams={COUNT[:-1]: counter.count}) as (_, port):
        reader, writer = await raw(port, wide, call)
        assert await counter.pause() < 30_000  # the system's buffers and the reader's hold some
        async with asyncio.timeout(60):
            while b"grpc-status\x010" not in (await reader.read(1 << 20))[-200:]:
                pass
        assert counter.made == 60_000
        writer.close()


async def test_an_answer_that_waits_is_counted_until_its_deadline() -> None:
    async with running() as (server, port):
        peer = await narrow(port)
        await begin(peer, 1, b"a" * 1000, [*HEADERS, ("grpc-timeout", "1S")])
        assert (server.usage.calls, server.usage.buffered) == (0, 1005)
        assert await reset_code(peer, 1) == frames.CANCEL
        assert (server.usage.calls, server.usage.buffered) == (0, 0)
        await resize(peer, 1000)
        assert await peer.ask() == b"hello"
        peer.writer.close()


async def test_an_answer_that_waits_is_counted_until_it_is_taken_or_cancelled() -> None:
    async with running() as (server, port):
        peer = await narrow(port, 10)
        for number in (1, 3, 5):
            await begin(peer, number, b"a" * 1000)
        assert (server.usage.calls, server.usage.buffered) == (0, 3015)
        peer.http.reset_stream(1)
        peer.http.increment_flow_control_window(995, 3)
        await peer.send()
        await peer.hear(lambda: 3 in peer.ended, acknowledge=False)
        assert peer.body[3] == prefixed(b"a" * 1000)
        await asyncio.sleep(0)
        assert (server.usage.calls, server.usage.buffered) == (0, 1005)
        peer.writer.close()


async def test_one_connection_cannot_use_up_what_all_have() -> None:
    limits = GrpcLimits(max_buffered_bytes=8000, max_message_bytes=1500)
    async with running(limits) as (server, port):
        greedy, modest = await narrow(port), await narrow(port)
        await begin(greedy, 1, b"a" * 1400)
        await begin(greedy, 3, b"b" * 1400)
        assert await reset_code(greedy, 3) == frames.ENHANCE_YOUR_CALM
        await begin(modest, 1, b"c" * 1400)
        assert server.usage.buffered == 2 * 1405
        for peer in (greedy, modest):
            await resize(peer, 2000)
            await peer.hear(lambda peer=peer: 1 in peer.ended)  # type: ignore[misc]
            peer.writer.close()


async def test_compressed_messages_count_as_what_they_unpack_to() -> None:
    limits = GrpcLimits(max_buffered_bytes=8000, max_message_bytes=100_000)
    async with serving(limits) as port:
        peer = await Peer.connect(port)
        packed = gzip.compress(b"a" * 50_000)
        peer.http.send_headers(1, [*HEADERS, ("grpc-encoding", "gzip")])
        peer.http.send_data(1, b"\x01" + prefixed(packed)[1:], end_stream=True)
        await peer.send()
        await peer.hear(lambda: 1 in peer.ended)
        assert peer.headers[1]["grpc-status"] == "8"
        peer.writer.close()


async def test_a_message_unpacks_to_a_hundred_times_its_size_at_most() -> None:
    async with serving(GrpcLimits(max_message_bytes=1 << 30)) as port:
        peer = await Peer.connect(port)
        for number, size, status in ((1, 1 << 20, "0"), (3, (1 << 20) + 1, "8")):
            peer.http.send_headers(number, [*HEADERS, ("grpc-encoding", "gzip")])
            peer.http.send_data(number, b"\x01" + prefixed(gzip.compress(bytes(size)))[1:], end_stream=True)
            await peer.send()
            await peer.hear(lambda number=number: number in peer.ended or number in peer.headers)  # type: ignore[misc]
            assert peer.headers[number].get("grpc-status", "0") == status
        assert "100 times its size" in peer.headers[3]["grpc-message"]
        peer.writer.close()


async def test_a_large_message_is_unpacked_while_others_are_answered() -> None:
    message = random.Random(0).randbytes(100 << 10) + bytes(4 << 20)
    packed = b"\x01" + prefixed(gzip.compress(message))[1:]
    async with serving() as port:
        peer = await Peer.connect(port)
        await peer.ask()  # by then, the server's windows are known
        peer.headers.clear()
        peer.http.send_headers(3, [*HEADERS, ("grpc-encoding", "gzip")])
        for start in range(0, len(packed), 1 << 14):
            peer.http.send_data(3, packed[start : start + (1 << 14)], end_stream=start + (1 << 14) >= len(packed))
        peer.http.send_headers(5, HEADERS)
        peer.http.send_data(5, prefixed(b"hello"), end_stream=True)
        await peer.send()
        await peer.hear(lambda: peer.ended >= {3, 5})
        assert list(peer.headers) == [5, 3]
        assert (peer.body[3], peer.body[5]) == (prefixed(message), prefixed(b"hello"))
        peer.writer.close()


async def test_health_checks_that_wait_take_no_slot_of_calls() -> None:
    counter = Counter()
    async with running(GrpcLimits(max_concurrent_calls=1), {COUNT: counter.count}) as (_, port):
        peer = await Peer.connect(port)
        for number in (1, 3, 5):
            peer.http.send_headers(number, COUNT_HEADERS)
        await peer.send()
        await peer.hear(lambda: peer.headers.keys() == {1, 3, 5})
        assert await peer.ask() == b"hello"
        peer.writer.close()


async def test_a_window_of_the_connection_is_used_up_stream_by_stream() -> None:
    async with serving() as port:
        peer = await narrow(port, 1 << 20)
        streams = range(1, 61, 2)
        for number in streams:  # 150,000 bytes into a window of 65,535
            await begin(peer, number, bytes((number,)) * 5000)
        assert sum(map(len, peer.body.values())) == frames.FIRST_WINDOW
        while len(peer.ended) < len(streams):
            before = sum(map(len, peer.body.values()))
            peer.http.increment_flow_control_window(7000)
            await peer.send()
            await peer.hear(
                lambda before=before: (  # type: ignore[misc]
                    sum(map(len, peer.body.values())) == before + 7000 or len(peer.ended) == len(streams)
                ),
                acknowledge=False,
            )
        assert peer.body == {number: prefixed(bytes((number,)) * 5000) for number in streams}
        peer.writer.close()


async def test_padding_is_given_back_to_the_windows() -> None:
    async with serving() as port:
        padded = frame(frames.DATA, frames.PADDED, 1, b"\x64" + prefixed(b"hello")[:7] + bytes(100))
        reader, writer = await raw(port, frame(frames.HEADERS, frames.END_HEADERS, 1, LITERALS), padded)
        received = b""
        async with asyncio.timeout(20):
            while frames.window_update(1, 101) not in received:
                data = await reader.read(65536)
                assert data
                received += data
        writer.close()


@pytest.mark.parametrize("calls", [0, 200])
async def test_windows_are_changed_as_often_as_calls_are_answered(calls: int) -> None:
    async with serving() as port:
        peer = await Peer.connect(port)
        for _ in range(calls):
            await peer.ask()
        for change in range(calls + 100):
            await resize(peer, 70_000 + change)
        assert await peer.ask() == b"hello"
        changes = b"".join(frames.settings({frames.INITIAL_WINDOW_SIZE: 1000 + change}) for change in range(3))
        peer.writer.write(changes)
        assert await goaway_code(peer.reader) == frames.ENHANCE_YOUR_CALM
        peer.writer.close()
