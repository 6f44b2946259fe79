"""Further processes beside the first, once its event loop is what is full.

A server is one process by default: models are in memory once, and nothing watches over anything. One event loop reads
requests on one core, though. Where that is the limit and other cores are idle, the first process starts further ones on
the same ports, one at a time, and is their parent from then on.
"""

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from unroll.serving.engine.cores import cores
from unroll.serving.processes.saturation import Saturation, Thresholds, has_memory, usage
from unroll.serving.processes.siblings import SiblingPaths, Siblings

if TYPE_CHECKING:
    from unroll.serving.processes.worker import Serve, Worker

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.2  # from one look at the further processes to the next
_CALL_BACK_SECONDS = 5.0
_MIN_CONNECTIONS = 2  # of one alone, no other process can take a part


class Endpoint(Protocol):
    """Where clients' connections come in."""

    @property
    def connections(self) -> int:
        """How many there are."""

    def share_port(self) -> None:
        """Lets other processes of this user listen on the same port from now on."""

    def call_back(self, seconds: float) -> None:
        """Has the clients come back on new connections, at no cost to them, told over so many seconds."""


@dataclass(frozen=True)
class GrowthParameters:
    """How a server grows.

    Args:
        beside: gives what a process beside the first runs, from gRPC's port and the paths by which it finds the others.
        thresholds: when.
    """

    beside: "Callable[[int, SiblingPaths], Serve]"
    thresholds: Thresholds = field(default_factory=Thresholds)


def call_back(endpoints: Sequence[Endpoint]) -> None:
    """Has all clients come back, since another process has joined: the system gives each process its part of them."""
    for endpoint in endpoints:
        endpoint.call_back(_CALL_BACK_SECONDS)


class Growth:
    """What the first process does: it starts others, and keeps them running. Used in the event loop's thread.

    Args:
        parameters: how.
        siblings: the others, each at one of their paths.
        endpoints: of this process.
        port: gRPC's.
        uses_gpu: tells whether the models have one, which several processes would fight for.

    Attributes:
        look_seconds: from one look to the next.
    """

    def __init__(
        self,
        parameters: GrowthParameters,
        siblings: Siblings,
        endpoints: Sequence[Endpoint],
        port: int,
        uses_gpu: Callable[[], bool],
    ) -> None:
        self._thresholds = parameters.thresholds
        self._beside = parameters.beside
        self._siblings = siblings
        self._endpoints = endpoints
        self._port = port
        self._uses_gpu = uses_gpu
        self._saturation = Saturation(self._thresholds, usage, cores())
        self._keeper: _Keeper | None = None
        self._opening: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self.look_seconds = self._thresholds.look_seconds
        siblings.on_newcomer = self._make_room

    def look(self, busy: float) -> None:
        """Told at each look how busy the loop is."""
        if time.monotonic() < self._not_before or (self._keeper and not self._keeper.all_serve):
            return
        idle = self._saturation.look(busy)
        if idle is None or sum(endpoint.connections for endpoint in self._endpoints) < _MIN_CONNECTIONS:
            return
        number = len(self._keeper.workers) if self._keeper else 0
        if number == len(self._siblings.paths.others):
            return
        if obstacle := self._obstacle():
            _log.info("the event loop is full while %.1f cores are idle, but %s", idle, obstacle)
            self._put_off(self._thresholds.retry_seconds)
        elif self._opening is None or self._opening.done():
            _log.info("the event loop is full while %.1f cores are idle: another process is started beside it", idle)
            self._put_off(self._thresholds.settle_seconds)
            self._opening = asyncio.create_task(self._start(number))

    def _make_room(self) -> None:
        call_back(self._endpoints)
        self._put_off(self._thresholds.settle_seconds)

    async def stop(self, seconds: float) -> None:
        """Has the others stop, starts none any more, and returns when all have ended.

        Args:
            seconds: what that may take before they are killed.
        """
        if self._opening is None:
            return
        self._opening.cancel()
        await asyncio.gather(self._opening, return_exceptions=True)
        if self._keeper:
            await asyncio.to_thread(self._keeper.stop, seconds)
        shutil.rmtree(self._siblings.paths.own.parent, ignore_errors=True)

    def _put_off(self, seconds: float) -> None:
        self._saturation = Saturation(self._thresholds, usage, cores())
        self._not_before = time.monotonic() + seconds

    def _obstacle(self) -> str:
        if not has_memory(self._thresholds.memory):
            return f"there is not {self._thresholds.memory:g} times the memory that this process has for another one"
        return "a process beside this one would have to share its GPU" if self._uses_gpu() else ""

    async def _start(self, number: int) -> None:
        from unroll.serving.processes.worker import Worker  # not before one is needed

        if self._keeper is None:
            try:
                await self._open()
            except OSError as error:
                _log.error("no process can be started beside this one: %s", error)
                self._put_off(self._thresholds.retry_seconds)
                return
            self._keeper = _Keeper()
            self._keeper.start()
        paths = self._siblings.paths
        path = paths.others[number]
        others = [other for other in (paths.own, *paths.others) if other != path]
        self._keeper.workers.append(Worker(self._beside(self._port, SiblingPaths(path, others)), path))

    async def _open(self) -> None:
        """Has others find this process, and listen where it does."""
        if not self._siblings.paths.own.exists():
            self._siblings.paths.own.parent.mkdir(mode=0o700, exist_ok=True)
            await self._siblings.start()
        for endpoint in self._endpoints:
            endpoint.share_port()


class _Keeper(threading.Thread):
    """Keeps processes running. A thread that stays, since a process is told to stop when the one that started it ends.

    Attributes:
        workers: the processes. Others may add to them.
    """

    def __init__(self) -> None:
        super().__init__(name="keeper", daemon=True)
        self.workers: list[Worker] = []
        self._stopping = threading.Event()
        self._seconds = 0.0

    @property
    def all_serve(self) -> bool:
        """Whether each of them answers clients."""
        return all(worker.serves for worker in self.workers)

    def stop(self, seconds: float) -> None:
        """Has them stop, and returns when all have ended.

        Args:
            seconds: what that may take before they are killed.
        """
        self._seconds = seconds
        self._stopping.set()
        self.join()

    def run(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            for worker in list(self.workers):
                worker.keep()
        for worker in self.workers:
            worker.stop()
        end = time.monotonic() + self._seconds
        for worker in self.workers:
            worker.join(max(0.0, end - time.monotonic()))
