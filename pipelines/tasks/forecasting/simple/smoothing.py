"""Exponential smoothing as linear maps from history to horizon (Holt 1957, Winters 1960, Gardner & McKenzie 1985)."""

import itertools
from collections.abc import Iterator

import numpy as np

_LEVELS = (0.02, 0.1, 0.3, 0.6, 1.0)
_BETWEEN = (0.05, 0.2, 0.45, 0.8)  # further ones without a season
_SEASONALS = (0.02, 0.05, 0.2, 0.4, 0.7)
_TRENDS = ((0.0, 0.0), (0.05, 0.9), (0.3, 0.9), (0.1, 0.95), (0.1, 0.98), (0.05, 1.0), (0.2, 1.0))
"""Of the trend's smoothing and of its damping."""
_LONG_SEASON = 24  # steps: of longer ones fewer maps are made, which are large


def smoothing_kernel(
    lookback: int,
    horizon: int,
    *,
    level: float,
    seasonal: float = 0.0,
    trend: float = 0.0,
    damping: float = 0.0,
    season: int = 1,
) -> np.ndarray:
    """Additive Holt-Winters smoothing with a damped trend, as the linear map that it is.

    Level and season begin as those of the first season in the history, a trend as the change to the second one.

    Args:
        lookback: L, steps of history; at least a season.
        horizon: H, steps.
        level: share of an error by which the level follows it, 0 to 1.
        seasonal: the same of the season.
        trend: the same of the trend.
        damping: share of the trend that is left after a step; 0: there is none.
        season: steps; 1 for none.

    Returns:
        float64 `[L, H]`, columns summing to one.

    Example:
        >>> smoothing_kernel(3, 2, level=1.0)  # the last value
        array([[0., 0.],
               [0., 0.],
               [1., 1.]])
        >>> smoothing_kernel(4, 3, level=0.0, seasonal=1.0, season=2)  # the value a season before
        array([[0., 0., 0.],
               [0., 0., 0.],
               [1., 0., 1.],
               [0., 1., 0.]])
    """
    steps = np.eye(lookback)  # what each step of the history adds to the state
    slope = _first_slope(steps, season) if damping else np.zeros(lookback)
    middle = (season - 1) / 2
    now = steps[:season].mean(axis=0)
    seasons = [steps[place] - now - slope * (place - middle) for place in range(season)]
    if season == 1:
        seasons = [np.zeros(lookback)]
    now = now + slope * middle
    for step in range(season, lookback):
        expected = now + damping * slope
        error = steps[step] - expected - seasons[step % season]
        now = expected + level * error
        slope = damping * slope + level * trend * error
        if season > 1:
            seasons[step % season] = seasons[step % season] + seasonal * (1 - level) * error
    columns, ahead = [], 0.0
    for step in range(horizon):
        ahead += damping ** (step + 1)
        columns.append(now + ahead * slope + seasons[(lookback + step) % season])
    return np.stack(columns, axis=1)


def smoothing_kernels(lookback: int, horizon: int, season: int) -> Iterator[np.ndarray]:
    """Maps to choose from.

    Args:
        lookback: L, steps, at least a season.
        horizon: H, steps.
        season: steps; 1 for none.
    """
    levels = sorted(_LEVELS + _BETWEEN) if season == 1 else list(_LEVELS)
    seasonals = [0.0] if season == 1 else list(_SEASONALS if season <= _LONG_SEASON else _SEASONALS[1:4])
    for level, seasonal, (trend, damping) in itertools.product(levels, seasonals, _TRENDS):
        yield smoothing_kernel(
            lookback, horizon, level=level, seasonal=seasonal, trend=trend, damping=damping, season=season
        )


def _first_slope(steps: np.ndarray, season: int) -> np.ndarray:
    """The change a step from the first season to the second; without seasons, between the first few steps."""
    span = season if season > 1 else min(4, len(steps) // 2)
    if not span or len(steps) < 2 * span:
        return np.zeros(len(steps))
    return (steps[span : 2 * span].mean(axis=0) - steps[:span].mean(axis=0)) / span
