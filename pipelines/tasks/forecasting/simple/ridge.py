"""The ridge linear map from a window's history to its horizon, fitted in one pass over the windows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from unroll.models.series.baselines import interpolate

MAX_WINDOWS = 300_000
"""More windows than these are thinned by whoever makes them: they would no longer change the map."""

_PENALTIES = 10.0 ** np.arange(-6, 2.5, 0.5)
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
    fitted, held_out = (_Moments.of(windows, lookback, horizon) for windows in (train, validation))
    judge = held_out if held_out.weight else fitted
    candidates = []
    for centre in ("last", "mean"):
        weights = np.eye(lookback)[-1] if centre == "last" else np.full(lookback, 1 / lookback)
        gram, cross, _ = fitted.centred(weights)
        values, vectors = np.linalg.eigh(gram)
        rotated = vectors.T @ cross
        for penalty in _PENALTIES:
            damped = np.maximum(values, 0) + penalty * max(fitted.weight, 1)
            solution = vectors @ (rotated / damped[:, None])  # [L, H]
            kernel = solution + np.outer(weights, 1 - solution.sum(axis=0))
            candidates.append(RidgeFit(kernel, centre, float(penalty), judge.error(weights, solution)))
    return min(candidates, key=lambda fit: fit.validation_mse)


@dataclass
class _Moments:
    """Weighted sums of products over instances x `[lookback]`, y `[horizon]`: all that a ridge fit needs.

    Centring is linear in x, so each centre's sums follow from the raw ones.
    """

    gram: np.ndarray  # [L, L] of x, x
    cross: np.ndarray  # [L, H] of x, y
    square: float = 0.0  # of y, y
    weight: float = 0.0

    @classmethod
    def of(cls, batches: Iterable[Mapping[str, Any]], lookback: int, horizon: int) -> "_Moments":
        moments = cls(np.zeros([lookback, lookback]), np.zeros([lookback, horizon]))
        for batch in batches:
            moments._add(batch, lookback)
        return moments

    def _add(self, batch: Mapping[str, Any], lookback: int) -> None:
        target = np.asarray(batch["target"], np.float64)
        mean, std = (np.asarray(batch[key], np.float64)[:, None] for key in ("mean", "std"))
        history = np.asarray(batch["history"], np.float64)[..., : target.shape[-1]]
        window = (np.concatenate([history, target], axis=1) - mean) / np.where(std > 0, std, 1)  # [B, L + H, C]
        observed = np.isfinite(window)
        weight = observed[:, :lookback].mean(axis=1) * observed[:, lookback:].mean(axis=1)  # [B, C]
        if not observed.all():
            past = interpolate(tf.constant(window[:, :lookback]))
            window = np.concatenate([past, interpolate(tf.constant(window))[:, lookback:]], axis=1)
        held = weight > 0
        instances = window.transpose(0, 2, 1)[held]  # [N, L + H]
        weighted = instances * weight[held][:, None]
        self.gram += instances[:, :lookback].T @ weighted[:, :lookback]
        self.cross += instances[:, :lookback].T @ weighted[:, lookback:]
        self.square += float(np.vdot(instances[:, lookback:], weighted[:, lookback:]))
        self.weight += float(weight.sum())

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
        gram, cross, square = self.centred(weights)
        total = square - 2 * np.vdot(solution, cross) + np.vdot(solution, gram @ solution)
        return float(total / max(self.weight, 1e-12) / solution.shape[1])
