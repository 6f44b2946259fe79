"""Series are measured as a plain loop measures them, and drift of a series is told from its ordinary ups and downs."""

import math

import numpy as np
import pytest
from scipy import stats

from unroll.monitoring import ReferenceProfile, SeriesFeature, compare
from unroll.monitoring.drift import LEVEL
from unroll.monitoring.features.series import seasonal_strength
from unroll.monitoring.variables import Magnitude, take
from unroll.monitoring.windows import MIN_RECORDS

SEASON, LOOKBACK, HORIZON = 24, 96, 12
FEATURE = SeriesFeature(("a", "b"), SEASON, LOOKBACK, lower=0, upper=2, seconds=3600)


def series(hours: int, seed: int) -> np.ndarray:
    """A daily cycle, slow wander and noise: `(hours, 3)`, the last column a covariate."""
    rng = np.random.default_rng(seed)
    wander = np.zeros((hours, 3))
    for hour in range(1, hours):
        wander[hour] = 0.98 * wander[hour - 1] + rng.normal(size=3) * 0.2
    cycle = np.sin(2 * np.pi * np.arange(hours) / SEASON)[:, None]
    return (20 + 3 * cycle + wander + rng.normal(size=(hours, 3)) * 0.5).astype(np.float32)


def tensors(values: np.ndarray, damage=lambda history: history):
    rows = np.lib.stride_tricks.sliding_window_view(values, LOOKBACK + HORIZON, axis=0).transpose(0, 2, 1)
    history = damage(rows[:, :LOOKBACK].copy())
    forecast = np.nan_to_num(history[:, -SEASON : HORIZON - SEASON, :2], nan=20)
    quantiles = forecast[..., None] + np.array([-1.2, 0, 1.2], np.float32)
    return {"history": history, "actual": rows[:, LOOKBACK:, :2]}, {"forecast": forecast, "quantiles": quantiles}


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    return ReferenceProfile.build([FEATURE], *tensors(series(2000, 1)), model="load")


def ask(profile: ReferenceProfile, inputs, outputs, rows) -> object:
    values = {name: take(value, rows) for name, value in profile.measure(inputs, outputs).items()}
    return compare(profile, values, [str(row) for row in rows])


def test_values_of_a_window_with_gaps():
    rng = np.random.default_rng(0)
    history = rng.normal(10, 3, (5, LOOKBACK + 7, 3)).astype(np.float32)
    history[rng.random(history.shape) < 0.3] = np.nan
    history[3, :, 0] = np.nan
    forecast, actual = rng.normal(10, 3, (2, 5, HORIZON, 2)).astype(np.float32)
    actual[rng.random(actual.shape) < 0.2] = np.nan
    quantiles = forecast[..., None] + np.array([-2, 0, 2], np.float32)
    inputs = {"history": history, "actual": actual}
    values = FEATURE.measure(inputs, {"forecast": forecast, "quantiles": quantiles}, {})
    assert len(values) == 16
    assert {value.dtype for value in values.values()} == {np.dtype(np.float32)}
    for row in range(5):
        for column, name in enumerate("ab"):
            seen = [v for v in history[row, -LOOKBACK:, column].tolist() if not math.isnan(v)]
            pairs = [(f, a) for f, a in zip(forecast[row, :, column], actual[row, :, column], strict=True) if a == a]
            got = {key.split("/")[1]: value[row] for key, value in values.items() if key.startswith(name)}
            if not seen:
                assert got["gaps"] == 1
                assert all(math.isnan(got[key]) for key in ("level", "scale", "seasonality", "forecast", "interval"))
                continue
            level, scale = np.mean(seen), np.std(seen)
            assert got["level"] == pytest.approx(level, rel=1e-5)
            assert got["scale"] == pytest.approx(scale, rel=1e-5)
            assert got["gaps"] == pytest.approx(1 - len(seen) / LOOKBACK, abs=0.0251)
            assert got["forecast"] == pytest.approx((forecast[row, :, column].mean() - level) / scale, abs=1e-5)
            assert got["interval"] == pytest.approx(4 / scale, rel=1e-4)
            assert got["error"] == pytest.approx(np.mean([abs(f - a) for f, a in pairs]) / scale, rel=1e-4)
            assert got["coverage"] == pytest.approx(np.mean([abs(f - a) <= 2 for f, a in pairs]), abs=1e-6)


def test_seasonal_strength():
    rng = np.random.default_rng(0)
    at = np.arange(96)
    cycle, noise = 3 * np.sin(2 * np.pi * at / 24), rng.normal(size=96)
    gaps = np.where(rng.random(96) < 0.2, np.nan, 1.0)
    windows = np.stack([cycle, cycle + 5 * at, cycle * gaps, cycle + noise, noise, np.full(96, 7.3), 0.1 * at + 5])
    strength = seasonal_strength(windows[:, :, None], 24)[:, 0]
    assert strength[:3] == pytest.approx([1, 1, 1], abs=0.02)
    assert strength[3] == pytest.approx(4.5 / 5.5, abs=0.12)  # variances of cycle and noise
    assert strength[4] < 0.45  # four seasons leave a quarter of the noise in their mean
    assert strength[5:].tolist() == [0, 0]
    assert np.isnan(seasonal_strength(windows[:, :47, None], 24)).all()


