"""Level and spread of series, from their training split."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unroll.pipelines.data.series.grid import SeriesGrid

_SMALLEST = 1e-6  # of the level: a spread below is float32's rounding
_LISTED = 10


@dataclass(frozen=True)
class Scales:
    """Of every series and target, float32 [N, C], in the target's units.

    Args:
        mean: over the observed steps.
        std: standard deviation; 1 for a constant series.
        naive: mean absolute error of the seasonal naive forecast in sample, the scale of MASE (Hyndman and Koehler,
            2006); 1 where it would be 0 or unknown.
        info: which series are constant, or have nothing to be scaled by.
    """

    mean: np.ndarray
    std: np.ndarray
    naive: np.ndarray
    info: dict[str, Any] = field(default_factory=dict)

    def of(self, row: int) -> dict[str, list[float]]:
        return {"mean": self.mean[row].tolist(), "std": self.std[row].tolist(), "naive": self.naive[row].tolist()}


def series_scales(grid: SeriesGrid, begin: np.ndarray, end: np.ndarray, season: int) -> Scales:
    """Scales by rows `begin[i]` to `end[i]` of `grid.values`, in float64.

    A series without a value there has the median scales of the others.
    """
    count, width = len(grid.ids), len(grid.roles.targets)
    mean, std, naive = (np.full((count, width), np.nan) for _ in range(3))
    for row in range(count):
        values = grid.values[begin[row] : end[row], :width].astype(np.float64)
        observed = (~np.isnan(values)).sum(axis=0)
        at_least_one = np.maximum(observed, 1)
        mean[row] = np.where(observed, np.nansum(values, axis=0) / at_least_one, np.nan)
        std[row] = np.sqrt(np.nansum((values - mean[row]) ** 2, axis=0) / at_least_one)
        naive[row] = _naive_error(values, season)
        if np.isnan(naive[row]).any():  # shorter than a season
            naive[row] = np.where(np.isnan(naive[row]), _naive_error(values, 1), naive[row])
    unscaled = np.isnan(mean)
    constant = ~unscaled & (std <= _SMALLEST * np.abs(mean))
    std = np.where(constant | unscaled, 1.0, std)
    naive = np.where(np.isnan(naive) | (naive <= _SMALLEST * np.abs(mean)), 1.0, naive)
    for scale in (mean, std, naive):
        for column in np.flatnonzero(unscaled.any(axis=0)):
            others = scale[~unscaled[:, column], column]
            scale[unscaled[:, column], column] = np.median(others) if len(others) else 0.0
    info = {"constant": _named(grid, constant), "without_training_values": _named(grid, unscaled)}
    return Scales(mean.astype(np.float32), std.astype(np.float32), naive.astype(np.float32), info)


def standardise(grid: SeriesGrid, begin: np.ndarray, end: np.ndarray) -> dict[str, dict[str, float]]:
    """Mean and standard deviation of each covariate over the training rows of all series."""
    width = len(grid.roles.targets)
    names = grid.roles.past_covariates + grid.roles.future_covariates
    training = np.zeros(len(grid.values), bool)
    for one, other in zip(begin, end, strict=True):
        training[one:other] = True
    scales = {}
    for column, name in enumerate(names, start=width):
        values = grid.values[:, column][training].astype(np.float64)
        mean, std = float(np.nanmean(values)), float(np.nanstd(values))
        scales[name] = {"mean": mean, "std": std if std > _SMALLEST * abs(mean) else 1.0}
    return scales


def _naive_error(values: np.ndarray, season: int) -> np.ndarray:
    """Mean of |x[t] - x[t - season]| by column; NaN where no two values are so far apart."""
    errors = np.abs(values[season:] - values[:-season])
    seen = (~np.isnan(errors)).sum(axis=0)
    return np.where(seen, np.nansum(errors, axis=0) / np.maximum(seen, 1), np.nan)


def _named(grid: SeriesGrid, which: np.ndarray) -> dict[str, Any]:
    """How many targets of all series are of that kind, and the first of them as `series/target`."""
    found = np.argwhere(which).tolist()
    shown = [f"{grid.ids[row]}/{grid.roles.targets[column]}".lstrip("/") for row, column in found[:_LISTED]]
    return {"count": len(found), "named": shown}
