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
from serving.status import StatusError

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
        alone: whether its `run` may be told of runs that have the engine to themselves.
    """

    parallelism: Parallelism
    engine: SessionEngine
    alone: bool


@dataclass
class Figures:
    """Seconds of a row alone, and of a batch of so many rows beside one on each other core."""

    rows: int
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

    Raises:
        StatusError: the graph refuses them.
    """
    for way in ways:
        _row_times(way, signature, feeds)  # the first runs of a graph prepare it
    mean = statistics.mean(_row_times(ways[0], signature, feeds))
    rows = max(1, min(MOST_ROWS, int(_BATCH_SECONDS / mean)))
    batch = [np.resize(array, (rows, *array.shape[1:])) for array in feeds]
    figures = {way.parallelism: Figures(rows) for way in ways}
    enough = time.monotonic() + _SECONDS
    turn = 0
    while turn < 3 or time.monotonic() < enough:
        for way in ways:
            found = figures[way.parallelism]
            found.row_seconds = min(found.row_seconds, row_seconds(way, signature, feeds))
        for way in ways:
            found = figures[way.parallelism]
            found.batch_seconds = min(found.batch_seconds, _on_all_cores(way.engine, signature, batch))
        turn += 1
    return figures


def row_seconds(way: Way, signature: Signature, feeds: Feeds) -> float:
    """The geometric mean of the times that some rows take, each alone: a short one counts as much as a long one."""
    return statistics.geometric_mean(_row_times(way, signature, feeds))


def _row_times(way: Way, signature: Signature, feeds: Feeds) -> list[float]:
    """Of some rows, each alone: the least of several seconds."""
    singles = [[array[row : row + 1] for array in feeds] for row in range(min(_SINGLES, len(feeds[0])))]
    modes = (False, True) if way.alone else (False,)
    runs = [[functools.partial(way.engine.run, signature.name, single, alone) for alone in modes] for single in singles]
    return [min(_seconds(run) for run in either for _ in range(5)) for either in runs]


def _on_all_cores(engine: SessionEngine, signature: Signature, feeds: Feeds) -> float:
    problems: list[Exception] = []

    def work() -> None:
        try:
            engine.run(signature.name, feeds)
        except StatusError as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(cores())]

    def run() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    seconds = _seconds(run)
    if problems:
        raise problems[0]
    return seconds


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
