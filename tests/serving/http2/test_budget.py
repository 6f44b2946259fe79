"""What honest clients do does not exhaust what a connection may cost; what gets nowhere does."""

import asyncio
import math

import pytest

from tests.serving.http2.peers import HEADERS, LITERALS, Peer, goaway_code, prefixed, raw, request, serving
from unroll.serving.http2 import GrpcLimits, budget, frames, usage
from unroll.serving.http2.frames import frame

PING = frame(frames.PING, 0, 0, bytes(8))


async def answers(reader: asyncio.StreamReader, count: int) -> None:
    """Reads so many answers, without keeping them."""
    tail, seen = b"", 0
    async with asyncio.timeout(60):
        while seen < count:
            data = await reader.read(1 << 20)
            assert data, f"closed after {seen} answers: {tail!r}"
            seen += (tail + data).count(b"grpc-status\x010")
            tail = data[-12:]


async def test_frames_that_come_with_calls_are_paid_for_by_them() -> None:
    """30 frames a call: WINDOW_UPDATE for each frame that was read, a ping for each measurement of bandwidth."""
    async with serving() as port:
        reader, writer = await raw(port, frames.window_update(0, 1 << 24))
        for first in range(1, 4001, 200):
            batch = [
                request(number) + (PING + frames.window_update(0, 1)) * 15 for number in range(first, first + 200, 2)
            ]
            writer.write(b"".join(batch))
            await answers(reader, 100)
        writer.close()


async def test_a_large_upload_in_small_frames() -> None:
    message = prefixed(bytes(1_000_000))
    parts = [message[at : at + 20] for at in range(0, len(message), 20)]
    async with serving() as port:
        reader, writer = await raw(port, frame(frames.HEADERS, frames.END_HEADERS, 1, LITERALS))
        for number, part in enumerate(parts):
            writer.write(frame(frames.DATA, frames.END_STREAM if part is parts[-1] else 0, 1, part))
            if number % 1000 == 0:
                await writer.drain()
        async with asyncio.timeout(60):
            received = b""
            while len(received) < frames.FIRST_WINDOW:
                data = await reader.read(1 << 20)
                assert data
                received += data
        writer.close()


async def test_a_large_download_that_is_acknowledged_frame_by_frame() -> None:
    async with serving() as port:
        peer = await Peer.connect(port)
        message = prefixed(bytes(4_000_000))
        peer.http.send_headers(1, HEADERS)
        await peer.send()
        await peer.hear(lambda: peer.events)
        writing = 0
        while writing < len(message):
            room = min(peer.http.local_flow_control_window(1), 16384, len(message) - writing)
            if not room:
                known = len(peer.events)
                await peer.hear(lambda known=known: len(peer.events) > known)  # type: ignore[misc]
                continue
            peer.http.send_data(1, message[writing : writing + room], end_stream=writing + room == len(message))
            writing += room
            await peer.send()
        await peer.hear(lambda: 1 in peer.ended)
        assert peer.body[1] == message
        peer.writer.close()


@pytest.mark.parametrize("refused", [1, 9])
async def test_refusals_are_paid_for_by_answers(refused: int) -> None:
    """Four of them each; who is only refused has a few thousand."""
    unknown = LITERALS + b"\x00\x0dgrpc-encoding\x04zstd"
    async with serving() as port:
        reader, writer = await raw(port, frames.window_update(0, 1 << 24))
        number, code = 1, None
        for _ in range(60):
            batch = b""
            for _ in range(100):
                batch += request(number)
                for _ in range(refused):
                    number += 2
                    batch += frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, number, unknown)
                number += 2
            writer.write(batch)
            try:
                await answers(reader, 100)
            except (AssertionError, ConnectionError) as error:
                code = str(error)
                break
        assert (code is None) == (refused == 1)
        if code is None:
            writer.write(request(number))
            await answers(reader, 1)
        writer.close()


async def test_an_address_that_was_cut_off_is_trusted_less(monkeypatch: pytest.MonkeyPatch) -> None:
    # Time pays for nothing, and nothing is forgotten: on a busy machine, a thousand pings may take longer than it takes
    # time to pay for them.
    monkeypatch.setattr(budget, "_SECONDLY", 0)
    monkeypatch.setattr(usage, "_CUT_SECONDS", math.inf)
    async with serving() as port:
        for _ in range(6):
            reader, writer = await raw(port, PING * 30_000)
            assert await goaway_code(reader) == frames.ENHANCE_YOUR_CALM
            writer.close()
        reader, writer = await raw(port, PING * 1000)
        assert await goaway_code(reader) == frames.ENHANCE_YOUR_CALM
        writer.close()
        peer = await Peer.connect(port)
        for _ in range(50):
            assert await peer.ask() == b"hello"
        peer.writer.close()


def test_what_an_address_was_cut_off_for_is_forgotten() -> None:
    known = usage.Usage(GrpcLimits())

    def joined() -> usage.Share:
        share = usage.Share(known)
        share.join(known.peer("192.0.2.1"))
        return share

    trusted = joined()
    for _ in range(3):
        cut = joined()
        cut.budget.is_exhausted = True
        cut.leave()
    assert joined().budget.advance == trusted.budget.advance >> 3
    known.pass_time(20.0)
    assert joined().budget.advance == trusted.budget.advance >> 1
    known.pass_time(10.0)
    assert joined().budget.advance == trusted.budget.advance
