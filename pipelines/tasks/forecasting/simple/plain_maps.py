"""Linear maps from history to horizon that need no fit: naive, seasonal, smoothing and regression forecasts."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from unroll.pipelines.tasks.forecasting.simple.smoothing import smoothing_kernel, smoothing_kernels

_DISCOUNTS = (1.0, 0.99, 0.97, 0.93, 0.85)  # of an error, a step that it lies further back
_SLOPES = (0.0, 0.01, 0.1, np.inf)  # penalties of a trend's square
_CARRIED = (0.0, 0.7, 0.9)  # shares of the last error that are left after a step
_WAVES = 6  # of a season that is too long for one weight a step
_LONG_SEASON = 24
_WAVE_PENALTY = 1e-3
_AVERAGED = (2, 3, 5)  # seasons


def plain_maps(lookback: int, horizon: int, seasons: Sequence[int]) -> Iterator[tuple[str, np.ndarray]]:
    """Maps to choose from, each with its name: first last value, mean and the seasonal naive of each season.

    Args:
        lookback: L, steps.
        horizon: H, steps.
        seasons: those that a series may have; such as do not fit into the lookback are left out.

    Returns:
        Names, and kernels float64 `[L, H]` whose columns sum to one, so that level and scale are followed.
    """
    last = smoothing_kernel(lookback, horizon, level=1.0)
    yield "last value", last
    yield "mean", np.full([lookback, horizon], 1 / lookback)
    fitting = [season for season in seasons if 1 < season <= lookback]
    naive = {season: smoothing_kernel(lookback, horizon, level=0.0, seasonal=1.0, season=season) for season in fitting}
    for season, kernel in naive.items():
        yield f"seasonal naive{_of(season)}", kernel
    for season, kernel in naive.items():
        yield from _seasonal(kernel, season)
    if lookback > 1:
        slope = np.zeros(lookback)
        slope[-1], slope[0] = 1 / (lookback - 1), -1 / (lookback - 1)
        for share in (0.5, 1.0):
            yield "drift", last + share * np.outer(slope, np.arange(1, horizon + 1))
    for season in [1, *fitting]:
        of = _of(season)
        for kernel in smoothing_kernels(lookback, horizon, season):
            yield f"exponential smoothing{of}", kernel
        if lookback >= 1.5 * season and lookback > 2:
            for discount, slope_penalty in itertools.product(_DISCOUNTS, _SLOPES):
                for carried in _CARRIED:
                    kernel = regression_kernel(
                        lookback, horizon, season, discount=discount, slope_penalty=slope_penalty, carried=carried
                    )
                    yield f"trend regression{of}", kernel


def regression_kernel(
    lookback: int,
    horizon: int,
    season: int,
    *,
    discount: float,
    slope_penalty: float = 0.0,
    carried: float = 0.0,
) -> np.ndarray:
    """Discounted least squares (Brown 1963) of a level, a trend and a season's waves, as the map that it is.

    Args:
        lookback: L, steps of history.
        horizon: H, steps.
        season: steps; 1 for none.
        discount: weight of an error, a step that it lies further back, above 0, at most 1.
        slope_penalty: of the trend's square, over the whole history; infinite: there is none.
        carried: share of the last step's error that is left after a step.

    Returns:
        float64 `[L, H]`, columns summing to one.

    Example:
        >>> regression_kernel(3, 1, 1, discount=1.0).round(2).ravel()  # a straight line through three steps
        array([-0.67,  0.33,  1.33])
    """
    steps = np.arange(lookback + horizon) - (lookback - 1)
    columns, penalties = [np.ones(len(steps))], [0.0]
    if np.isfinite(slope_penalty):
        columns.append(steps / lookback)
        penalties.append(slope_penalty)
    for wave in range(1, min(season // 2, season if season <= _LONG_SEASON else _WAVES) + 1):
        angle = 2 * np.pi * wave * steps / season
        pair = [np.cos(angle)] if 2 * wave == season else [np.cos(angle), np.sin(angle)]
        columns += pair
        penalties += [_WAVE_PENALTY] * len(pair)
    terms = np.stack(columns, axis=1)  # [L + H, M]
    past, weight = terms[:lookback], discount ** -steps[:lookback].astype(float)
    gram = past.T @ (weight[:, None] * past) + np.diag(penalties) * weight.sum() + 1e-9 * np.eye(len(penalties))
    fit = np.linalg.solve(gram, past.T * weight)  # [M, L]
    left = np.eye(lookback)[-1] - past[-1] @ fit  # of the last step
    kernel = (terms[lookback:] @ fit).T + np.outer(left, carried ** np.arange(1, horizon + 1))
    kernel[-1] += 1 - kernel.sum(axis=0)  # which the penalties hardly leave to do
    return kernel


def _seasonal(naive: np.ndarray, season: int) -> Iterator[tuple[str, np.ndarray]]:
    """The mean of several seasons, and how they changed."""
    lookback, horizon = naive.shape
    newest = np.zeros(lookback)
    newest[-season:] = 1 / season
    for count in _AVERAGED:
        if count * season > lookback:
            break
        mean, level = np.zeros_like(naive), newest.copy()
        level[-count * season :] -= 1 / (count * season)
        for back in range(1, count + 1):
            mean[lookback - back * season + np.arange(horizon) % season, np.arange(horizon)] += 1 / count
        yield f"mean of seasons{_of(season)}", mean
        yield f"mean of seasons{_of(season)}", mean + level[:, None]
    if 2 * season <= lookback:
        growth = newest.copy()
        growth[-2 * season : -season] = -1 / season
        for share in (0.5, 1.0):
            ahead = share * (np.arange(horizon) // season + 1)
            yield f"seasonal naive with drift{_of(season)}", naive + np.outer(growth, ahead)


def _of(season: int) -> str:
    return f" of {season} steps" if season > 1 else ""
