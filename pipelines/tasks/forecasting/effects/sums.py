"""Sums of products of an effect's terms and of what a forecast leaves, by blocks of time: all that it is fitted by."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from unroll.models.layers.instance_norm import window_statistics
from unroll.models.series.simple_path import SimplePath
from unroll.pipelines.tasks.forecasting.simple.moments import mean_squared_error
from unroll.pipelines.tasks.forecasting.windows.feed import Feed

_TARGETS = 200_000
_VALIDATION = 0.3  # of so many targets
_BLOCKS = 6
_BATCH = 32
MEMORY = 2_000_000
"""Numbers of a block's sums, at most."""
_WILDEST = 10.0  # scales of a window, that what is left of it counts for at most

Terms = Callable[[Mapping[str, tf.Tensor]], tf.Tensor]
"""From a window's inputs to terms `[B, H, M]`, for all channels, `[B, 1, C, M]`, for all steps, or `[B, H, C, M]`."""


@dataclass
class Sums:
    """Sums of products of terms x and what is left y, for one or more fits `[...]`."""

    gram: np.ndarray  # [..., M, M]
    cross: np.ndarray  # [..., M, Y]
    count: np.ndarray  # [...]
    square: float = 0.0

    def add(self, x: np.ndarray, y: np.ndarray, at: int | None = None) -> None:
        """Adds instances x `[N, ..., M]` and y `[N, ..., Y]`, `at` one of the first axis of fits.

        A missing target counts as one without an effect, and a wild one of a window that hardly moves as less.
        """
        y = np.clip(np.where(np.isfinite(y), y, 0), -_WILDEST, _WILDEST)
        x, y = (np.moveaxis(one.astype(np.float64), 0, -2) for one in (x, y))
        chosen = ... if at is None else at
        self.gram[chosen] += np.swapaxes(x, -1, -2) @ x
        self.cross[chosen] += np.swapaxes(x, -1, -2) @ y
        self.count[chosen] += x.shape[-2]
        self.square += float(np.vdot(y, y))

    def __add__(self, other: "Sums") -> "Sums":
        sums = (self.gram + other.gram, self.cross + other.cross, self.count + other.count)
        return Sums(*sums, self.square + other.square)

    @property
    def pooled(self) -> "Sums":
        """One fit for all of the first axis."""
        return Sums(self.gram.sum(axis=0), self.cross.sum(axis=0), self.count.sum(axis=0), self.square)

    @property
    def scale(self) -> np.ndarray:
        """Root mean square of each term `[M]` in all fits; infinite for one that the history tells already."""
        diagonal = np.diagonal(self.gram, axis1=-2, axis2=-1).reshape(-1, self.gram.shape[-1])
        scale = np.sqrt(diagonal.sum(axis=0) / max(float(self.count.sum()), 1))
        return np.where(scale > 1e-6, scale, np.inf)

    def solve(self, penalty: float, scale: np.ndarray, begun: np.ndarray | None = None) -> np.ndarray:
        """Weights `[..., M, Y]`, 0 of a term with an infinite scale, that shrink to those begun with.

        A fit with fewer instances than others shrinks more.
        """
        left = self.cross if begun is None else self.cross - self.gram @ begun
        damped = self.gram / scale[:, None] / scale
        damped = damped + penalty * max(float(self.count.mean()), 1) * np.eye(len(scale))
        added = np.linalg.solve(damped, left / scale[:, None]) / scale[:, None]
        return added if begun is None else begun + added

    def error(self, weights: np.ndarray) -> float:
        """Mean squared error; a sum over fits has that over all."""
        return mean_squared_error(self.gram, self.cross, self.square, float(self.count.sum()), weights)


def total(sums: Iterable[Sums]) -> Sums:
    """Of all."""
    first, *others = sums
    return sum(others, start=first)


