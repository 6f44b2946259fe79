"""ARIMA: a handful of seasonal forms chosen by AICc, fitted by least squares to each of many histories."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unroll.pipelines.tasks.forecasting.statistical.histories import LEAST, Histories, choose, corrected_akaike
from unroll.pipelines.tasks.forecasting.statistical.search import search

Terms = dict[int, np.ndarray]
_BOUND = 0.99  # of partial autocorrelations and of what errors weigh


@dataclass(frozen=True)
class Orders:
    """Of a seasonal ARIMA model (p, d, q)(P, D, Q) with a constant where nothing is differenced, or a season only.

    Args:
        ar: p, 0 to 2.
        difference: d, 0 to 2.
        ma: q, 0 or 1.
        seasonal_ar: P, 0 or 1.
        seasonal_difference: D, 0 or 1.
        seasonal_ma: Q, 0 or 1.
    """

    ar: int
    difference: int
    ma: int
    seasonal_ar: int = 0
    seasonal_difference: int = 0
    seasonal_ma: int = 0

    @property
    def parameters(self) -> int:
        """Numbers that are searched for."""
        return self.ar + self.ma + self.seasonal_ar + self.seasonal_ma

    @property
    def seasonal(self) -> bool:
        """Whether it has a season."""
        return bool(self.seasonal_ar + self.seasonal_difference + self.seasonal_ma)

    def coefficients(self, cube: np.ndarray, season: int) -> tuple[Terms, Terms]:
        """By lag, of the values and of the errors before, of points in the unit cube; all are stationary.

        Autoregressions of two lags follow from partial autocorrelations (Barndorff-Nielsen & Schou 1973).

        Args:
            cube: float `[..., parameters]`, from 0 to 1.
            season: steps.
        """
        parts = list(np.moveaxis(_BOUND * (2 * cube - 1), -1, 0))
        partial = [parts.pop(0) for _ in range(self.ar)]
        ar = {1: partial[0]} if self.ar == 1 else {}
        if self.ar == 2:
            ar = {1: partial[0] * (1 - partial[1]), 2: partial[1]}
        ma = {1: parts.pop(0)} if self.ma else {}
        if self.seasonal_ar:
            by_season = parts.pop(0)
            ar |= {season: by_season, **{lag + season: -one * by_season for lag, one in ar.items()}}
        if self.seasonal_ma:
            by_season = parts.pop(0)
            ma |= {season: by_season, **{lag + season: one * by_season for lag, one in ma.items()}}
        return ar, ma

    def differencing(self, season: int) -> np.ndarray:
        """By lag from 0, what of the values makes the differences."""
        found = np.ones(1)
        for _ in range(self.difference):
            found = np.convolve(found, [1, -1])
        if self.seasonal_difference:
            found = np.convolve(found, [1, *[0] * (season - 1), -1])
        return found


FORMS = (
    Orders(0, 1, 1),
    Orders(2, 1, 1),
    Orders(2, 0, 1),
    Orders(0, 2, 1),
    Orders(0, 1, 1, 0, 1, 1),
    Orders(2, 1, 1, 0, 1, 1),
    Orders(1, 0, 0, 0, 1, 1),
    Orders(2, 0, 1, 0, 1, 1),
    Orders(1, 1, 1, 1, 0, 1),
)


def arima_forecasts(series: Sequence[np.ndarray], season: int, horizon: int) -> np.ndarray:
    """Forecasts of histories by ARIMA.

    Args:
        series: N histories, float `[time]`, NaN where missing, which are interpolated; each may have another length.
        season: steps; 1 for none. Of a history that doesn't hold two of them and a little it is left out.
        horizon: H.

    Returns:
        Float `[N, H]`; NaN of a history with less than `LEAST` values.

    Example:
        >>> arima_forecasts([np.arange(30.0)], season=1, horizon=2).round(2).tolist()
        [[30.0, 31.0]]
    """

    def fits(form: Orders, counts: np.ndarray) -> np.ndarray:
        if form.seasonal:
            return (counts >= 2 * season + LEAST) & (season > max(one.ar for one in FORMS))
        return counts >= LEAST

    return choose(series, FORMS, fits, lambda form, histories: fitted(histories, form, season, horizon), horizon)


def fitted(histories: Histories, form: Orders, season: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Fits one form, by the squared errors of the steps that every form can forecast.

    Args:
        histories: N.
        form: its orders.
        season: steps.
        horizon: H.

    Returns:
        The corrected Akaike criterion of each history, float `[N]`, but for a constant; and forecasts in its unit,
        `[N, H]`.
    """
    values, (steps, count) = _filled(histories), histories.values.shape
    polynomial = form.differencing(season)
    since = histories.starts + len(polynomial) - 1
    differences = np.zeros((steps, count))
    for lag, weight in enumerate(polynomial):
        if weight and lag < steps:
            differences[lag:] += weight * values[: steps - lag]
    time = np.arange(steps)[:, None]
    known = time >= since
    mean = np.where(known, differences, 0).sum(axis=0) / known.sum(axis=0) * (not form.difference)
    centred = np.where(known, differences - mean, 0.0)
    whole = steps - histories.starts
    counted = time >= histories.starts + 3 + season * (whole >= 2 * season + LEAST)

    def fit(points: np.ndarray) -> np.ndarray:
        return _squares(centred, counted, histories.active, *form.coefficients(points, season))[0]

    chosen = search(count, form.parameters, fit)[:, None]
    ar, ma = form.coefficients(chosen, season)
    squares, errors = _squares(centred, counted, histories.active, ar, ma)
    numbers, degrees = counted.sum(axis=0), form.parameters + 1 + (not form.difference)
    with np.errstate(all="ignore"):
        deviance = numbers * np.log(np.maximum(squares[:, 0] / numbers, 1e-20))
    ahead = np.concatenate([centred, np.zeros((horizon, count))])
    errors = np.concatenate([errors, np.zeros((horizon, count))])
    found = np.concatenate([values, np.zeros((horizon, count))])
    for step in range(steps, steps + horizon):
        for terms, before in ((ar, ahead), (ma, errors)):
            for lag, weight in terms.items():
                if lag <= step:
                    ahead[step] += weight[:, 0] * before[step - lag]
        found[step] = ahead[step] + mean
        for lag, weight in enumerate(polynomial):
            if lag and weight:
                found[step] -= weight * found[step - lag]
    return corrected_akaike(deviance, degrees, numbers), found[steps:].T


