"""Trials take about as long whatever they try."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from unroll.serving.engine.cores import cores
from unroll.serving.engine.executors import DEFAULT
from unroll.serving.engine.parallelism import Parallelism
from unroll.serving.engine.session_engine import Signature, TensorSpec
from unroll.serving.versions.trials import Trials, Way

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


def test_of_a_slow_graph_few_rows_are_run() -> None:
    engine: Any = Slow()
    simplest, across = Parallelism(), Parallelism(DEFAULT, inter_op=2, only_alone=True)
    ways = [Way(simplest, engine, alone=False), Way(across, engine, alone=True)]
    trials = Trials(SIGNATURE, [np.zeros(64, np.float32)])
    for way in ways:
        trials.prepare(way)
    assert trials.measure(ways[0]) >= 0.05
    figures = trials.compared(ways)
    assert figures.keys() == {simplest, across}
    # To prepare and to measure; then in each of a few turns a row in each mode and a batch of one on each core.
    assert engine.rows <= 6 + 2 * (3 + 2 * cores())
