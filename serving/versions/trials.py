"""Times of a version's own requests, by the settings with which it could run."""

import functools
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from unroll.serving.engine.cores import cores
from unroll.serving.engine.inputs import Feeds
from unroll.serving.engine.parallelism import Parallelism
from unroll.serving.engine.session_engine import SessionEngine, Signature
from unroll.serving.protocol.status import StatusError

MAX_ROWS = 64
"""Of a batch that is tried."""
_SECONDS = 0.4  # of trials in all, or one turn of each way, if that takes longer
_BATCH_SECONDS = 0.03  # of a batch that is tried, about
_SINGLES = 4  # rows that are run alone, at most
_REPEATS = 5  # of each, at most


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

    @property
    def modes(self) -> tuple[bool, ...]:
        return (False, True) if self.alone else (False,)


@dataclass
class Figures:
    """Seconds of a row alone, and of a batch of so many rows beside one on each other core.

    Of rows that take longer and shorter, it is the geometric mean: each counts as much as the others.
    """

    rows: int
    row_seconds: float
    batch_seconds: float

    @property
    def cost(self) -> float:
        """Of two settings, the one with the lower product is faster by more for the one than slower for the other."""
        return self.row_seconds * self.batch_seconds

    def __str__(self) -> str:
        return (
            f"{1e3 * self.row_seconds:.2f} ms a row alone, {1e3 * self.batch_seconds:.1f} ms for {self.rows} rows "
            f"on each of {cores()} cores"
        )


class Trials:
    """Runs some rows by the ways that there are, again and again.

    Ways take turns, and the least times count: what else the machine does hurts all alike, and some runs not at all.

    Args:
        signature: what is run.
        feeds: its inputs, of a row or more.

    All methods raise StatusError where the graph refuses the rows.
    """

    def __init__(self, signature: Signature, feeds: Feeds) -> None:
        self._signature = signature
        self._singles = [[array[row : row + 1] for array in feeds] for row in range(min(_SINGLES, len(feeds[0])))]
        self._batch = feeds
        self._repeats = 1

    def prepare(self, way: Way) -> None:
        """Runs a row by a way for the first time, which takes longer. Several ways may be prepared at once."""
        for alone in way.modes:
            way.engine.run(self._signature.name, self._singles[0], alone)

    def measure(self, way: Way) -> float:
        """Seconds of a row alone by a way that is prepared; from then on, as many rows are run as there is time for."""
        one = _seconds(functools.partial(way.engine.run, self._signature.name, self._singles[0]))
        del self._singles[max(1, int(_BATCH_SECONDS / one)) :]
        self._row_times(way)  # rows of other lengths run for the first time, too
        seconds = statistics.geometric_mean(self._row_times(way))
        often = int(_BATCH_SECONDS / seconds)
        self._repeats = max(1, min(_REPEATS, often // len(self._singles)))
        rows = max(1, min(MAX_ROWS, often))
        self._batch = [np.resize(array, (rows, *array.shape[1:])) for array in self._batch]
        return seconds

    def compared(self, ways: Sequence[Way]) -> dict[Parallelism, Figures]:
        """Figures of ways that are prepared."""
        times = {way.parallelism: [float("inf")] * len(self._singles) for way in ways}
        batches = {way.parallelism: float("inf") for way in ways}
        until = time.monotonic() + _SECONDS
        turn = 0
        while turn == 0 or time.monotonic() < until:
            for way in ways:
                known = times[way.parallelism]
                times[way.parallelism] = list(map(min, known, self._row_times(way)))
            for way in ways:
                seconds = _on_all_cores(way.engine, self._signature, self._batch)
                batches[way.parallelism] = min(batches[way.parallelism], seconds)
            turn += 1
        rows = len(self._batch[0])
        return {way: Figures(rows, statistics.geometric_mean(times[way]), batches[way]) for way in times}

    def _row_times(self, way: Way) -> list[float]:
        """Of some rows, each alone: the least of several seconds."""
        return [
            min(
                _seconds(functools.partial(way.engine.run, self._signature.name, single, alone))
                for alone in way.modes
                for _ in range(self._repeats)
            )
            for single in self._singles
        ]


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
