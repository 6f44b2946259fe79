"""Times of a version's own requests, by the settings with which it could run."""

import functools
import statistics
import threading
import time
from collections import defaultdict
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
CLEARLY = 0.9
"""Of the simplest settings' cost, before others are preferred."""
_MOSTLY = 0.9  # of the turns, in which they must have been so
_SECONDS = 2.0  # of trials in all, unless the fewest turns take longer
_FEWEST, _MOST = 5, 25  # turns
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

    Args:
        rows: of the batch.
        row_seconds: see above.
        batch_seconds: see above.
        cost: their product, as a share of the simplest settings'. Below 1, the settings are faster by more for the one
            than slower for the other.
        clear: whether they were clearly faster in nearly all turns, so that it is no chance.
    """

    rows: int
    row_seconds: float
    batch_seconds: float
    cost: float = 1.0
    clear: bool = False

    def __str__(self) -> str:
        return (
            f"{1e3 * self.row_seconds:.2f} ms a row alone, {1e3 * self.batch_seconds:.1f} ms for {self.rows} rows "
            f"on each of {cores()} cores"
        )


class StoppedError(Exception):
    """Trials that ended before they had an outcome."""


class Trials:
    """Runs some rows by the ways that there are, again and again.

    Ways take turns, and only times of one turn are compared with each other: what else the machine does comes and goes
    from turn to turn, and what hurts one way alone does so in few of them.

    Args:
        signature: what is run.
        feeds: its inputs, of a row or more.
        stopped: asked between runs; once it says so, trials end.

    All methods raise StatusError where the graph refuses the rows, and StoppedError where they are to end.
    """

    def __init__(self, signature: Signature, feeds: Feeds, stopped: Callable[[], bool] = lambda: False) -> None:
        self._signature = signature
        self._singles = [[array[row : row + 1] for array in feeds] for row in range(min(_SINGLES, len(feeds[0])))]
        self._batch = feeds
        self._repeats = 1
        self._stopped = stopped

    def prepare(self, way: Way) -> None:
        """Runs rows by a way for the first time, which takes longer."""
        for alone in way.modes:
            self._row_times(way, alone)

    def measure(self, way: Way) -> float:
        """Seconds of a row alone by a way that is prepared; from then on, as many rows are run as there is time for."""
        one = self._row_times(way, alone=False)
        del self._singles[max(1, int(_BATCH_SECONDS / one[0])) :]
        seconds = statistics.geometric_mean(self._row_times(way, alone=False))
        often = int(_BATCH_SECONDS / seconds)
        self._repeats = max(1, min(_REPEATS, often // len(self._singles)))
        rows = max(1, min(MAX_ROWS, often))
        self._batch = [np.resize(array, (rows, *array.shape[1:])) for array in self._batch]
        return seconds

    def compared(self, ways: Sequence[Way]) -> dict[Parallelism, Figures]:
        """Figures of ways that are prepared; the first is the simplest."""
        # By way and mode, the seconds of each turn's rows and batch: a way has the mode that is faster by and large,
        # not the one that was so in a turn, or two chances would beat one.
        rows: dict[tuple[Parallelism, bool], list[float]] = defaultdict(list)
        batches: dict[Parallelism, list[float]] = defaultdict(list)
        until = time.monotonic() + _SECONDS
        turns = 0
        while turns < _FEWEST or (turns < _MOST and time.monotonic() < until):
            order = ways if turns % 2 else ways[::-1]
            for way in order:
                for alone in way.modes:
                    seconds = statistics.geometric_mean(self._row_times(way, alone))
                    rows[way.parallelism, alone].append(seconds)
            for way in order:
                self._go_on()
                batches[way.parallelism].append(_on_all_cores(way.engine, self._signature, self._batch))
            turns += 1
        figures: dict[Parallelism, Figures] = {}
        costs: dict[Parallelism, list[float]] = {}
        for way in ways:
            times = min((rows[way.parallelism, alone] for alone in way.modes), key=statistics.median)
            several = batches[way.parallelism]
            figures[way.parallelism] = Figures(
                len(self._batch[0]), statistics.median(times), statistics.median(several)
            )
            costs[way.parallelism] = [row * batch for row, batch in zip(times, several, strict=True)]
        simplest = costs[ways[0].parallelism]
        for parallelism, figure in figures.items():
            ratios = [cost / before for cost, before in zip(costs[parallelism], simplest, strict=True)]
            figure.cost = statistics.median(ratios)
            figure.clear = sum(ratio < CLEARLY for ratio in ratios) >= _MOSTLY * turns
        return figures

    def _row_times(self, way: Way, alone: bool) -> list[float]:
        """Of some rows, each alone: the least of several seconds."""
        times = []
        for single in self._singles:
            run = functools.partial(way.engine.run, self._signature.name, single, alone)
            self._go_on()
            times.append(min(_seconds(run) for _ in range(self._repeats)))
        return times

    def _go_on(self) -> None:
        if self._stopped():
            raise StoppedError


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
