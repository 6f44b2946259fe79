"""How busy an event loop is."""

import asyncio
import os
import time
from collections.abc import Callable

from unroll.serving.front.metrics import Metrics


class EventLoopLoad:
    """How much of the time the event loop's thread computes.

    Args:
        metrics: where it is told.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._busy = 0.0
        process = (str(os.getpid()),)  # as a label, since the numbers of several processes are added up
        metrics.reads(
            "unroll_event_loop_busy_ratio",
            "gauge",
            "Share of the last seconds that the event loop's thread computed.",
            ("process",),
            lambda: {process: self._busy},
        )

    async def watch(self, seconds: float, on_look: Callable[[float], None]) -> None:
        """Looks for as long as it runs; in the loop's thread.

        Args:
            seconds: from one look to the next.
            on_look: told the share of the time.
        """
        at, computed = time.monotonic(), time.thread_time()
        while True:
            await asyncio.sleep(seconds)
            before = at, computed
            at, computed = time.monotonic(), time.thread_time()
            self._busy = min(1.0, (computed - before[1]) / (at - before[0]))
            on_look(self._busy)
