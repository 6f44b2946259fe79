"""The ridge linear map from a window's history to its horizon, fitted from sums over the windows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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

    def again(self, fitted: Moments) -> np.ndarray:
        """The kernel `[L, H]` with the same centre and penalty, of other training windows."""
        weights = _centre(self.centre, len(fitted.gram))
        (solution,) = RidgeSolver(fitted, weights).path([self.penalty])
        return solution + np.outer(weights, 1 - solution.sum(axis=0))


class RidgeSolver:
    """Solves for a map of centred histories, for any penalty and whatever it shrinks to.

    Args:
        fitted: sums over the windows to learn from.
        weights: float `[L]`, of the history's steps in what is taken off a window.
    """

    def __init__(self, fitted: Moments, weights: np.ndarray):
        self._gram, self._cross, _ = fitted.centred(weights)
        self._values, self._vectors = np.linalg.eigh(self._gram)
        self._weight = max(fitted.weight, 1)

    def path(self, penalties: Sequence[float] | np.ndarray, begun: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """The map `[L, H]` for each penalty.

        Args:
            penalties: of the squared difference from `begun`, in units of the windows.
            begun: the map that it shrinks to; None: nothing.
        """
        left = self._cross if begun is None else self._cross - self._gram @ begun
        rotated = self._vectors.T @ left
        for penalty in penalties:
            damped = np.maximum(self._values, 0) + penalty * self._weight
            added = self._vectors @ (rotated / damped[:, None])
            yield added if begun is None else begun + added


def fit_ridge(fitted: Moments, held_out: Moments) -> RidgeFit:
    """The map with the least squared error on the training windows plus a penalty on its coefficients.

    Penalty and centre are those with the least squared error on the validation windows.

    Args:
        fitted: sums over the training windows.
        held_out: sums over the validation windows.

    Returns:
        The fit; its kernel is for `unroll.models.series.baselines.RidgeMap`.
    """
    lookback = len(fitted.gram)
    judge = held_out if held_out.weight else fitted
    candidates = []
    for centre in ("last", "mean"):
        weights = _centre(centre, lookback)
        for penalty, solution in zip(PENALTIES, RidgeSolver(fitted, weights).path(PENALTIES), strict=True):
            kernel = solution + np.outer(weights, 1 - solution.sum(axis=0))
            candidates.append(RidgeFit(kernel, centre, float(penalty), judge.error(weights, solution)))
    return min(candidates, key=lambda fit: fit.validation_mse)


def _centre(name: str, lookback: int) -> np.ndarray:
    return np.eye(lookback)[-1] if name == "last" else np.full(lookback, 1 / lookback)
