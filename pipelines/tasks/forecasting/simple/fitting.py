"""The simple forecast of a data set, fitted in closed form, and the ridge map beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from unroll.models.series.baselines import RidgeMap
from unroll.models.series.log_map import LogMap
from unroll.models.series.simple_path import SimplePath
from unroll.pipelines.tasks.forecasting.simple.effect_fit import EffectFit, fit_effect
from unroll.pipelines.tasks.forecasting.simple.history_map import HistoryMap, fit_history_map
from unroll.pipelines.tasks.forecasting.simple.logarithms import LogSample, logarithms
from unroll.pipelines.tasks.forecasting.simple.moments import Blocks, Moments, instances
from unroll.pipelines.tasks.forecasting.simple.ridge import MAX_WINDOWS, fit_ridge
from unroll.pipelines.tasks.forecasting.windows.feed import Feed

_BATCH = 256
_BLOCKS = 4  # of the training split
_COMPARED = 60_000  # targets that forecasts of logarithms are judged by


@dataclass(frozen=True)
class HeldOutPath:
    """A simple forecast whose maps of the history have not seen one block of the training split.

    Args:
        bounds: of the block: its first step and the step after its last.
        path: the forecast; effects of covariates are those of the whole split.
    """

    bounds: tuple[int, int]
    path: SimplePath


@dataclass(frozen=True)
class SimpleFit:
    """Forecasts in closed form.

    Args:
        ridge: the map by ridge regression alone, a baseline.
        path: the simple forecast.
        info: how it came about, plain JSON.
        said: a line on it.
        effects: of covariates, calendar and categories.
        held_out: simple forecasts fitted without a block of the training split, the oldest block first.
    """

    ridge: RidgeMap
    path: SimplePath
    info: dict[str, Any]
    said: str
    effects: EffectFit
    held_out: Sequence[HeldOutPath] = ()


@threadpool_limits.wrap(limits=1, user_api="blas")  # several wait for each other on a busy machine, ten times as long
def fit_simple(feed: Feed) -> SimpleFit:
    """Fits on the training windows what held-out blocks of them, and the validation windows, are forecast best by.

    Args:
        feed: of the windows.
    """
    sums = _Sums(feed)
    seasons = sorted({*feed.data.frequency.seasons, feed.data.season})
    found = fit_history_map(sums.blocks, sums.held_out, seasons)
    share, logarithmic = sums.log_share(found, seasons)
    path = SimplePath(RidgeMap(found.kernel), None, LogMap(logarithmic.kernel) if logarithmic else None, share)
    late = next((season for season in seasons if 1 < season <= feed.features.lookback), 1)
    fitted = fit_effect(feed, path, late)
    path.effect = fitted.effect
    info = {"begun": found.begun, "penalty": found.penalty, "maps": found.maps, "blocks": found.blocks}
    info |= {"logarithms": share, "covariates_gain": fitted.gain}
    said = f"The simple forecast is {logarithmic.said if logarithmic and share == 1 else found.said}"
    said += {0.0: "", 1.0: ", of logarithms"}.get(share, f", and {share:.0%} of it of logarithms".replace("%", " %"))
    said += f", by {found.blocks} held-out blocks"
    said += f"; {fitted.said}" if fitted.parts else ""
    ridge = RidgeMap(fit_ridge(sums.blocks.whole, sums.held_out).kernel)
    without = []
    for number, kernel in enumerate(found.folds[:-1]):
        grown = logarithmic.folds[number] if logarithmic else None
        if kernel is not None and (logarithmic is None or grown is not None):
            one = SimplePath(RidgeMap(kernel), fitted.without(number), None if grown is None else LogMap(grown), share)
            without.append(HeldOutPath(sums.blocks.bounds(number), one))
    return SimpleFit(ridge, path, info, f"{said}.", fitted, without)


class _Sums:
    """Sums over the windows of train and validation split, and over their logarithms as long as all have some."""

    def __init__(self, feed: Feed):
        lookback, horizon = feed.features.lookback, feed.features.horizon
        begin, end = feed.data.bounds["train"]
        begin = min(begin + lookback, end - 1)  # where windows begin; those of short series lie before
        self.blocks, self._log_blocks = (Blocks(begin, end, _BLOCKS, lookback, horizon) for _ in range(2))
        self.held_out, self._log_held_out = (Moments.none(lookback, horizon) for _ in range(2))
        self._positive = True
        strides = {split: feed.stride(split, MAX_WINDOWS) for split in ("train", "validation")}
        windows = sum(feed.count(split, stride) for split, stride in strides.items())
        wanted = max(256, _COMPARED // (horizon * feed.features.targets))
        self._sample = LogSample(lookback, every=max(1, windows // wanted))
        for split, stride in strides.items():
            for window in feed.aligned(split, _BATCH, stride=stride):
                batch = {name: tensor.numpy() for name, tensor in window.items()}
                self._add(split, feed.steps(window), batch)

    def _add(self, split: str, steps: np.ndarray, batch: dict[str, np.ndarray]) -> None:
        logs = logarithms(batch) if self._positive else None
        self._positive = logs is not None
        lookback = len(self.held_out.gram)
        if split == "train":
            self.blocks.add(steps, batch)
            fold = self.blocks.numbers(steps)
        else:
            self.held_out.add(*instances(batch, lookback))
            fold = np.full(len(steps), len(self.blocks.parts))
        if logs is None:
            return
        if split == "train":
            self._log_blocks.add(steps, logs)
        else:
            self._log_held_out.add(*instances(logs, lookback))
        self._sample.add(batch, logs, fold)

    def log_share(self, plain: HistoryMap, seasons: list[int]) -> tuple[float, HistoryMap | None]:
        """The share of a forecast of logarithms beside the plain one, and its map."""
        if not self._positive:
            return 0.0, None
        logarithmic = fit_history_map(self._log_blocks, self._log_held_out, seasons)
        share = self._sample.share(plain, logarithmic)
        return share, logarithmic if share else None
