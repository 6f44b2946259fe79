"""How busy an event loop is, and how a process whose loop is full passes clients on to the server's other processes."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from serving.cores import cores
from serving.metrics import Metrics
from serving.saturation import Saturation, Thresholds, usage
from serving.siblings import Siblings

_SHED_SECONDS = 5.0  # over which connections are ended: all at once, their clients would come back all at once
_FEWEST_CONNECTIONS = 2  # of one alone, no other process can take a part


class Door(Protocol):
    """Where clients' connections come in."""

    @property
    def connections(self) -> int:
        """How many there are."""

    def share_port(self) -> None:
        """Lets other processes of this user listen on the same port from now on."""

    def shed(self, share: float, seconds: float) -> None:
        """Has a share of the clients come back on new connections within so many seconds, at no cost to them."""


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
            "Share of the last second that the event loop's thread computed.",
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


class Relief:
    """What a process among several does when its loop is full: it has some of its clients come back to others.

    Args:
        thresholds: when.
        siblings: the others.
        doors: of this process.
    """

    def __init__(self, thresholds: Thresholds, siblings: Siblings, doors: Sequence[Door]) -> None:
        self._thresholds = thresholds
        self._siblings = siblings
        self._doors = doors
        self._saturation = Saturation(thresholds, usage, cores())
        self._settled = 0.0  # when the latest change will have shown its effect
        siblings.on_newcomer = self._make_room

    def look(self, busy: float) -> None:
        """Told at each look how busy the loop is."""
        if time.monotonic() < self._settled:
            return
        idle = self._saturation.look(busy)
        if idle is not None and sum(door.connections for door in self._doors) >= _FEWEST_CONNECTIONS:
            self._relieve(idle)

    def _relieve(self, idle: float) -> None:
        """The system may give half of the clients, when they come back, to another process."""
        if self._siblings.present:
            self._shed(0.5)

    def _make_room(self) -> None:
        """Another process has begun to listen. If all clients come back, each process has an equal share of them."""
        self._shed(1.0)

    def _shed(self, share: float) -> None:
        self._settled = time.monotonic() + self._thresholds.settle_seconds
        for door in self._doors:
            door.shed(share, _SHED_SECONDS)
