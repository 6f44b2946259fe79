"""Whether series grow by shares: how much of a forecast is made of their logarithms."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from unroll.pipelines.tasks.forecasting.simple.history_map import HistoryMap
from unroll.pipelines.tasks.forecasting.simple.sample import WindowSample, relative_losses

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


def log_share(sample: WindowSample, plain: HistoryMap, logarithmic: HistoryMap) -> float:
    """Of none, half and all: the share of the forecast of logarithms that makes the least error.

    That is the mean of the absolute and of the squared error, each as a share of that of the plain forecast.

    Args:
        sample: held-out windows, whose values are all positive.
        plain: map of values.
        logarithmic: map of logarithms.
    """
    errors = list(_errors(sample, plain, logarithmic))
    if not errors:
        return 0.0
    apart, grown = (np.concatenate(one) for one in zip(*errors, strict=True))  # of the plain one, and the change
    losses = relative_losses(np.stack([apart + share * grown for share in _SHARES]))
    best = int(losses.argmin())
    return _SHARES[best] if losses[best] < 1 - _LEAST else 0.0


def _errors(
    sample: WindowSample, plain: HistoryMap, logarithmic: HistoryMap
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for number, (past, ahead, origin) in sample.by_block():
        kernel, log_kernel = plain.folds[number], logarithmic.folds[number]
        if kernel is None or log_kernel is None:
            continue
        logged = np.log1p(past / origin)  # of the share of the series' mean
        low, high = logged.min(axis=1, keepdims=True), logged.max(axis=1, keepdims=True)
        grown = origin * np.expm1(np.clip(logged @ log_kernel, 2 * low - high, 2 * high - low))
        forecast = past @ kernel
        yield forecast - ahead, grown - forecast