def test_short_histories_and_many_channels():
    history = np.ones((2, 1, 30), np.float32)
    outputs = {"forecast": np.ones((2, 4, 30)), "quantiles": np.ones((2, 4, 30, 2))}
    feature = SeriesFeature(tuple(f"c{i}" for i in range(30)), 1, 48, 0, 1, seconds=60)
    values = feature.measure({"history": history}, outputs, {})
    assert set(values) == {"level", "scale", "gaps", "forecast", "interval"}
    assert values["level"].tolist() == [1, 1]
    with pytest.raises(ValueError, match="Received"):
        feature.measure({"history": history[..., :29]}, outputs, {})


def test_the_distance_is_the_earth_movers():
    rng = np.random.default_rng(0)
    reference, window = rng.normal(size=4000).astype(np.float32), rng.normal(1, 2, 500).astype(np.float32)
    variable = Magnitude.fit(reference)
    means = [variable.indicators(variable.encode(values)).mean(axis=0) for values in (window, reference)]
    assert variable.statistic(*means) == pytest.approx(stats.wasserstein_distance(window, reference), rel=0.1)
    far = [variable.indicators(variable.encode(np.full(9, x, np.float32))).mean(axis=0) for x in (5, 50, np.nan)]
    distances = [variable.statistic(one, means[1]) for one in far]
    assert distances == sorted(distances)
    assert distances[0] < distances[2]


def test_clean_runs_of_requests_hardly_alarm(profile):
    alarms = 0
    for seed in range(10):
        inputs, outputs = tensors(series(700, 100 + seed))
        for start in range(0, 500, 100):
            alarms += ask(profile, inputs, outputs, np.arange(start, start + 40)[::-1]).drift
    # 50 windows at the stated rate of 1 in 100.
    assert alarms <= stats.binom(50, LEVEL).ppf(0.999), f"{alarms} of 50 clean windows"


@pytest.mark.parametrize(
    ("damage", "variable"),
    [
        (lambda h: h + 9, "level"),
        (lambda h: 20 + 3 * (h - 20), "scale"),
        (lambda h: np.where(np.random.default_rng(0).random(h.shape) < 0.2, np.nan, h).astype("f"), "gaps"),
        (lambda h: np.random.default_rng(0).permuted(h, axis=1), "seasonality"),
        (lambda h: np.repeat(h[:, :1], LOOKBACK, axis=1), "scale"),
    ],
    ids=["level", "scale", "gaps", "lost season", "stuck sensor"],
)
def test_drift_alarms(profile, damage, variable):
    inputs, outputs = tensors(series(300, 7), damage)
    for start in (0, 100):
        result = ask(profile, inputs, outputs, np.arange(start, start + 40)[::-1])
        assert result.drift
        drifted = [feature.name for feature in result.features if feature.drift]
        assert f"a/{variable}" in drifted, drifted
        assert result.runs == 1893 // (2 * (37 + LOOKBACK))  # a fiftieth of the reference is 37 records


def test_without_actuals_their_variables_are_left_out(profile):
    inputs, outputs = tensors(series(300, 8))
    assert {"a/error", "a/coverage"} <= set(profile.variables)
    del inputs["actual"]
    result = ask(profile, inputs, outputs, np.arange(MIN_RECORDS))
    assert result.p_value is not None
    assert len(result.features) == len(profile.variables) - 4


def test_a_wrong_forecast_is_seen_once_actuals_are_known(profile):
    inputs, outputs = tensors(series(300, 9))
    inputs["actual"] = inputs["actual"] + 8
    result = ask(profile, inputs, outputs, np.arange(40))
    drifted = [feature.name for feature in result.features if feature.drift]
    assert {"a/error", "b/error", "a/coverage"} <= set(drifted), drifted
    assert "a/level" not in drifted


def test_records_are_kept_in_the_order_of_time(profile, tmp_path, write_version):
    inputs, outputs = tensors(series(2000, 1))
    order = np.random.default_rng(0).permutation(len(inputs["history"]))
    shuffled = {name: array[order] for name, array in inputs.items()} | {"timestamp": 3600 * order}
    built = ReferenceProfile.build([FEATURE], shuffled, {k: v[order] for k, v in outputs.items()}, model="load")
    for name, codes in profile.codes.items():
        np.testing.assert_array_equal(built.codes[name], codes)
    write_version(tmp_path / "1", profile)
    loaded = ReferenceProfile.load(tmp_path / "1")
    assert loaded.features == profile.features
    assert (loaded.inputs, loaded.optional_inputs) == (["history"], ["timestamp", "series"])
    new = tensors(series(300, 3))
    rows = np.arange(60)
    assert ask(loaded, *new, rows) == ask(profile, *new, rows)
