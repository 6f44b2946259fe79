"""Which of several lookbacks forecasts held-out blocks best, by a linear map of the history."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from unroll.pipelines.data.series.data import SeriesData
from unroll.pipelines.data.series.window_index import WindowIndex
from unroll.pipelines.data.series.windows import windows
from unroll.pipelines.tasks.forecasting.simple.history_map import fit_history_map
from unroll.pipelines.tasks.forecasting.simple.moments import Blocks, Moments
from unroll.pipelines.tasks.forecasting.simple.ridge import PENALTIES, RidgeSolver

_WORTHWHILE = 0.03  # of the error: what another lookback must save to be taken for the usual one
_EXACT = 1e-6  # variances: nothing is left to be saved
_INSTANCES = 20_000  # windows of a target of each split: more would not change the choice
_SHORT = 224  # steps: beyond, plain maps are too many to try, and ridge regression has enough to learn from
_BATCH = 256
_BLOCKS = 4


@threadpool_limits.wrap(limits=1, user_api="blas")  # several wait for each other on a busy machine
def best_lookback(data: SeriesData, tried: Sequence[int], usual: int, horizon: int) -> tuple[int, float]:
    """The lookback with clearly the least error, and its gain on the usual one, 0 for that itself.

    All are judged on the same windows: the sums for a shorter history are a part of those for the longest.

    Args:
        data: the series.
        tried: steps, among them the usual one.
        usual: steps.
        horizon: steps that are forecast.
    """
    if len(tried) == 1:
        return usual, 0.0
    longest = max(tried)
    strides = {}
    for split in ("train", "validation"):
        count = WindowIndex.of(data, split, lookback=longest, horizon=horizon).count
        if not count:
            return usual, 0.0
        strides[split] = max(1, -(-count * data.targets // _INSTANCES))
    cut = partial(windows, data, lookback=longest, horizon=horizon, batch_size=_BATCH)
    blocks = Blocks(*data.bounds["train"], _BLOCKS, longest, horizon)
    for batch in cut("train", stride=strides["train"]).as_numpy_iterator():
        blocks.add(data.frequency.ordinal(batch["timestamp"]), batch)
    held_out = Moments.of(cut("validation", stride=strides["validation"]).as_numpy_iterator(), longest, horizon)
    seasons = sorted({*data.frequency.seasons, data.season})
    errors = {
        lookback: fit_history_map(blocks.newest(lookback), held_out.newest(lookback), seasons).error
        if longest <= _SHORT
        else _ridge_error(blocks.newest(lookback), held_out.newest(lookback))
        for lookback in tried
    }
    best = min(tried, key=lambda lookback: errors[lookback])
    gain = 1 - errors[best] / errors[usual] if errors[usual] > _EXACT else 0.0
    return (best, gain) if gain > _WORTHWHILE else (usual, 0.0)


def _ridge_error(blocks: Blocks, held_out: Moments) -> float:
    """The mean error on held-out blocks of the ridge regression that has the least."""
    weights = np.eye(len(held_out.gram))[-1]
    errors = [
        [judge.error(weights, solution) for solution in RidgeSolver(fitted, weights).path(PENALTIES[::3])]
        for fitted, judge in blocks.folds(held_out)
        if fitted.weight and judge.weight
    ]
    return float(np.mean(errors, axis=0).min()) if errors else 0.0
