"""Threads that work beside the event loop."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

_Outcome = TypeVar("_Outcome")


class Threads:
    """Does what the event loop hands over. Its methods are called in the loop's thread.

    Args:
        name: what the threads are called, before their number.
        count: how many there are.

    Example:
        >>> async def main():
        ...     delivered = asyncio.Future()
        ...     threads = Threads("batch_threads", 1)
        ...     threads.submit(lambda: 6 * 7, delivered.set_result)
        ...     outcome = await delivered
        ...     threads.close()
        ...     return outcome
        >>> asyncio.run(main())
        42
    """

    def __init__(self, name: str, count: int) -> None:
        self.idle = count
        self._count = count
        self._loop = asyncio.get_running_loop()
        self._work: SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._live, name=f"{name}_{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def all_idle(self) -> bool:
        return self.idle == self._count

    def submit(self, work: Callable[[], _Outcome], deliver: Callable[[_Outcome], None]) -> None:
        """Has an idle thread do some work.

        Args:
            work: what to do.
            deliver: called with what came of it, or with the exception that it raised, in the loop's thread.
        """
        self.idle -= 1
        self._work.put((work, deliver))

    async def each(self, work: Callable[[], None]) -> None:
        """Has every thread do the same, all at once. They are idle, and nobody submits anything meanwhile."""
        met = threading.Barrier(self._count)

        def meet() -> None:
            met.wait()
            work()

        done = [self._loop.create_future() for _ in self._threads]
        for one in done:
            self.submit(meet, one.set_result)
        await asyncio.gather(*done)

    def close(self) -> None:
        """Ends the threads. They are idle."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()

    def _live(self) -> None:
        while given := self._work.get():
            work, deliver = given
            try:
                outcome = work()
            except BaseException as error:  # the thread lives on: who waits is told
                outcome = error
            self._loop.call_soon_threadsafe(self._deliver, deliver, outcome)
            del given, work, deliver, outcome  # their arrays are not kept until the next come

    def _deliver(self, deliver: Callable[[Any], None], outcome: Any) -> None:
        self.idle += 1
        deliver(outcome)
