import asyncio
import threading
import time
from collections.abc import Callable

import grpc
import pytest

from unroll.serving.front.aside import Aside, Pace
from unroll.serving.protocol.status import StatusError

LONG = 30.0


async def test_another_peers_work_goes_on_between_two_pieces() -> None:
    aside = Aside("test")
    over = threading.Event()

    def long(pace: Pace) -> None:
        while not over.is_set():
            pace()

    longs = [asyncio.create_task(aside.run("a", long, aside.pace(LONG))) for _ in range(3)]
    longs.append(asyncio.create_task(aside.run("b", long, aside.pace(LONG))))
    await asyncio.sleep(0.05)
    await aside.run("c", over.set)
    await asyncio.gather(*longs)


async def test_one_thread_works_at_a_time_and_each_peer_does_one_thing() -> None:
    aside = Aside("test")
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

    await asyncio.gather(*(aside.run(peer, work, peer, aside.pace(LONG)) for peer in "abcdefghijab"))


async def test_what_fails_or_takes_too_long_lets_the_others_go_on() -> None:
    aside = Aside("test")

    def endless(pace: Pace) -> None:
        while True:
            pace()

    with pytest.raises(StatusError) as refused:
        await aside.run("a", endless, aside.pace(0.05))
    assert refused.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    with pytest.raises(ZeroDivisionError):
        await aside.run("a", lambda: 1 / 0)
    assert await aside.run("a", lambda: 1) == 1


async def test_only_what_takes_more_than_a_moment_changes_threads() -> None:
    aside = Aside("test")

    def work(long: bool, pace: Callable[[], None]) -> str:
        pace()
        while long and threading.current_thread() is threading.main_thread():
            pace()
        return threading.current_thread().name

    assert await aside.run_if_long("a", work, False) == threading.current_thread().name
    assert (await aside.run_if_long("a", work, True)).startswith("test")


async def test_what_is_cancelled_stops() -> None:
    aside, began, ended = Aside("test"), threading.Event(), threading.Event()

    def work(pace: Callable[[], None]) -> None:
        try:
            while True:
                pace()
                if threading.current_thread() is not threading.main_thread():
                    began.set()
        finally:
            if threading.current_thread() is not threading.main_thread():
                ended.set()

    running = asyncio.ensure_future(aside.run_if_long("a", work))
    assert await asyncio.to_thread(began.wait, 20)
    running.cancel()
    assert await asyncio.to_thread(ended.wait, 20)
