"""Ridge regression from a window's history, calendar and covariates to its horizon, with scikit-learn."""

from itertools import product

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from benchmarks.untuned.series_sets import SeriesSet
from benchmarks.untuned.series_windows import LEVELS, Series

_LONGEST, _WINDOWS = 400, 4000  # steps read; windows learnt from
_PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
_LEAST = 0.01  # of what came before: the least scale of a window that stood still
_KNOTS = (0.25, 0.5, 0.75)
_VALIDATION = 0.125  # of what lies before the test part: a tenth of the whole


def ridge(all_series: list[Series], one: SeriesSet) -> tuple[np.ndarray, np.ndarray | None]:
    """One map for all series and targets.

    It reads the last two seasons of the target and of the past covariates; of the horizon the future covariates and
    their hinges at the quartiles; of the time its hour, day of the week and month. Each window's level (its last value
    or its mean) is taken off and its deviation divided by. Level and penalty are chosen on the last eighth before the
    test part, whose errors by step are the interval; then it is fitted to all.
    """
    train, ends, length = [], [], min(series.cut for series in all_series)
    back = int(min(max(2 * one.season, one.horizon, 8), _LONGEST, max(length // 3, 2)))
    knots = _knots(all_series, one)
    values = [_filled(series.values) for series in all_series]
    starts = [np.arange(back, series.cut - one.horizon + 1) for series in all_series]
    stride = max(1, sum(map(len, starts)) * len(one.targets) // _WINDOWS)
    for number, (series, first) in enumerate(zip(all_series, starts, strict=True)):
        edge = series.cut - max(int(_VALIDATION * series.cut), one.horizon)
        for origin in first[::-1][::stride]:
            train.append((number, int(origin)))
            # a window that reaches into the validation part belongs to neither
            ends.append(0 if origin + one.horizon <= edge else 2 if origin >= edge else 1)
    kinds = np.repeat(ends, len(one.targets))
    asked = [(number, int(origin)) for number, series in enumerate(all_series) for origin in series.origins]

    def rows(windows: list[tuple[int, int]], level: str) -> tuple[np.ndarray, ...]:
        found = [
            _window(values[number], all_series[number].times, origin, target, back, one, level, knots)
            for number, origin in windows
            for target in range(len(one.targets))
        ]
        return tuple(np.stack(part) for part in zip(*found, strict=True))

    tables = {level: rows(train, level) for level in ("last", "mean")}
    best, chosen, residuals = np.inf, ("last", _PENALTIES[-1]), None
    if not (kinds == 0).any() or not (kinds == 2).any():
        kinds = np.where(np.arange(len(kinds)) < 0.8 * len(kinds), 0, 2)
    for level, penalty in product(tables, _PENALTIES):
        features, truth, middle, scale = tables[level]
        model = Ridge(alpha=penalty).fit(features[kinds == 0], truth[kinds == 0])
        errors = truth[kinds == 2] - model.predict(features[kinds == 2])
        loss = float(np.abs(errors * scale[kinds == 2]).mean())
        if loss < best:
            best, chosen, residuals = loss, (level, penalty), errors
    level, penalty = chosen
    features, truth, *_ = tables[level]
    model = Ridge(alpha=penalty).fit(features, truth)
    features, _, middle, scale = rows(asked, level)
    shape = (len(asked), len(one.targets), one.horizon)
    predicted = model.predict(features)
    points = (predicted * scale + middle).reshape(shape).transpose(0, 2, 1)
    spread = np.quantile(residuals, LEVELS, axis=0).T  # [horizon, levels]
    spread -= spread[:, 1:2]  # the forecast stays the middle
    quantiles = points[..., None] + (scale[..., None] * spread).reshape(*shape, -1).transpose(0, 2, 1, 3)
    return points, quantiles


def _filled(values: np.ndarray) -> np.ndarray:
    return pd.DataFrame(values).interpolate(limit_direction="both").to_numpy()


def _knots(all_series: list[Series], one: SeriesSet) -> np.ndarray:
    """Quartiles of the future covariates before the test part, `[covariates, knots]`, with their deviation."""
    if not one.future:
        return np.empty((0, len(_KNOTS) + 1))
    known = np.concatenate([series.values[: series.cut] for series in all_series])
    future = known[:, known.shape[1] - len(one.future) :]
    return np.concatenate([np.nanquantile(future, _KNOTS, axis=0).T, np.nanstd(future, axis=0)[:, None] + 1e-9], axis=1)


def _window(
    values: np.ndarray,
    times: pd.DatetimeIndex | None,
    origin: int,
    target: int,
    back: int,
    one: SeriesSet,
    level: str,
    knots: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    history, ahead = values[origin - back : origin], values[origin : origin + one.horizon]
    mine = history[:, target]
    middle = mine[-1] if level == "last" else mine.mean()
    scale = max(mine.std(), _LEAST * values[:origin, target].std()) or 1.0
    parts = [(mine - middle) / scale]
    past = history[:, len(one.targets) : len(one.targets) + len(one.past)]
    parts.append(((past - past.mean(axis=0)) / (past.std(axis=0) + 1e-9)).ravel())
    if one.future:
        future = ahead[:, ahead.shape[1] - len(one.future) :]
        seen = history[:, history.shape[1] - len(one.future) :]
        for column, (*at, deviation) in enumerate(knots):
            both = np.concatenate([seen[-one.horizon :, column], future[:, column]]) / deviation
            parts += [both, *(np.maximum(both - knot / deviation, 0) for knot in at)]
    parts.append(np.eye(len(one.targets))[target])
    if times is not None:
        first = times[origin - 1]
        for value, size in ((first.hour, 24), (first.dayofweek, 7), (first.month - 1, 12)):
            parts.append(np.eye(size)[value])
    return np.concatenate(parts), (ahead[:, target] - middle) / scale, np.array([middle]), np.array([scale])
