"""Trials take about as long whatever they try, and chance decides nothing."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from unroll.serving.engine.cores import cores
from unroll.serving.engine.executors import DEFAULT
from unroll.serving.engine.parallelism import Parallelism
from unroll.serving.engine.session_engine import Signature, TensorSpec
from unroll.serving.versions import trials
from unroll.serving.versions.trials import Figures, StoppedError, Trials, Way

SPEC = TensorSpec("x:0", np.dtype(np.float32), (None,))
SIGNATURE = Signature("same", "", {"x": SPEC}, {"y": SPEC}, {})


class Slow:
    """Takes its time for each row."""

    def __init__(self) -> None:
        self.rows = 0

    def run(self, signature: str, feeds: Sequence[Any], alone: bool = False) -> Sequence[Any]:
        self.rows += len(feeds[0])
        time.sleep(0.05 * len(feeds[0]))
        return feeds


def test_of_a_slow_graph_few_rows_are_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_SECONDS", 0.0)
    engine: Any = Slow()
    simplest, across = Parallelism(), Parallelism(DEFAULT, inter_op=2, only_alone=True)
    ways = [Way(simplest, engine, alone=False), Way(across, engine, alone=True)]
    tried = Trials(SIGNATURE, [np.zeros(64, np.float32)])
    assert tried.measure(ways[0]) >= 0.05
    tried.prepare(ways[1])
    figures = tried.compared(ways)
    assert figures.keys() == {simplest, across}
    # To measure and to prepare; then in each of the fewest turns a row in each mode and a batch of one on each core.
    assert engine.rows <= 7 + 5 * (3 + 2 * cores())


class Figured(Slow):
    """Takes the time that a test says, as its clock tells."""

    def __init__(self, clock: "Clock", seconds: Callable[[bool], float]) -> None:
        super().__init__()
        self._clock = clock
        self._seconds = seconds

    def run(self, signature: str, feeds: Sequence[Any], alone: bool = False) -> Sequence[Any]:
        with self._clock.lock:
            self._clock.now += self._seconds(alone)
        return feeds


class Clock:
    """Time that passes only where something takes it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lock = threading.Lock()

    def perf_counter(self) -> float:
        return self.now

    monotonic = perf_counter


def compared(
    monkeypatch: pytest.MonkeyPatch,
    simplest: Callable[[], float],
    alone: Callable[[], float],
    beside: Callable[[], float],
) -> Figures:
    """Figures of a way that has a mode for runs alone, whose rows take such times, and its batches as given."""
    clock = Clock()
    monkeypatch.setattr(trials, "time", clock)
    slow, fast = Parallelism(), Parallelism(DEFAULT, inter_op=2, only_alone=True)
    first: Any = Figured(clock, lambda _: simplest())
    other: Any = Figured(clock, lambda is_alone: alone() if is_alone else beside())
    tried = Trials(SIGNATURE, [np.zeros(4, np.float32)])
    ways = [Way(slow, first, alone=False), Way(fast, other, alone=True)]
    tried.measure(ways[0])
    figures = tried.compared(ways)
    assert figures[slow].cost == 1.0
    assert not figures[slow].clear
    return figures[fast]


def test_what_is_faster_in_most_turns_is_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = compared(monkeypatch, lambda: 0.010, lambda: 0.006, beside=lambda: 0.010)
    assert figures.clear
    assert figures.cost == pytest.approx(0.6)
    assert figures.row_seconds == pytest.approx(0.006)


def test_what_is_as_fast_is_not_clear_however_the_machine_hesitates(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(1)

    def hesitant() -> float:
        """Ten milliseconds, or up to three times as many, as another program has the core for a while."""
        return 0.010 * (1 + 2 * generator.random() * (generator.random() < 0.3))

    for _ in range(100):
        assert not compared(monkeypatch, hesitant, hesitant, beside=hesitant).clear


def test_trials_end_when_they_are_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    engine: Any = Slow()
    stops = iter([False, False, False, True])
    tried = Trials(SIGNATURE, [np.zeros(4, np.float32)], lambda: next(stops))
    way = Way(Parallelism(), engine, alone=False)
    with pytest.raises(StoppedError):
        tried.compared([way, way])
    assert engine.rows == 3
