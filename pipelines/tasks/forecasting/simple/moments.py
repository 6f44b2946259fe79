"""Sums of products over windows: all that a linear map from history to horizon is fitted by."""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from unroll.models.series.baselines import interpolate

_BLOCKS = 4  # of the training split


@dataclass
class Moments:
    """Weighted sums of products over instances x `[lookback]`, y `[horizon]`.

    Each channel of a window is an instance, z-scored by its series. A missing value of the history is interpolated as
    `RidgeMap` does it, one of the target between its neighbours, and the instance weighs as much as the share of its
    values that was observed. Centring is linear in x, so each centre's sums follow from the raw ones.
    """

    gram: np.ndarray  # [L, L] of x, x
    cross: np.ndarray  # [L, H] of x, y
    square: float = 0.0  # of y, y
    weight: float = 0.0

    @classmethod
    def none(cls, lookback: int, horizon: int) -> "Moments":
        return cls(np.zeros([lookback, lookback]), np.zeros([lookback, horizon]))

    @classmethod
    def of(cls, batches: Iterable[Mapping[str, Any]], lookback: int, horizon: int) -> "Moments":
        """The sums over batches of windows: `history` float `[batch, lookback, columns]` whose first columns are the
        targets, `target` `[batch, horizon, channels]`, NaN where missing, `mean` and `std` `[batch, channels]`."""
        moments = cls.none(lookback, horizon)
        for batch in batches:
            moments.add(*instances(batch, lookback))
        return moments

    def add(self, window: np.ndarray, weight: np.ndarray) -> None:
        """Adds instances `[N, lookback + horizon]` of some weights `[N]`."""
        lookback = len(self.gram)
        weighted = window * weight[:, None]
        self.gram += window[:, :lookback].T @ weighted[:, :lookback]
        self.cross += window[:, :lookback].T @ weighted[:, lookback:]
        self.square += float(np.vdot(window[:, lookback:], weighted[:, lookback:]))
        self.weight += float(weight.sum())

    def __add__(self, other: "Moments") -> "Moments":
        square, weight = self.square + other.square, self.weight + other.weight
        return Moments(self.gram + other.gram, self.cross + other.cross, square, weight)

    def newest(self, lookback: int) -> "Moments":
        """The sums for the newest steps of the histories alone."""
        return Moments(self.gram[-lookback:, -lookback:], self.cross[-lookback:], self.square, self.weight)

    def centred(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """The sums `(gram, cross, square)` of x - (weights . x) and y - (weights . x)."""
        gram_weights = self.gram @ weights  # [L]
        level = float(weights @ gram_weights)
        horizon = self.cross.shape[1]
        gram = self.gram - gram_weights[:, None] - gram_weights[None, :] + level
        cross = self.cross - gram_weights[:, None] - (weights @ self.cross)[None, :] + level
        return gram, cross, self.square - 2 * float((weights @ self.cross).sum()) + horizon * level

    def error(self, weights: np.ndarray, solution: np.ndarray) -> float:
        """Mean squared error of a map of the centred x."""
        return mean_squared_error(*self.centred(weights), self.weight, solution)


class Blocks:
    """Moments of windows by blocks of time, to hold each of them out of a fit.

    Windows whose targets reach into the next block are in none of them.

    Args:
        begin: the first step of the split.
        end: the step after its last.
        count: blocks at most; each is at least two horizons long.
        lookback: timesteps of the history.
        horizon: timesteps of the target.
    """

    def __init__(self, begin: int, end: int, count: int, lookback: int, horizon: int):
        count = int(np.clip((end - begin) // (2 * horizon), 1, count))
        self._edges = np.linspace(begin, end, count + 1)
        self.parts = [Moments.none(lookback, horizon) for _ in range(count)]
        self.between = Moments.none(lookback, horizon)

    def add(self, steps: np.ndarray, batch: Mapping[str, Any]) -> None:
        """Adds a batch of windows, whose newest steps of history lie at `steps`, int `[B]`."""
        window, weight = instances(batch, len(self.between.gram))
        number = np.repeat(self.numbers(steps), len(window) // len(steps))
        for block in np.unique(number):
            chosen = number == block
            (self.between if block < 0 else self.parts[block]).add(window[chosen], weight[chosen])

    def numbers(self, steps: np.ndarray) -> np.ndarray:
        """Of windows whose newest steps of history lie at `steps` the number of the block, -1 for none: int `[B]`."""
        horizon = self.between.cross.shape[1]
        number = np.clip(np.searchsorted(self._edges, steps, side="right") - 1, 0, len(self.parts) - 1)
        last = number + 1 == len(self.parts)
        return np.where(last | (steps + horizon < self._edges[number + 1]), number, -1)

    @property
    def steps(self) -> int:
        """Steps of the split."""
        return int(self._edges[-1] - self._edges[0])

    def newest(self, lookback: int) -> "Blocks":
        """The same blocks for the newest steps of the histories alone."""
        shorter = copy(self)
        shorter.parts = [part.newest(lookback) for part in self.parts]
        shorter.between = self.between.newest(lookback)
        return shorter

    def bounds(self, number: int) -> tuple[int, int]:
        """The first step of a block, and the step after its last."""
        return int(np.ceil(self._edges[number])), int(np.ceil(self._edges[number + 1]))

    def folds(self, held_out: Moments) -> list[tuple[Moments, Moments]]:
        """What is fitted on and what judges it: each block beside all without it, and `held_out` beside all blocks."""
        return [*((self.without(number), part) for number, part in enumerate(self.parts)), (self.whole, held_out)]

    @property
    def whole(self) -> Moments:
        """Of all windows."""
        return sum(self.parts, start=self.between)

    def without(self, number: int) -> Moments:
        """Of all blocks but one, and nothing between blocks."""
        others = (part for other, part in enumerate(self.parts) if other != number)
        return sum(others, start=Moments.none(*self.between.cross.shape))


class SplitMoments:
    """Moments of windows by split: of the training split by blocks, of the validation split, and of those across both.

    Args:
        bounds: of the training split: its first step and the step after its last.
        lookback: timesteps of the history.
        horizon: timesteps of the target.
    """

    def __init__(self, bounds: tuple[int, int], lookback: int, horizon: int):
        begin, end = bounds
        begin = min(begin + lookback, end - 1)  # where windows begin; those of short series lie before
        self.blocks = Blocks(begin, end, _BLOCKS, lookback, horizon)
        self.held_out, self.across = (Moments.none(lookback, horizon) for _ in range(2))

    def add(self, split: str, steps: np.ndarray, batch: Mapping[str, Any]) -> None:
        """Adds a batch of windows of a split, or `across`, as `Blocks.add` takes it."""
        if split == "train":
            self.blocks.add(steps, batch)
        else:
            part = self.held_out if split == "validation" else self.across
            part.add(*instances(batch, len(part.gram)))

    @property
    def every(self) -> Moments:
        """Of all windows."""
        return self.blocks.whole + self.held_out + self.across


def mean_squared_error(
    gram: np.ndarray, cross: np.ndarray, square: float, weight: float, solution: np.ndarray
) -> float:
    """That of a linear map, from sums of products of what it reads x `[M]` and of what it should give y `[C]`.

    Args:
        gram: of x, x, float64 `[M, M]`.
        cross: of x, y, `[M, C]`.
        square: of y, y.
        weight: of all instances.
        solution: the map, `[M, C]`.
    """
    total = square - 2 * np.vdot(solution, cross) + np.vdot(solution, gram @ solution)
    return max(float(total / max(weight, 1e-12) / solution.shape[-1]), 0.0)  # of a perfect map, rounding may leave less


def instances(batch: Mapping[str, Any], lookback: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows `[N, lookback + horizon]` of a batch, without gaps, and their weights `[N]`, 0 for one without values."""
    target = np.asarray(batch["target"], np.float64)
    mean, std = (np.asarray(batch[key], np.float64)[:, None] for key in ("mean", "std"))
    history = np.asarray(batch["history"], np.float64)[..., : target.shape[-1]]
    window = (np.concatenate([history, target], axis=1) - mean) / np.where(std > 0, std, 1)  # [B, L + H, C]
    observed = np.isfinite(window)
    weight = observed[:, :lookback].mean(axis=1) * observed[:, lookback:].mean(axis=1)  # [B, C]
    if not observed.all():
        past = interpolate(tf.constant(window[:, :lookback]))
        window = np.concatenate([past, interpolate(tf.constant(window))[:, lookback:]], axis=1)
    window = np.where((weight > 0)[:, None], window, 0)
    return window.transpose(0, 2, 1).reshape(-1, window.shape[1]), weight.ravel()
