"""What would hold the event loop up: a thread for large bodies and answers, one at a time."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import grpc

from serving.status import StatusError

LARGE = 16 << 10  # bytes of JSON; to change threads costs as much as reading a tenth of it
_TURN_SECONDS = 0.0005
_PAUSE_SECONDS = 0.00005  # the loop's thread needs to be woken: who only yields has the interpreter again before that

_Result = TypeVar("_Result")


class Aside:
    """Runs one thing at a time beside the event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "rest-json")

    async def run(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        """Returns what `work` returns."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


class Pace:
    """Called often by what runs in a thread: lets other threads have the interpreter every half millisecond.

    Args:
        seconds: after which the work is given up.
    """

    def __init__(self, seconds: float) -> None:
        self._turn = time.monotonic()
        self._end = self._turn + seconds

    def __call__(self) -> None:
        """Pauses if it is time to.

        Raises:
            StatusError: DEADLINE_EXCEEDED.
        """
        now = time.monotonic()
        if now - self._turn < _TURN_SECONDS:
            return
        if now > self._end:
            raise StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for notification")
        time.sleep(_PAUSE_SECONDS)
        self._turn = time.monotonic()
