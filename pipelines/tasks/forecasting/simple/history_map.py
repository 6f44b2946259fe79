"""The linear map that a simple forecast begins with: exponential smoothing, and what ridge regression adds to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unroll.pipelines.tasks.forecasting.simple.moments import Blocks, Moments, mean_squared_error
from unroll.pipelines.tasks.forecasting.simple.ridge import PENALTIES, RidgeSolver
from unroll.pipelines.tasks.forecasting.simple.smoothing import smoothing_kernels

_PRIORS = 2  # maps that ridge regression begins from, beside the last value and the mean


@dataclass(frozen=True)
class HistoryMap:
    """A fitted map.

    Args:
        kernel: float64 `[lookback, horizon]`, columns summing to one.
        begun: the map that ridge regression began from.
        penalty: of the squared difference from it, in units of training windows; infinite where nothing is added.
        error: mean squared error on held-out blocks, z-scored.
        blocks: that were held out.
    """

    kernel: np.ndarray
    begun: str
    penalty: float
    error: float
    blocks: int

    @property
    def said(self) -> str:
        """What it is, in words."""
        return self.begun if np.isinf(self.penalty) else f"{self.begun} with ridge regression"


def fit_history_map(blocks: Blocks, held_out: Moments, seasons: Sequence[int]) -> HistoryMap:
    """The map with the least error on held-out blocks of the training and on the validation windows.

    A map of exponential smoothing has few ways to be wrong, which short data need; ridge regression may learn what it
    cannot tell, and shrinks to it, not to nothing.

    Args:
        blocks: of the training windows.
        held_out: of the validation windows.
        seasons: that the series may have.

    Returns:
        The map, fitted on all training windows.
    """
    whole, (lookback, horizon) = blocks.whole, blocks.between.cross.shape
    folds = [(blocks.without(number), block) for number, block in enumerate(blocks.parts)]
    folds = [(fitted, block) for fitted, block in folds if block.weight and fitted.weight]
    folds += [(whole, held_out)] if held_out.weight else []
    folds = folds or [(whole, whole)]
    weights = np.eye(lookback)[-1]
    judges = [(*block.centred(weights), block.weight) for _, block in folds]

    def error(kernels: Sequence[np.ndarray]) -> float:
        """The mean over folds, each of which has a kernel."""
        return float(
            np.mean([mean_squared_error(*judge, kernel) for judge, kernel in zip(judges, kernels, strict=True)])
        )

    kernels = smoothing_kernels(lookback, horizon, seasons)
    priors = [(name, kernel, error([kernel] * len(folds))) for name, kernel in kernels]
    best = min(priors, key=lambda prior: prior[2])
    choice = HistoryMap(best[1], best[0], float("inf"), best[2], len(folds))
    begun = [*priors[:2], *sorted(priors[2:], key=lambda prior: prior[2])[:_PRIORS]]
    solvers, penalties = [RidgeSolver(fitted, weights) for fitted, _ in folds], PENALTIES[::2]
    for name, kernel, _ in begun:
        paths = zip(*(solver.path(penalties, kernel) for solver in solvers), strict=True)
        for penalty, solutions in zip(penalties, paths, strict=True):
            found = error(solutions)
            if found < choice.error:
                choice = HistoryMap(kernel, name, float(penalty), found, len(folds))
    if np.isinf(choice.penalty):
        return choice
    (solution,) = RidgeSolver(whole, weights).path([choice.penalty], choice.kernel)
    kernel = solution + np.outer(weights, 1 - solution.sum(axis=0))
    return HistoryMap(kernel, choice.begun, choice.penalty, choice.error, len(folds))
