"""Fits the effects of covariates on what a linear map of the history leaves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from unroll.models.layers.instance_norm import window_statistics
from unroll.models.series.covariate_effect import CovariateColumns, CovariateEffect, effect_terms
from unroll.models.series.simple_path import SimplePath
from unroll.pipelines.tasks.forecasting.simple.moments import mean_squared_error
from unroll.pipelines.tasks.forecasting.windows.feed import Feed

_PENALTIES = 10.0 ** np.arange(-5, 1.5, 0.5)  # of the squared weights of standardised terms, a target
_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
_VALUES = 100_000  # steps of a covariate that its knots are looked for in
_TARGETS = 200_000
_BLOCKS = 6
_LEAST = 0.01  # of a gain
_BATCH = 32


@dataclass(frozen=True)
class EffectFit:
    """A fitted effect.

    Args:
        effect: for the simple path; None where the held-out blocks are better without.
        gain: share of the map's squared error that it takes off on them.
        blocks: that were held out.
    """

    effect: CovariateEffect | None
    gain: float
    blocks: int


def covariate_columns(feed: Feed, season: int) -> CovariateColumns:
    """What is made of the covariates that are known for the horizon.

    Args:
        feed: of the windows.
        season: steps over which their effect may be late: the shortest season of the series.
    """
    features, values = feed.features, feed.data.values
    every = -(-len(values) // _VALUES)
    knots: dict[int, Sequence[float]] = {}
    for column in range(features.past, features.past + features.future):
        raw = np.asarray(values[::every, features.targets + column], np.float64)
        known = (raw[np.isfinite(raw)] - features.mean[column]) / features.std[column]
        distinct = np.unique(known)
        knots[column] = np.unique(np.quantile(known, _QUANTILES).round(4)).tolist() if len(distinct) > 2 else ()
    first = features.past + features.future
    if len(features.holidays):
        knots[first] = ()
    first += bool(len(features.holidays))
    cycles = {name: first + 2 * number for number, name in enumerate(features.cycles)}
    return CovariateColumns(knots, cycles, season if features.future else 1)


def fit_effect(feed: Feed, path: SimplePath, season: int) -> EffectFit:
    """The effects with the least error on held-out blocks, among those of several penalties and none.

    Args:
        feed: of the windows.
        path: the simple forecast without an effect.
        season: the shortest of the series.
    """
    columns = covariate_columns(feed, season)
    if not columns.knots and not columns.cycles:
        return EffectFit(None, 0.0, 0)
    horizon, history_map = feed.features.horizon, path.history_map
    sums: dict[tuple[str, int], _Sums] = {}
    sizes: list[int] = []

    @tf.function
    def rows(inputs: dict[str, tf.Tensor], target: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Terms `[B, H, m]` by group as a map of the history lets them through, and what it leaves of the target."""
        terms = effect_terms(inputs["covariates"], columns)
        lookback = history_map.kernel.shape[0]
        changes = [one[:, lookback:] - history_map(one[:, :lookback]) for one in terms]
        left = (target - path(inputs)) / window_statistics(inputs["history"])[1]
        return [tf.where(tf.math.is_finite(one), one, 0.0) for one in changes], left

    for split, share in (("train", 1.0), ("validation", 0.3)):
        most = max(64, int(share * _TARGETS / horizon))
        for window in feed.aligned(split, _BATCH, stride=feed.stride(split, most)):
            changes, left = rows(*feed.pair(window))
            sizes = sizes or [one.shape[2] for one in changes]
            x, y = tf.concat(changes, axis=2).numpy(), left.numpy()
            numbers = _numbers(feed, split, feed.steps(window))
            for block in np.unique(numbers):
                chosen = numbers == block
                one = sums.setdefault((split, int(block)), _Sums.none(x.shape[2], y.shape[2]))
                one.add(x[chosen].reshape(-1, x.shape[2]), y[chosen].reshape(-1, y.shape[2]))
    whole = _total([one for (split, _), one in sums.items() if split == "train"])
    scale = np.sqrt(np.diag(whole.gram) / max(whole.count, 1))
    scale = np.where(scale > 1e-6, scale, np.inf)  # a term that the history tells already has no weight
    folds = []
    for (split, block), held_out in sums.items():
        others = [one for key, one in sums.items() if key[0] == "train" and key != (split, block)]
        if others:
            folds.append((_total(others), held_out))
    before = np.array([held_out.error(np.zeros_like(held_out.cross)) for _, held_out in folds])
    best, gain = None, 0.0
    for penalty in _PENALTIES:
        after = np.array([held_out.error(fitted.solve(penalty, scale)) for fitted, held_out in folds])
        gains = (before - after) / max(before.mean(), 1e-12)
        if gains.mean() > max(gain, _LEAST, gains.std() / np.sqrt(len(gains)) / 2):
            best, gain = float(penalty), float(gains.mean())
    if best is None:
        return EffectFit(None, 0.0, len(folds))
    weights = np.split(whole.solve(best, scale), np.cumsum(sizes)[:-1])
    return EffectFit(CovariateEffect(columns, weights), gain, len(folds))


@dataclass
class _Sums:
    """Sums of products of terms x and what is left y."""

    gram: np.ndarray  # [M, M]
    cross: np.ndarray  # [M, C]
    square: float = 0.0
    count: int = 0

    @classmethod
    def none(cls, terms: int, channels: int) -> "_Sums":
        return cls(np.zeros([terms, terms]), np.zeros([terms, channels]))

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """A missing target counts as one without an effect, and a wild one of a window that hardly moves as less."""
        x, y = x.astype(np.float64), np.clip(np.where(np.isfinite(y), y, 0), -10, 10).astype(np.float64)
        self.gram += x.T @ x
        self.cross += x.T @ y
        self.square += float(np.vdot(y, y))
        self.count += len(x)

    def __add__(self, other: "_Sums") -> "_Sums":
        square, count = self.square + other.square, self.count + other.count
        return _Sums(self.gram + other.gram, self.cross + other.cross, square, count)

    def solve(self, penalty: float, scale: np.ndarray) -> np.ndarray:
        """Weights `[M, C]`."""
        gram = self.gram / scale[:, None] / scale
        damped = gram + penalty * self.count * np.eye(len(gram))
        return np.linalg.solve(damped, self.cross / scale[:, None]) / scale[:, None]

    def error(self, weights: np.ndarray) -> float:
        """Mean squared error."""
        return mean_squared_error(self.gram, self.cross, self.square, self.count, weights)


def _total(sums: list[_Sums]) -> _Sums:
    return sum(sums, start=_Sums.none(*sums[0].cross.shape))


def _numbers(feed: Feed, split: str, steps: np.ndarray) -> np.ndarray:
    """Of each window the block of time of its split."""
    begin, end = feed.data.bounds[split]
    count = int(np.clip((end - begin) // (2 * feed.features.horizon), 1, _BLOCKS if split == "train" else 2))
    return np.clip((steps - begin) * count // max(end - begin, 1), 0, count - 1)
