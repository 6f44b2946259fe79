"""Threads to load models in."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class Loaders:
    """Runs some works at the same time, each in a thread of its own. Used in the event loop's thread.

    A pool of the standard library's is waited for when the process ends, and a load that hangs would hang it.

    Args:
        threads: how many works.
    """

    def __init__(self, threads: int) -> None:
        self._free = asyncio.Semaphore(threads)

    async def run(self, work: Callable[[], T]) -> T:
        """Gives what the work gives, or raises what it raises. A cancelled one goes on, and nobody hears of it."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)

        async with self._free:
            done.set_running_or_notify_cancel()
            threading.Thread(target=run, name="load", daemon=True).start()
            return await asyncio.wrap_future(done)