class BlockSums:
    """Sums by blocks of time of the training and the validation split.

    Args:
        feed: of the windows.
        path: the simple forecast that leaves what is to be told.
        terms: of its inputs.
        groups: how many fits there are, for which `static`, that column of a window's categories, tells; None: one.
    """

    def __init__(self, feed: Feed, path: SimplePath, terms: Terms, groups: tuple[int, int] | None = None):
        self.parts: dict[tuple[str, int], Sums] = {}
        horizon = feed.features.horizon

        @tf.function(autograph=False)
        def rows(inputs: dict[str, tf.Tensor], target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            left = (target - path(inputs)) / window_statistics(inputs["history"])[1]  # [B, H, C]
            x = terms(inputs)
            if x.shape.rank == 3:
                return x, left
            return (x, left[..., None]) if x.shape[1] == horizon else (x, tf.transpose(left, [0, 2, 1])[:, None])

        for split, share in (("train", 1.0), ("validation", _VALIDATION)):
            if split not in feed.data.bounds or not feed.count(split):
                continue
            stride = feed.stride(split, max(64, int(share * _TARGETS / horizon)))
            for window in feed.aligned(split, _BATCH, stride=stride):
                x, y = (one.numpy() for one in rows(*feed.pair(window)))
                numbers = _numbers(feed, split, feed.steps(window))
                categories = None if groups is None else window["static"].numpy()[:, groups[1]]
                for block in np.unique(numbers):
                    chosen = numbers == block
                    sums = self._of((split, int(block)), x, y, () if groups is None else (groups[0],))
                    if categories is None:
                        sums.add(_flat(x[chosen]), _flat(y[chosen]))
                        continue
                    for number in np.unique(categories[chosen]):
                        mine = chosen & (categories == number)
                        sums.add(_flat(x[mine]), _flat(y[mine]), at=int(number))

    def _of(self, key: tuple[str, int], x: np.ndarray, y: np.ndarray, groups: tuple[int, ...]) -> Sums:
        if key not in self.parts:
            fits, terms = (*groups, *x.shape[2:-1]), x.shape[-1]
            zeros = (np.zeros([*fits, terms, terms]), np.zeros([*fits, terms, y.shape[-1]]), np.zeros(fits))
            self.parts[key] = Sums(*zeros)
        return self.parts[key]

    @property
    def whole(self) -> Sums:
        """Of the training split."""
        return total(one for (split, _), one in self.parts.items() if split == "train")

    @property
    def folds(self) -> list[tuple[Sums, Sums]]:
        """What is fitted on and what judges it: for each block the training split without it."""
        folds = []
        for key, held_out in self.parts.items():
            others = [one for other, one in self.parts.items() if other[0] == "train" and other != key]
            if others:
                folds.append((total(others), held_out))
        return folds


def _flat(windows: np.ndarray) -> np.ndarray:
    return windows.reshape(-1, *windows.shape[2:])


def _numbers(feed: Feed, split: str, steps: np.ndarray) -> np.ndarray:
    """Of each window the block of time of its split."""
    begin, end = feed.data.bounds[split]
    count = int(np.clip((end - begin) // (2 * feed.features.horizon), 1, _BLOCKS if split == "train" else 2))
    return np.clip((steps - begin) * count // max(end - begin, 1), 0, count - 1)


def usual_values(feed: Feed, column: int, most: int = 100_000) -> np.ndarray:
    """Known values of a covariate, standardised as the forecaster reads it.

    Args:
        feed: of the windows.
        column: of its covariates.
        most: of so many steps.
    """
    values, features = feed.data.values, feed.features
    raw = np.asarray(values[:: -(-len(values) // most), features.targets + column], np.float64)
    return (raw[np.isfinite(raw)] - features.mean[column]) / features.std[column]


def masks(sizes: Sequence[int]) -> list[np.ndarray]:
    """Of consecutive groups of terms, bool `[M]` each."""
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    return [numbers == number for number in range(len(sizes))]
