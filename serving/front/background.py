"""What would hold the event loop up: threads for what is large to read or to write, of which one works at a time.

Peers take turns between two pieces of their work: however large one's bodies are, another's small one waits for a piece
of each, and not for the whole.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from weakref import WeakValueDictionary

import grpc

from unroll.serving.protocol.status import StatusError

LARGE = 16 << 10  # bytes of JSON; to change threads costs as much as reading a tenth of it
_PEERS = 8  # that take turns: what each is at takes memory meanwhile
_MOMENT_SECONDS = 0.001
_TURN_SECONDS = 0.0005
_PAUSE_SECONDS = 0.00005  # the loop's thread needs to be woken: who only yields has the interpreter again before that

_Result = TypeVar("_Result")


class _LongError(Exception):
    """It takes more than a moment."""


class Background:
    """Runs things in threads beside the event loop: of each peer one at a time.

    Args:
        name: of the threads.
    """

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(_PEERS, name)
        self._turns = _Turns()
        self._one_a_peer: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def run(self, peer: Hashable, work: Callable[..., _Result], *arguments: object) -> _Result:
        """Returns what `work` returns."""
        async with self._one_a_peer.setdefault(peer, asyncio.Lock()):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._turns.work, work, *arguments)

    async def run_if_long(self, peer: Hashable, work: Callable[..., _Result], *arguments: object) -> _Result:
        """As `run`, but at once where it takes a moment only. What is cancelled meanwhile soon stops.

        Args:
            peer: whose it is.
            work: takes a pace behind its `arguments`. It may begin twice.
            arguments: for it.
        """
        try:
            return work(*arguments, _moment())
        except _LongError:
            pass
        pace = self.pace(math.inf)
        try:
            return await self.run(peer, work, *arguments, pace)
        finally:
            pace.cancelled = True

    def pace(self, seconds: float) -> "Pace":
        """A pace for what `run` runs; see `Pace`."""
        return Pace(seconds, self._turns.pass_on)


class Pace:
    """Called often by what runs in a thread: lets other threads have the interpreter every half millisecond.

    Args:
        seconds: after which the work is cancelled.
        pass_on: called then, too.
    """

    cancelled = False
    """Whether nobody waits for it any more."""

    def __init__(self, seconds: float, pass_on: Callable[[], None] | None = None) -> None:
        self._turn = time.monotonic()
        self._end = self._turn + seconds
        self._pass_on = pass_on

    def __call__(self) -> None:
        """Pauses if it is time to.

        Raises:
            StatusError: DEADLINE_EXCEEDED.
        """
        now = time.monotonic()
        if now - self._turn < _TURN_SECONDS:
            return
        if now > self._end or self.cancelled:
            raise StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for notification")
        time.sleep(_PAUSE_SECONDS)
        if self._pass_on is not None:
            self._pass_on()
        self._turn = time.monotonic()


class _Turns:
    """Has one of several threads work at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()  # each held until it is its thread's turn

    def work(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        """Returns what `work` returns, once it is this thread's turn."""
        self._take()
        try:
            return work(*arguments)
        finally:
            self._give()

    def pass_on(self) -> None:
        """Lets each of the others that wait have a turn."""
        if self._waiting:
            self._give()
            self._take()

    def _take(self) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    def _give(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


def _moment() -> Callable[[], None]:
    end = time.monotonic() + _MOMENT_SECONDS

    def check() -> None:
        if time.monotonic() > end:
            raise _LongError

    return check
