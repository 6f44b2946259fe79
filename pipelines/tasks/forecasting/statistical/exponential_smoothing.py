"""ETS: exponential smoothing whose form is chosen by AICc, fitted to each of many histories."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import qmc

from unroll.pipelines.tasks.forecasting.statistical.histories import LONGEST, Histories
from unroll.pipelines.tasks.forecasting.statistical.smoothing_filter import (
    Filtered,
    Form,
    States,
    ahead,
    backcast,
    run_filter,
)

FORMS = (
    *(Form(trend, season) for season in ("N", "A") for trend in ("N", "A", "Ad")),
    *(Form(trend, "M", relative=True) for trend in ("N", "A", "Ad")),
)
_EXPLORED, _REFINED = 32, 16  # candidates
_RADII = (0.25, 0.15, 0.08, 0.04, 0.02, 0.01)  # of a round of refinement, in the unit cube
_BACKCAST = (0, 2, 4)  # rounds before which first states are found anew
EVALUATIONS = len(FORMS) * (_EXPLORED + len(_RADII) * _REFINED)
"""Filters that are run for one history, about."""
LEAST = 8
"""Observed values that a history must have."""


def smoothing_forecasts(series: Sequence[np.ndarray], season: int, horizon: int) -> np.ndarray:
    """Forecasts of histories by exponential smoothing.

    Args:
        series: N histories, float `[time]`, NaN where missing; each may have another length.
        season: steps; 1 for none. Of a history that doesn't hold two of them it is left out.
        horizon: H.

    Returns:
        Float `[N, H]`; NaN of a history with less than `LEAST` values.

    Example:
        >>> smoothing_forecasts([np.arange(30.0)], season=1, horizon=2).round(2).tolist()
        [[30.0, 31.0]]
    """
    series = [one[-LONGEST:] for one in series]
    counts = np.array([int(np.isfinite(one).sum()) for one in series])
    positive = np.array([bool((one[np.isfinite(one)] > 0).all()) for one in series])
    best = np.full(len(series), np.inf)
    found = np.full((len(series), horizon), np.nan)
    for form in FORMS:
        fits = counts >= (max(LEAST, 2 * season) if form.season != "N" else LEAST)
        if form.season != "N":
            fits &= season > 1
        if form.relative:
            fits &= positive
        rows = np.flatnonzero(fits)
        if not len(rows):
            continue
        histories = Histories.of([series[row] for row in rows])
        criterion, forecasts = fitted(histories, form, season, horizon)
        rows = rows[histories.order]
        better = criterion < best[rows]
        best[rows[better]] = criterion[better]
        found[rows[better]] = forecasts[better] * histories.scale[better, None]
    return found


def fitted(histories: Histories, form: Form, season: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """The corrected Akaike criterion of each history, and its forecasts."""
    size, (steps, count) = form.parameters, histories.values.shape
    explored = qmc.Halton(size, seed=0).random(_EXPLORED)[None]
    states = States.first(histories, form, season)
    filtered = run_filter(histories, form, form.weights(explored), states)
    fit, chosen = _best(filtered, np.broadcast_to(explored, (count, *explored.shape[1:])))
    rng = np.random.default_rng(0)
    for number, radius in enumerate(_RADII):
        weights = form.weights(chosen[:, None])
        if number in _BACKCAST:
            states = backcast(histories, form, weights, states)
            fit = np.full(count, np.inf)
        near = rng.uniform(-radius, radius, (_REFINED, size))
        near[0] = 0
        tried = np.clip(chosen[:, None] + near, 0, 1)
        fits, points = _best(run_filter(histories, form, form.weights(tried), states), tried)
        better = fits < fit
        fit, chosen = np.where(better, fits, fit), np.where(better[:, None], points, chosen)
    weights = form.weights(chosen[:, None])
    last = run_filter(histories, form, weights, states)
    degrees, numbers = form.degrees(season), histories.counts
    room = numbers - degrees - 1
    with np.errstate(all="ignore"):
        criterion = last.fit[:, 0] + 2 * degrees + 2 * degrees * (degrees + 1) / room
    forecasts = ahead(form, weights[3][:, 0], last.states, steps, horizon)
    usable = (room > 0) & np.isfinite(forecasts).all(axis=1)
    return np.where(usable, criterion, np.inf), forecasts


def _best(filtered: Filtered, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each history, the least `fit` and the point that has it."""
    chosen = filtered.fit.argmin(axis=1)
    rows = np.arange(len(chosen))
    return filtered.fit[rows, chosen], points[rows, chosen]
