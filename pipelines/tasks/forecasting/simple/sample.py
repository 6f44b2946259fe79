"""Held-out windows that what cannot be judged by sums is judged by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from unroll.pipelines.tasks.forecasting.simple.moments import instances


class Windows(NamedTuple):
    """Windows of a target each, z-scored by their series and without gaps.

    Args:
        past: float64 `[N, lookback]`.
        ahead: float64 `[N, horizon]`.
        origin: mean of each one's series, in its standard deviations, `[N, 1]`: what is 0 in raw units lies at -origin.
    """

    past: np.ndarray
    ahead: np.ndarray
    origin: np.ndarray


@dataclass
class WindowSample:
    """Windows, each with the number of the block that holds it out.

    Args:
        lookback: timesteps of the history.
        every: of so many windows one is kept.
    """

    lookback: int
    every: int
    _parts: list[tuple[np.ndarray, ...]] = field(default_factory=list)
    _seen: int = 0

    def add(self, batch: Mapping[str, Any], fold: np.ndarray) -> None:
        """Adds a batch of windows as `Moments.of` takes them, and their blocks, int `[B]`, -1 for none."""
        first = -self._seen % self.every
        self._seen += len(fold)
        batch = {key: np.asarray(batch[key])[first :: self.every] for key in ("history", "target", "mean", "std")}
        fold = fold[first :: self.every]
        if not len(fold):
            return
        window, weight = instances(batch, self.lookback)
        origin = (np.asarray(batch["mean"], np.float64) / np.asarray(batch["std"], np.float64)).reshape(-1)
        fold = np.repeat(fold, len(window) // len(fold))
        kept = (fold >= 0) & (weight > 0)
        self._parts.append((window[kept], origin[kept], fold[kept]))

    def by_block(self) -> Iterator[tuple[int, Windows]]:
        """Blocks and windows of them."""
        for window, origin, fold in self._parts:
            for number in np.unique(fold):
                chosen = fold == number
                past, ahead = np.split(window[chosen], [self.lookback], axis=1)
                yield int(number), Windows(past, ahead, origin[chosen, None])


def relative_losses(errors: np.ndarray) -> np.ndarray:
    """Mean of the absolute and of the squared error of several forecasts `[S, ...]`, each as a share of the first's."""
    flat = errors.reshape(len(errors), -1)
    losses = np.stack([np.abs(flat).mean(axis=1), np.square(flat).mean(axis=1)])  # [2, S]
    relative: np.ndarray = (losses / np.maximum(losses[:, :1], 1e-12)).mean(axis=0)
    return relative
