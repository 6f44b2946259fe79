"""Times of a version's own requests, by the settings with which it could run."""

import functools
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from serving.cores import cores
from serving.inputs import Feeds
from serving.parallelism import Parallelism
from serving.session_engine import SessionEngine, Signature

MOST_ROWS = 64
"""Of a batch that is tried."""
_BATCH_SECONDS = 0.05  # likewise
_SECONDS = 0.3  # of trials in all, at the least
_SINGLES = 4  # rows that are run alone


@dataclass(frozen=True)
class Way:
    """How a graph could run.

    Args:
        parallelism: the settings that it stands for.
        engine: what tries them.
        alone: what its `run` is told of runs that have the engine to themselves.
    """

    parallelism: Parallelism
    engine: SessionEngine
    alone: bool


@dataclass
class Figures:
    """Seconds of a row alone, and of a batch of so many rows beside one on each other core."""

    rows: int = 1
    row_seconds: float = float("inf")
    batch_seconds: float = float("inf")

    @property
    def cost(self) -> float:
        """Of two settings, the one with the lower product is faster by more for the one than slower for the other."""
        return self.row_seconds * self.batch_seconds

    def __str__(self) -> str:
        return (
            f"{1e3 * self.row_seconds:.2f} ms a row alone, {1e3 * self.batch_seconds:.1f} ms for {self.rows} rows "
            f"on each of {cores()} cores"
        )


def compared(ways: Sequence[Way], signature: Signature, feeds: Feeds) -> dict[Parallelism, Figures]:
    """Tries all ways with some rows.

    They take turns, and the least times count: what else the machine does hurts all alike, and some runs not at all.

    Args:
        ways: the first decides how many rows a batch has.
        signature: what is run.
        feeds: its inputs, of a row or more.
    """
    figures = {way.parallelism: Figures() for way in ways}
    for way in ways:
        row_seconds(way, signature, feeds)  # the first runs of a graph prepare it
    enough = time.monotonic() + _SECONDS
    turn = 0
    while turn < 3 or time.monotonic() < enough:
        for way in ways:
            found = figures[way.parallelism]
            found.row_seconds = min(found.row_seconds, row_seconds(way, signature, feeds))
        rows = max(1, min(MOST_ROWS, int(_BATCH_SECONDS / figures[ways[0].parallelism].row_seconds)))
        batch = [np.resize(array, (rows, *array.shape[1:])) for array in feeds]
        for way in ways:
            found = figures[way.parallelism]
            found.rows = rows
            found.batch_seconds = min(found.batch_seconds, _on_all_cores(way.engine, signature, batch))
        turn += 1
    return figures


def row_seconds(way: Way, signature: Signature, feeds: Feeds) -> float:
    """The mean of the least times that some rows take, each alone."""
    singles = [[array[row : row + 1] for array in feeds] for row in range(min(_SINGLES, len(feeds[0])))]
    runs = [functools.partial(way.engine.run, signature.name, single, way.alone) for single in singles]
    return statistics.mean(min(_seconds(run) for _ in range(5)) for run in runs)


def _on_all_cores(engine: SessionEngine, signature: Signature, feeds: Feeds) -> float:
    threads = [threading.Thread(target=engine.run, args=(signature.name, feeds)) for _ in range(cores())]

    def run() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return _seconds(run)


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
