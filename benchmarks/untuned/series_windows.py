"""The test windows of a set of series, and scores of their forecasts. The rule, fixed before anything was scored:

the last fifth of the set's grid is test, as the task's default splits it. A window is asked for at up to 400 origins of
a set, evenly spread over its series and over the origins whose whole horizon is test; a method may learn from all that
lies before the test part, and reads all that lies before a window.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.untuned.series_sets import SeriesSet

LEVELS = (0.1, 0.5, 0.9)
_WINDOWS, _TRAINED = 400, 0.8


@dataclass(frozen=True)
class Series:
    """One series on its grid.

    Args:
        name: its id; empty if there is but one.
        times: of the steps; None: rows are numbered.
        values: float `[time, columns]`: targets, past covariates, future covariates; NaN where missing.
        cut: the first step of the test part.
        origins: first steps of the windows that are asked for.
    """

    name: str
    times: pd.DatetimeIndex | None
    values: np.ndarray
    cut: int
    origins: np.ndarray


def read(file: Path, one: SeriesSet) -> list[Series]:
    """The series of a set's table, with their windows."""
    table = pd.read_csv(file)
    columns = [*one.targets, *one.past, *one.future]
    groups = [("", table)] if "series" not in table else list(table.groupby("series", sort=True))
    grids: list[tuple[str, pd.DatetimeIndex | None, np.ndarray]] = []
    for name, rows in groups:
        values = rows[columns]
        times = None
        if one.frequency:
            values.index = pd.to_datetime(rows["time"].astype(str))
            times = pd.date_range(values.index.min(), values.index.max(), freq=one.frequency)
            values = values[~values.index.duplicated()].reindex(times)
        grids.append((str(name), times, values.to_numpy(float)))
    every = [times for _, times, _ in grids if times is not None]
    first_test = None
    if every:
        union = pd.date_range(min(t[0] for t in every), max(t[-1] for t in every), freq=one.frequency)
        first_test = union[int(np.ceil(_TRAINED * len(union)))]
    found = []
    for name, times, values in grids:
        cut = int(np.ceil(_TRAINED * len(values))) if times is None else int(times.searchsorted(first_test))
        last = len(values) - one.horizon
        count = min(max(_WINDOWS // len(grids), 1), max(last - cut + 1, 0))
        origins = np.linspace(cut, last, count).round().astype(int) if count and cut >= 2 * one.horizon else []
        found.append(Series(name, times, values, cut, np.asarray(origins, int)))
    return [series for series in found if len(series.origins)]


def scores(
    all_series: list[Series], one: SeriesSet, points: np.ndarray, quantiles: np.ndarray | None
) -> dict[str, float]:
    """MASE, weighted quantile loss and coverage of the 80 % interval.

    Args:
        all_series: of the set.
        one: the set.
        points: float `[windows, horizon, targets]`, windows in the order of series and their origins.
        quantiles: `[windows, horizon, targets, levels]`; None: the point stands for each, as it does for a naive
            forecast, and there is no coverage.
    """
    targets = len(one.targets)
    actual, scale = [], []
    for series in all_series:
        before = series.values[: series.cut, :targets]
        season = one.season if len(before) > 2 * one.season else 1
        errors = np.nanmean(np.abs(before[season:] - before[:-season]), axis=0)
        actual += [series.values[origin : origin + one.horizon, :targets] for origin in series.origins]
        scale += [np.where(errors > 0, errors, np.nan)] * len(series.origins)
    truth = np.stack(actual)
    absolute = np.abs(points - truth)
    if not np.isfinite(points[np.isfinite(truth)]).all():
        raise ValueError("a forecast is not a number")
    levels = points[..., None] if quantiles is None else quantiles
    short = truth[..., None] - np.broadcast_to(levels, (*truth.shape, len(LEVELS)))
    loss = np.maximum(np.array(LEVELS) * short, (np.array(LEVELS) - 1) * short)
    found = {
        "mase": float(np.nanmean(absolute / np.stack(scale)[:, None])),
        "wql": float(2 * np.nansum(loss) / len(LEVELS) / np.nansum(np.abs(truth))),
    }
    if quantiles is not None:
        inside = (quantiles[..., 0] <= truth) & (truth <= quantiles[..., -1])
        found["coverage_80"] = float(inside[np.isfinite(truth)].mean())
    return found
