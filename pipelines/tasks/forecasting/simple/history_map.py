"""The linear map that a simple forecast begins with: the mean of the best plain maps and ridge regressions."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from unroll.pipelines.tasks.forecasting.simple.moments import Blocks, Moments, mean_squared_error
from unroll.pipelines.tasks.forecasting.simple.plain_maps import plain_maps
from unroll.pipelines.tasks.forecasting.simple.ridge import PENALTIES, RidgeSolver, fit_ridge

_PRIORS = 2  # maps that ridge regression begins from, beside the last value and the mean
_BEST, _WITHIN = 20, 0.1
"""Maps whose mean is taken, and how much worse than the best one each may be, as a share. Of 22 small sets, with a
fifth of their training rows as a test: the best one alone .803 of seasonal naive's MASE; 5 maps .798, 10 .792, 20
.788, 40 .788; of 20, those within 2 % .797, 5 % .792, 10 % .787."""
_RIDGE = 0.3
"""Share of the ridge regression that does best on the validation split alone, which is after all others in time and
is forecast from all of the training split: 0 gave .784, a quarter .779, a half .786."""
_PRIOR_HORIZONS = 2
"""Horizons of training rows that speak for the best naive map alone: 0 gave .787, 1 and 2 .782, 4 .785, 8 .794."""


@dataclass(frozen=True)
class HistoryMap:
    """A fitted map.

    Args:
        kernel: float64 `[lookback, horizon]`, columns summing to one.
        refitted: the same maps and shares, of all training and validation windows: for forecasts of what comes after.
        begun: the best of the maps that it is the mean of.
        penalty: of that one's squared difference from what ridge regression shrank it to, in units of training
            windows; infinite where it is a plain map.
        error: mean squared error on held-out blocks, z-scored.
        blocks: that were held out.
        maps: that it is the mean of.
        folds: the same without a block each, in their order, and without validation; None where nothing is held out.
    """

    kernel: np.ndarray
    refitted: np.ndarray
    begun: str
    penalty: float
    error: float
    blocks: int
    maps: int = 1
    folds: Sequence[np.ndarray | None] = ()

    @property
    def said(self) -> str:
        """What it is, in words."""
        best = self.begun if np.isinf(self.penalty) else f"{self.begun} with ridge regression"
        return best if self.maps == 1 else f"the mean of {self.maps} linear maps, the best {best}"


@dataclass(frozen=True, order=True)
class _Candidate:
    """A map, or a ridge regression that shrinks to it."""

    merit: float  # its negative error
    number: int  # the plainest first
    name: str = field(compare=False)
    kernel: np.ndarray = field(compare=False)
    penalty: float = field(compare=False)

    def solved(self, solver: RidgeSolver, weights: np.ndarray) -> np.ndarray:
        if np.isinf(self.penalty):
            return self.kernel
        (solution,) = solver.path([self.penalty], self.kernel)
        return solution + np.outer(weights, 1 - solution.sum(axis=0))


def fit_history_map(
    blocks: Blocks, held_out: Moments, seasons: Sequence[int], across: Moments | None = None
) -> HistoryMap:
    """The mean of the maps with the least error on training and validation windows that they were not fitted on.

    A plain map has few ways to be wrong, which short data need; ridge regression may learn what it cannot tell, and
    shrinks to it, not to nothing. The mean of many that do about as well hardly ever does worse than the one that
    seemed to be best. The best of last value, mean and seasonal naive forecast takes part in it with a share of
    2 / (2 + n), where n horizons fit into the training rows: with few of them something always seems to do better. The
    ridge regression that is best on validation, where there is any, has three tenths of the rest.

    Args:
        blocks: of the training windows.
        held_out: of the validation windows.
        seasons: that the series may have.
        across: of the windows that reach from the training into the validation split, which are in neither.

    Returns:
        The map, fitted on all training windows, and refitted.
    """
    whole, (lookback, horizon) = blocks.whole, blocks.between.cross.shape
    parts = blocks.folds(held_out)
    usable = [bool(fitted.weight and judge.weight) for fitted, judge in parts]
    if not any(usable):
        parts[-1], usable[-1] = (whole, whole), True
    weights = np.eye(lookback)[-1]
    judges = [(*judge.centred(weights), judge.weight) for (_, judge), use in zip(parts, usable, strict=True) if use]
    solvers = [RidgeSolver(fitted, weights) for (fitted, _), use in zip(parts, usable, strict=True) if use]
    every = whole + held_out
    all_windows = (*every.centred(weights), every.weight)  # a plain map has seen none of them

    best: list[_Candidate] = []  # a heap, the worst first

    def offer(error: float, number: int, name: str, kernel: np.ndarray, penalty: float) -> None:
        candidate = _Candidate(-error, -number, name, kernel, penalty)
        (heapq.heappush if len(best) < _BEST else heapq.heappushpop)(best, candidate)

    priors: list[_Candidate] = []
    number = 0
    naive = 2 + sum(1 < season <= lookback for season in seasons)  # the first maps
    for number, (name, kernel) in enumerate(plain_maps(lookback, horizon, seasons)):
        found = mean_squared_error(*all_windows, kernel)
        offer(found, number, name, kernel, np.inf)
        if number < naive:
            priors.append(_Candidate(-found, -number, name, kernel, np.inf))
    first = max(best)
    # what a ridge regression would have on all windows, by how it does beside the best plain map on the blocks
    ratio = -first.merit / max(float(np.mean([mean_squared_error(*judge, first.kernel) for judge in judges])), 1e-12)
    begun = [*priors[:2], *sorted(best, reverse=True)[:_PRIORS]]
    penalties = PENALTIES[::2]
    for prior in begun:
        paths = zip(*(solver.path(penalties, prior.kernel) for solver in solvers), strict=True)
        for penalty, solutions in zip(penalties, paths, strict=True):
            errors = [mean_squared_error(*judge, solution) for judge, solution in zip(judges, solutions, strict=True)]
            number += 1
            offer(ratio * float(np.mean(errors)), number, prior.name, prior.kernel, float(penalty))

    best.sort(reverse=True)
    chosen = [one for one in best if -one.merit <= -(1 + _WITHIN) * best[0].merit]
    ridge = fit_ridge(whole, held_out) if held_out.weight else None
    plainest, prior = max(priors).kernel, _PRIOR_HORIZONS / (_PRIOR_HORIZONS + (blocks.steps + lookback) / horizon)

    def mean(fitted: Moments, solver: RidgeSolver) -> np.ndarray:
        kernel = np.mean([one.solved(solver, weights) for one in chosen], axis=0)
        if ridge is not None:
            kernel += _RIDGE * (ridge.again(fitted) - kernel)
        return prior * plainest + (1 - prior) * kernel

    folded = iter(solvers)
    folds = [mean(fitted, next(folded)) if use else None for (fitted, _), use in zip(parts, usable, strict=True)]
    kept = [fold for fold in folds if fold is not None]
    error = float(np.mean([mean_squared_error(*judge, fold) for judge, fold in zip(judges, kept, strict=True)]))
    kernel = mean(whole, RidgeSolver(whole, weights))
    known = every if across is None else every + across
    refitted = mean(known, RidgeSolver(known, weights)) if known.weight > whole.weight else kernel
    return HistoryMap(kernel, refitted, best[0].name, best[0].penalty, error, len(kept), len(chosen), folds)
