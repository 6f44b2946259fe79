"""The ridge linear map from a window's history to its horizon, fitted in one pass over the windows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unroll.pipelines.tasks.forecasting.simple.moments import Moments

MAX_WINDOWS = 300_000
"""More windows than these are thinned by whoever makes them: they would no longer change the map."""

PENALTIES = 10.0 ** np.arange(-6, 2.5, 0.5)
"""Of the squared coefficients, a window; histories are z-scored."""


@dataclass(frozen=True)
class RidgeFit:
    """A fitted map.

    Args:
        kernel: float64 `[lookback, horizon]`, columns summing to one.
        centre: what is taken off a window before the fit: its `last` value or its `mean`.
        penalty: of the squared coefficients, in units of training windows.
        validation_mse: mean squared error of the validation windows, z-scored.
    """

    kernel: np.ndarray
    centre: str
    penalty: float
    validation_mse: float


def fit_ridge(
    train: Iterable[Mapping[str, Any]], validation: Iterable[Mapping[str, Any]], lookback: int, horizon: int
) -> RidgeFit:
    """The map with the least squared error on the training windows plus a penalty on its coefficients.

    Each channel of a window is an instance, z-scored by its series. Penalty and centre are those with the
    least squared error on the validation windows. A missing value of the history is interpolated as
    `RidgeMap` does it, one of the target between its neighbours, and the instance weighs as much as the
    share of its values that was observed.

    Args:
        train: batches of windows: `history` float `[batch, lookback, columns]` whose first columns are the
            targets, `target` `[batch, horizon, channels]`, NaN where missing, `mean` and `std`
            `[batch, channels]` of the series' train split. At most some `MAX_WINDOWS`.
        validation: the same of the validation split.
        lookback: timesteps of the history.
        horizon: timesteps of the target.

    Returns:
        The fit; its kernel is for `unroll.models.series.baselines.RidgeMap`.
    """
    return ridge_of(*(Moments.of(windows, lookback, horizon) for windows in (train, validation)))


def ridge_of(fitted: Moments, held_out: Moments) -> RidgeFit:
    """The same from the moments of the training and of the validation windows."""
    lookback = len(fitted.gram)
    judge = held_out if held_out.weight else fitted
    candidates = []
    for centre in ("last", "mean"):
        weights = np.eye(lookback)[-1] if centre == "last" else np.full(lookback, 1 / lookback)
        gram, cross, _ = fitted.centred(weights)
        values, vectors = np.linalg.eigh(gram)
        rotated = vectors.T @ cross
        for penalty in PENALTIES:
            damped = np.maximum(values, 0) + penalty * max(fitted.weight, 1)
            solution = vectors @ (rotated / damped[:, None])  # [L, H]
            kernel = solution + np.outer(weights, 1 - solution.sum(axis=0))
            candidates.append(RidgeFit(kernel, centre, float(penalty), judge.error(weights, solution)))
    return min(candidates, key=lambda fit: fit.validation_mse)