def _squares(
    centred: np.ndarray, counted: np.ndarray, active: np.ndarray, ar: Terms, ma: Terms
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of squared errors `[N, K]`, and the errors of the first candidate, `[time, N]`."""
    shape = np.broadcast_shapes((centred.shape[1], 1), *(one.shape for one in (*ar.values(), *ma.values())))
    longest = max(ma, default=0) + 1
    kept, squares, first = np.zeros((longest, *shape)), np.zeros(shape), np.zeros_like(centred)
    ar, ma = ({lag: np.broadcast_to(one, shape) for lag, one in terms.items()} for terms in (ar, ma))
    with np.errstate(all="ignore"):
        for step, count in enumerate(active.tolist()):
            error = np.repeat(centred[step, :count, None], shape[1], axis=1)
            for lag, weight in ar.items():
                if lag <= step:
                    error -= weight[:count] * centred[step - lag, :count, None]
            for lag, weight in ma.items():
                error -= weight[:count] * kept[(step - lag) % longest, :count]
            kept[step % longest, :count] = error
            squares[:count] += error * error * counted[step, :count, None]
            first[step, :count] = error[:, 0]
    return np.where(np.isfinite(squares), squares, np.inf), first


def _filled(histories: Histories) -> np.ndarray:
    """The values, those that are missing on a line between their neighbours; 0 before the first."""
    values, steps = histories.values.copy(), np.arange(len(histories.values))
    for column in values.T:
        known = np.isfinite(column)
        if not known.all():
            column[~known] = np.interp(steps[~known], steps[known], column[known], left=0.0)
    return values
