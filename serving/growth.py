"""Further processes beside the first, once its event loop is what is full.

A server is one process by default: models are in memory once, and nothing watches over anything. One event loop reads
requests on one core, though. Where that is the limit and other cores are idle, the first process starts further ones on
the same ports, and is their parent from then on.
"""

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

from serving.relief import Door, Relief
from serving.saturation import Thresholds, has_memory
from serving.siblings import SiblingPaths, Siblings
from serving.workers import PAUSE, Serve, Worker

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GrowthParameters:
    """How a server grows.

    Args:
        beside: gives what a process beside the first runs, from gRPC's port and the paths by which it finds the others;
            None for one that starts no others, but passes clients on to them.
        thresholds: when.
    """

    beside: Callable[[int, SiblingPaths], Serve] | None
    thresholds: Thresholds = field(default_factory=Thresholds)


class Growth(Relief):
    """What the first process does: it starts others, and keeps them running. Used in the event loop's thread.

    Args:
        parameters: how.
        siblings: the others, each at one of their paths.
        doors: of this process.
        port: gRPC's.
        uses_gpu: tells whether the models have one, which several processes would fight for.
    """

    def __init__(
        self,
        parameters: GrowthParameters,
        siblings: Siblings,
        doors: Sequence[Door],
        port: int,
        uses_gpu: Callable[[], bool],
    ) -> None:
        super().__init__(parameters.thresholds, siblings, doors)
        assert parameters.beside
        self._beside = parameters.beside
        self._port = port
        self._uses_gpu = uses_gpu
        self._companions: dict[Path, _Companion] = {}
        self._opening: asyncio.Task[None] | None = None
        self._not_before = 0.0

    async def stop(self, seconds: float) -> None:
        """Has the others stop, starts none any more, and returns when all have ended.

        Args:
            seconds: what that may take before they are killed.
        """
        if self._opening is None:
            return
        self._opening.cancel()
        await asyncio.gather(self._opening, return_exceptions=True)
        companions = list(self._companions.values())
        for companion in companions:
            companion.stop()
        end = time.monotonic() + seconds
        for companion in companions:
            await asyncio.to_thread(companion.join, max(0.0, end - time.monotonic()))
            if companion.is_alive():
                companion.kill()
        shutil.rmtree(self._siblings.paths.own.parent, ignore_errors=True)

    def _relieve(self, idle: float) -> None:
        for path, companion in list(self._companions.items()):
            if not companion.is_alive():  # it could not serve
                del self._companions[path]
                self._not_before = companion.ended + self._thresholds.retry_seconds
        if not all(companion.serves for companion in self._companions.values()):
            return
        free = next((path for path in self._siblings.paths.others if path not in self._companions), None)
        if free is None or time.monotonic() < self._not_before:
            super()._relieve(idle)
        elif obstacle := self._obstacle():
            _log.info("the event loop is full while %.1f cores are idle, but %s", idle, obstacle)
            self._not_before = time.monotonic() + self._thresholds.retry_seconds
        elif self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._start(free, idle))

    def _obstacle(self) -> str:
        if not has_memory(self._thresholds.memory):
            return f"there is not {self._thresholds.memory:g} times the memory that this process has for another one"
        return "a process beside this one would have to share its GPU" if self._uses_gpu() else ""

    async def _start(self, path: Path, idle: float) -> None:
        try:
            if not self._companions:
                await self._open()
        except OSError as error:
            _log.error("there can be no process beside this one: %s", error)
            self._not_before = time.monotonic() + self._thresholds.retry_seconds
            return
        others = [other for other in (self._siblings.paths.own, *self._siblings.paths.others) if other != path]
        serve = self._beside(self._port, SiblingPaths(path, others))
        self._companions[path] = companion = _Companion(serve, path, idle, self._thresholds.retry_seconds)
        companion.start()

    async def _open(self) -> None:
        """Has others find this process, and listen where it does."""
        if not self._siblings.paths.own.exists():
            self._siblings.paths.own.parent.mkdir(mode=0o700, exist_ok=True)
            await self._siblings.start()
        for door in self._doors:
            door.share_port()


class _Companion(threading.Thread):
    """Keeps one process running beside this one, until told to stop or it turns out that it cannot serve.

    The parent of a process is the thread that started it, at whose end it is told to stop: hence one thread for each,
    which stays.
    """

    def __init__(self, serve: Serve, path: Path, idle: float, retry_seconds: float) -> None:
        super().__init__(daemon=True)
        self._serve = serve
        self._path = path
        self._idle = idle
        self._retry_seconds = retry_seconds
        self._stopping = threading.Event()
        self._worker: Worker | None = None
        self.serves = False
        self.ended = 0.0

    def stop(self) -> None:
        """Has it drain, and end."""
        self._stopping.set()
        if self._worker:
            self._worker.stop()

    def kill(self) -> None:
        """Ends it at once."""
        if self._worker:
            _log.warning("process %s does not stop: it is killed", self._worker.process.pid)
            self._worker.process.kill()

    def run(self) -> None:
        try:
            problem = self._keep()
        except OSError as error:
            problem = f"{error}."
        finally:
            self.ended = time.monotonic()
        if problem:
            _log.error(
                "there can be no process beside this one: %s It is tried again after %g seconds at the earliest.",
                problem,
                self._retry_seconds,
            )

    def _keep(self) -> str:
        """Returns what makes it impossible; nothing once it is to stop."""
        self._worker = worker = Worker(self._serve, self._path)
        _log.info(
            "the event loop is full while %.1f cores are idle: process %s is started beside it",
            self._idle,
            worker.process.pid,
        )
        began = 0.0
        while True:
            if self._stopping.is_set():  # perhaps while it was started
                worker.stop()
            outcome = worker.outcome()
            self.serves = not isinstance(outcome, str)
            if self.serves:
                wait([worker.process.sentinel])
            worker.process.join()
            if self._stopping.is_set():
                return ""
            if isinstance(outcome, str):
                return outcome
            reason = worker.reason()
            if began and time.monotonic() - began < self._retry_seconds:
                return f"process {worker.process.pid} ended too ({reason})."
            _log.error("process %s ended (%s); it is started anew", worker.process.pid, reason)
            if self._stopping.wait(PAUSE):
                return ""
            began = time.monotonic()
            worker.start()
