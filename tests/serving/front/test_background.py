import asyncio
import threading
import time
from collections.abc import Callable

import grpc
import pytest

from unroll.serving.front.background import Background, Pace
from unroll.serving.protocol.status import StatusError

LONG = 30.0


async def test_another_peers_work_goes_on_between_two_pieces() -> None:
    background = Background("test")
    over = threading.Event()

    def long(pace: Pace) -> None:
        while not over.is_set():
            pace()

    longs = [asyncio.create_task(background.run("a", long, background.pace(LONG))) for _ in range(3)]
    longs.append(asyncio.create_task(background.run("b", long, background.pace(LONG))))
    await asyncio.sleep(0.05)
    await background.run("c", over.set)
    await asyncio.gather(*longs)


async def test_one_thread_works_at_a_time_and_each_peer_does_one_thing() -> None:
    background = Background("test")
    at_work: list[str] = []
    begun: list[str] = []

    def work(peer: str, pace: Pace) -> None:
        assert peer not in begun
        begun.append(peer)
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            at_work.append(peer)
            assert len(at_work) == 1
            at_work.remove(peer)
            pace()
        begun.remove(peer)

    await asyncio.gather(*(background.run(peer, work, peer, background.pace(LONG)) for peer in "abcdefghijab"))


async def test_what_fails_or_takes_too_long_lets_the_others_go_on() -> None:
    background = Background("test")

    def endless(pace: Pace) -> None:
        while True:
            pace()

    with pytest.raises(StatusError) as refused:
        await background.run("a", endless, background.pace(0.05))
    assert refused.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    with pytest.raises(ZeroDivisionError):
        await background.run("a", lambda: 1 / 0)
    assert await background.run("a", lambda: 1) == 1


async def test_only_what_takes_more_than_a_moment_changes_threads() -> None:
    background = Background("test")

    def work(long: bool, pace: Callable[[], None]) -> str:
        pace()
        while long and threading.current_thread() is threading.main_thread():
            pace()
        return threading.current_thread().name

    assert await background.run_if_long("a", work, False) == threading.current_thread().name
    assert (await background.run_if_long("a", work, True)).startswith("test")


async def test_what_is_cancelled_stops() -> None:
    background, began, ended = Background("test"), threading.Event(), threading.Event()

    def work(pace: Callable[[], None]) -> None:
        try:
            while True:
                pace()
                if threading.current_thread() is not threading.main_thread():
                    began.set()
        finally:
            if threading.current_thread() is not threading.main_thread():
                ended.set()

    running = asyncio.ensure_future(background.run_if_long("a", work))
    assert await asyncio.to_thread(began.wait, 20)
    running.cancel()
    assert await asyncio.to_thread(ended.wait, 20)
