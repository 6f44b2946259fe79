"""Exponential smoothing as linear maps from history to horizon (Holt 1957, Winters 1960, Gardner & McKenzie 1985)."""

from collections.abc import Iterator, Sequence

import numpy as np

_LEVELS = (0.02, 0.1, 0.3, 0.6, 0.9)
_SEASONALS = (0.05, 0.2, 0.5)
_TRENDS = ((0.0, 0.0), (0.1, 0.9))  # of its smoothing and of its damping


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

    Level and season begin as those of the first season in the history.

    Args:
        lookback: L, steps of history; at least a season.
        horizon: H, steps.
        level: share of an error by which the level follows it, 0 to 1.
        seasonal: the same of the season.
        trend: the same of the trend.
        damping: share of the trend that is left after a step.
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
    now, slope = steps[:season].mean(axis=0), np.zeros(lookback)
    seasons = list(steps[:season] - now) if season > 1 else [np.zeros(lookback)]
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


def smoothing_kernels(lookback: int, horizon: int, seasons: Sequence[int]) -> Iterator[tuple[str, np.ndarray]]:
    """Maps to choose from, the plainest first, each with its name.

    Args:
        lookback: L, steps.
        horizon: H, steps.
        seasons: those that a series may have; such as do not fit into the lookback twice are left out.
    """
    yield "last value", smoothing_kernel(lookback, horizon, level=1.0)
    yield "mean", np.full([lookback, horizon], 1 / lookback)
    fitting = [season for season in seasons if 1 < season <= lookback]
    for season in fitting:
        kernel = smoothing_kernel(lookback, horizon, level=0.0, seasonal=1.0, season=season)
        yield f"seasonal naive of {season} steps", kernel
    for season in [1, *fitting]:
        for level in _LEVELS:
            for trend, damping in _TRENDS:
                for seasonal in _SEASONALS if season > 1 else (0.0,):
                    kernel = smoothing_kernel(
                        lookback, horizon, level=level, seasonal=seasonal, trend=trend, damping=damping, season=season
                    )
                    yield "exponential smoothing" + (f", season {season}" if season > 1 else ""), kernel
