"""Simple forecasts of a set. Those of statsforecast are made in its own environment:

python -m benchmarks.untuned.series_methods METHOD SET TABLE OUTPUT
"""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.untuned.series_ridge import ridge
from benchmarks.untuned.series_sets import SETS, SeriesSet
from benchmarks.untuned.series_windows import Series, read

_STEPS = 2000
"""Newest steps that ETS and AutoARIMA see: their time grows with them."""
_LONGEST_SEASON = 24
"""Of ETS; a longer one is taken off by STL before (MSTL)."""
Forecasts = tuple[np.ndarray, np.ndarray | None]


def main() -> None:
    method, name, table, output = sys.argv[1:]
    warnings.simplefilter("ignore")
    one = SETS[name]
    np.savez(output, **forecasts(method, Path(table), one))


def forecasts(method: str, table: Path, one: SeriesSet) -> dict[str, np.ndarray]:
    """`points`, and `quantiles` of a method that has them, as `series_windows.scores` takes them.

    Args:
        method: of `METHODS`, or of `STATISTICAL` where statsforecast is installed.
        table: with the set's series.
        one: the set.
    """
    points, quantiles = {**METHODS, **STATISTICAL}[method](read(table, one), one)
    return {"points": points} if quantiles is None else {"points": points, "quantiles": quantiles}


def _by_channel(forecast: Callable[[np.ndarray], np.ndarray], series: list[Series], one: SeriesSet) -> Forecasts:
    points = [
        np.stack([forecast(_filled(each.values[:origin, target])) for target in range(len(one.targets))], axis=1)
        for each in series
        for origin in each.origins
    ]
    return np.stack(points), None


def _filled(values: np.ndarray) -> np.ndarray:
    return pd.Series(values).interpolate(limit_direction="both").to_numpy()


def last_value(series: list[Series], one: SeriesSet) -> Forecasts:
    return _by_channel(lambda history: np.repeat(history[-1], one.horizon), series, one)


def seasonal_naive(series: list[Series], one: SeriesSet) -> Forecasts:
    def forecast(history: np.ndarray) -> np.ndarray:
        season = min(one.season, len(history))
        return np.resize(history[-season:], one.horizon)

    return _by_channel(forecast, series, one)


def _statistical(kind: str) -> Callable[[list[Series], SeriesSet], Forecasts]:
    """Fitted once on what lies before the test part; each window's history is then filtered with these parameters."""

    def forecasts(series: list[Series], one: SeriesSet) -> Forecasts:
        from statsforecast.models import MSTL, AutoARIMA, AutoETS

        long = one.season > _LONGEST_SEASON
        points, quantiles = [], []
        for each in series:
            channels = [_filled(each.values[:, target]) for target in range(len(one.targets))]
            answers = []
            for values in channels:
                known = values[: each.cut][-_STEPS:]
                season = one.season if len(known) > 2 * one.season else 1
                inner = 1 if long else season
                if kind == "arima":
                    model = AutoARIMA(season_length=inner)
                else:
                    model = AutoETS(season_length=inner, model="ZZN" if long else "ZZZ")  # MSTL wants a trend alone
                if long and season > 1:
                    model = MSTL(season_length=season, trend_forecaster=model)
                model.fit(known)
                answers.append([_ahead(model, values[:origin][-_STEPS:], one) for origin in each.origins])
            points += list(np.stack([[one_[1] for one_ in answer] for answer in answers], axis=-1))
            quantiles += list(np.stack(answers, axis=-1).transpose(0, 2, 3, 1))
        return np.stack(points), np.stack(quantiles)

    return forecasts


def _ahead(model: object, history: np.ndarray, one: SeriesSet) -> np.ndarray:
    """Low, middle and high, `[3, horizon]`."""
    answer = model.forward(y=history, h=one.horizon, level=[80])  # type: ignore[attr-defined]
    return np.stack([np.asarray(answer[key], float) for key in ("lo-80", "mean", "hi-80")])


METHODS: dict[str, Callable[[list[Series], SeriesSet], Forecasts]] = {
    "last value": last_value,
    "seasonal naive": seasonal_naive,
    "ridge": ridge,
}
STATISTICAL: dict[str, Callable[[list[Series], SeriesSet], Forecasts]] = {
    "ETS": _statistical("ets"),
    "AutoARIMA": _statistical("arima"),
}

if __name__ == "__main__":
    main()
