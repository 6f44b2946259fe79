"""Whether series grow by shares: how much of a forecast is made of their logarithms."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unroll.pipelines.tasks.forecasting.simple.history_map import HistoryMap
from unroll.pipelines.tasks.forecasting.simple.moments import instances

_SHARES = (0.0, 0.5, 1.0)
_LEAST = 0.01  # of the error, by which logarithms have to be better


def logarithms(batch: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """A batch of windows as logarithms of shares of the series' mean; None if a value is not positive.

    Args:
        batch: `history` float `[batch, lookback, columns]` whose first columns are the targets, `target`
            `[batch, horizon, channels]`, NaN where missing, `mean` and `std` `[batch, channels]`.
    """
    target, mean = np.asarray(batch["target"], np.float64), np.asarray(batch["mean"], np.float64)
    history = np.asarray(batch["history"], np.float64)[..., : target.shape[-1]]
    if (mean <= 0).any() or (history <= 0).any() or (target <= 0).any():
        return None
    logs = {"history": np.log(history / mean[:, None]), "target": np.log(target / mean[:, None])}
    return {**logs, "mean": np.zeros_like(mean), "std": np.ones_like(mean)}


@dataclass
class LogSample:
    """Held-out windows, beside their logarithms.

    Args:
        lookback: timesteps of the history.
        every: of so many windows one is kept.
    """

    lookback: int
    every: int
    _parts: list[tuple[np.ndarray, ...]] = field(default_factory=list)
    _seen: int = 0

    def add(self, batch: Mapping[str, Any], logs: Mapping[str, Any], fold: np.ndarray) -> None:
        """Adds a batch, and of each window the number of the block that holds it out, int `[B]`, -1 for none."""
        first = -self._seen % self.every
        self._seen += len(fold)
        keys = ("history", "target", "mean", "std")
        batch, logs = ({key: np.asarray(one[key])[first :: self.every] for key in keys} for one in (batch, logs))
        fold = fold[first :: self.every]
        if not len(fold):
            return
        window, weight = instances(batch, self.lookback)
        logged, _ = instances(logs, self.lookback)
        channels = len(window) // len(fold)
        origin = (np.asarray(batch["mean"], np.float64) / np.asarray(batch["std"], np.float64)).reshape(-1)
        self._parts.append((window, logged, weight, origin, np.repeat(fold, channels)))

    def share(self, plain: HistoryMap, logarithmic: HistoryMap) -> float:
        """Of none, half and all: the share of the forecast of logarithms that makes the least error.

        That is the mean of the absolute and of the squared error, each as a share of that of the plain forecast.
        """
        errors = list(self._errors(plain, logarithmic))
        if not errors:
            return 0.0
        apart, grown = (np.concatenate(one) for one in zip(*errors, strict=True))  # of the plain one, and the change
        losses = []
        for share in _SHARES:
            error = apart + share * grown
            losses.append((np.abs(error).mean(), np.square(error).mean()))
        relative = np.array(losses) / np.maximum(losses[0], 1e-12)
        means = relative.mean(axis=1)
        best = int(means.argmin())
        return _SHARES[best] if means[best] < 1 - _LEAST else 0.0

    def _errors(self, plain: HistoryMap, logarithmic: HistoryMap) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for window, logged, weight, origin, fold in self._parts:
            for number in np.unique(fold[(fold >= 0) & (weight > 0)]):
                kernel, log_kernel = plain.folds[number], logarithmic.folds[number]
                if kernel is None or log_kernel is None:
                    continue
                chosen = (fold == number) & (weight > 0)
                past = logged[chosen, : self.lookback]
                low, high = past.min(axis=1, keepdims=True), past.max(axis=1, keepdims=True)
                grown = np.exp(np.clip(past @ log_kernel, 2 * low - high, 2 * high - low))
                grown = origin[chosen, None] * (grown - 1)
                forecast = window[chosen, : self.lookback] @ kernel
                yield forecast - window[chosen, self.lookback :], grown - forecast
