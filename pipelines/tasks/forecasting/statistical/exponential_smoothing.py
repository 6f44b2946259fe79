"""ETS: exponential smoothing whose form is chosen by AICc, fitted to each of many histories."""

from collections.abc import Sequence

import numpy as np

from unroll.pipelines.tasks.forecasting.statistical.histories import LEAST, Histories, choose, corrected_akaike
from unroll.pipelines.tasks.forecasting.statistical.search import search
from unroll.pipelines.tasks.forecasting.statistical.smoothing_filter import Form, States, ahead, backcast, run_filter

FORMS = (
    *(Form(trend, season) for season in ("N", "A") for trend in ("N", "A", "Ad")),
    *(Form(trend, "M", relative=True) for trend in ("N", "A", "Ad")),
)


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
    positive = np.array([bool((one[np.isfinite(one)] > 0).all()) for one in series])

    def fits(form: Form, counts: np.ndarray) -> np.ndarray:
        enough = counts >= (max(LEAST, 2 * season) if form.season != "N" else LEAST)
        return enough & (positive | (not form.relative)) & (season > 1 or form.season == "N")

    return choose(series, FORMS, fits, lambda form, histories: fitted(histories, form, season, horizon), horizon)


def fitted(histories: Histories, form: Form, season: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Fits one form.

    Args:
        histories: N.
        form: of smoothing.
        season: steps.
        horizon: H.

    Returns:
        The corrected Akaike criterion of each history, float `[N]`, but for a constant; and forecasts in its unit,
        `[N, H]`.
    """
    steps, count = histories.values.shape
    states = States.first(histories, form, season)

    def fit(points: np.ndarray) -> np.ndarray:
        return run_filter(histories, form, form.weights(points), states).fit

    def renew(chosen: np.ndarray) -> None:
        nonlocal states
        states = backcast(histories, form, form.weights(chosen[:, None]), states)

    weights = form.weights(search(count, form.parameters, fit, renew)[:, None])
    last = run_filter(histories, form, weights, states)
    criterion = corrected_akaike(last.fit[:, 0], form.degrees(season), histories.counts)
    return criterion, ahead(form, weights[3][:, 0], last.states, steps, horizon)
