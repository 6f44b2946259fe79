"""Which forecasts an answer is made of, from what held-out blocks say of them."""

import numpy as np
import pytest

from unroll.pipelines.tasks.forecasting.simple.shares import HeldOut, Shares

HORIZON = 4


def chosen(errors: dict[str, np.ndarray], actual: np.ndarray | None = None, series: int = 1) -> Shares:
    """Shares from the errors `[windows]` of each forecast, the simple one first."""
    windows = len(next(iter(errors.values())))
    actual = np.zeros([windows, HORIZON, 1]) if actual is None else actual
    held_out = HeldOut(HORIZON, next(iter(errors)))
    step = np.arange(windows) // series
    for part in np.array_split(np.arange(windows), 3):
        forecasts = {name: actual[part] + error[part, None, None] for name, error in errors.items()}
        forecasts = {name: np.nan_to_num(forecast) for name, forecast in forecasts.items()}
        held_out.add(forecasts, actual[part], step[part], part % series)
    return held_out.shares()


def noise(windows: int, seed: int, size: float = 1.0) -> np.ndarray:
    return size * np.random.default_rng(seed).normal(size=windows)


def test_a_forecast_that_is_better_in_every_block_gets_more_the_longer_they_are() -> None:
    short, long = (chosen({"ridge": noise(n, 0), "network": noise(n, 1, 0.2)}) for n in (100, 2000))
    assert 0.4 < short.shares["network"] < long.shares["network"]
    assert long.shares["network"] > 0.8
    assert sum(long.shares.values()) == pytest.approx(1, abs=1e-3)
    assert long.gain > 0.5


def test_a_worse_forecast_with_the_same_errors_gets_nothing() -> None:
    error = noise(1000, 0)
    assert chosen({"ridge": error, "network": 1.1 * error, "last_value": 2 * error}).shares == {"ridge": 1.0}


def test_a_forecast_that_some_blocks_like_and_others_do_not_gets_less() -> None:
    error, half = noise(800, 0), np.arange(800) < 400
    steady = chosen({"ridge": error, "network": 0.9 * error}).shares["network"]
    fickle = chosen({"ridge": error, "network": np.where(half, 0.5, 1.3) * error}).shares.get("network", 0.0)
    assert fickle < 0.7 * steady


def test_the_better_of_two_simple_forecasts_stands_in() -> None:
    shares = chosen({"ridge": noise(1000, 0, 3.0), "seasonal_naive": noise(1000, 1, 0.1), "network": noise(1000, 2)})
    assert shares.shares["seasonal_naive"] > 0.8


def test_series_are_blocks_where_there_is_little_time() -> None:
    errors = {"ridge": noise(400, 0), "network": noise(400, 1, 0.2)}
    assert chosen(errors, series=40).blocks == 8


def test_what_is_missing_does_not_count() -> None:
    actual = np.zeros([600, HORIZON, 1])
    actual[:200] = np.nan
    errors = {"ridge": noise(600, 0), "network": np.where(np.arange(600) < 200, 100.0, noise(600, 1, 0.1))}
    assert chosen(errors, actual).shares["network"] > 0.8
    assert chosen(errors, np.full_like(actual, np.nan)).shares == {"ridge": 1.0}


def test_a_perfect_simple_forecast_is_left_alone() -> None:
    assert chosen({"ridge": np.zeros(300), "network": noise(300, 0)}).shares == {"ridge": 1.0}
