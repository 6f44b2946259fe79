"""Scores of a backtest against loops over every target."""

import numpy as np
import pytest

from unroll.monitoring.times.frequency import Frequency
from unroll.pipelines.tasks.forecasting.backtest import Backtest
from unroll.pipelines.tasks.forecasting.plots import backtest_figures, fan_charts

LEVELS = [0.1, 0.5, 0.9]
WINDOWS, PAST, HORIZON, CHANNELS = 60, 20, 4, 2
HOUR = 3600


@pytest.fixture(scope="module")
def forecasts():
    """Windows with gaps, a constant channel of the second series, a baseline without a forecast."""
    rng = np.random.default_rng(0)
    windows = {
        "history": rng.normal(5, 2, size=(WINDOWS, PAST, CHANNELS + 1)).astype(np.float32),
        "target": rng.normal(5, 2, size=(WINDOWS, HORIZON, CHANNELS)).astype(np.float32),
        "timestamp": 1_600_000_000 // HOUR * HOUR + HOUR * np.arange(WINDOWS),
        "series": np.array([b"a", b"b"], object)[np.arange(WINDOWS) % 2],
        "mean": np.full([WINDOWS, CHANNELS], 5.0),
        "std": rng.uniform(1, 3, size=(WINDOWS, CHANNELS)),
        "naive": rng.uniform(1, 3, size=(WINDOWS, CHANNELS)),
    }
    windows["target"][rng.random(windows["target"].shape) < 0.2] = np.nan
    windows["target"][3, 0, 0] = 0
    windows["std"][1::2, 1] = windows["naive"][1::2, 1] = 0
    points = {name: rng.normal(5, 2, size=(WINDOWS, HORIZON, CHANNELS)) for name in ("model", "last_value", "ridge")}
    points["last_value"][5, :, 0] = np.nan
    for forecast in points.values():
        forecast[3, 0, 0] = 0
    spread = rng.uniform(0.5, 4, size=(WINDOWS, HORIZON, CHANNELS))
    quantiles = points["model"][..., None] + spread[..., None] * np.array([-1, 0, 1])
    return windows, points, quantiles


def backtest_of(forecasts, sizes):
    windows, points, quantiles = forecasts
    backtest = Backtest(LEVELS, ["x", "y"], Frequency.parse("1h"))
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        backtest.add(
            {key: value[part] for key, value in windows.items()},
            {key: value[part] for key, value in points.items()},
            quantiles[part],
        )
        start += size
    return backtest


def by_loop(forecasts, system, steps=range(HORIZON)):
    windows, points, quantiles = forecasts
    terms = {name: [] for name in ("mse", "mae", "mse_z", "mae_z", "mase", "smape", "coverage_80")}
    pinball, size = [], []
    for index in np.ndindex(WINDOWS, HORIZON, CHANNELS):
        window, step, channel = index
        actual, forecast = float(windows["target"][index]), points[system][index]
        if step not in steps or np.isnan(actual) or np.isnan(points["last_value"][index]):
            continue
        error = abs(actual - forecast)
        terms["mse"].append(error**2)
        terms["mae"].append(error)
        if windows["std"][window, channel] > 0:
            terms["mse_z"].append((error / windows["std"][window, channel]) ** 2)
            terms["mae_z"].append(error / windows["std"][window, channel])
        if windows["naive"][window, channel] > 0:
            terms["mase"].append(error / windows["naive"][window, channel])
        terms["smape"].append(200 * error / (abs(actual) + abs(forecast)) if error else 0.0)
        low, _, high = quantiles[index]
        terms["coverage_80"].append(low <= actual <= high)
        answers = quantiles[index] if system == "model" else [forecast] * 3
        losses = [
            q * (actual - f) if actual >= f else (1 - q) * (f - actual) for q, f in zip(LEVELS, answers, strict=True)
        ]
        pinball.append(losses)
        size.append(abs(actual))
    scores = {name: np.mean(values) for name, values in terms.items()}
    scores["wql"] = np.mean(2 * np.sum(pinball, axis=0) / np.sum(size))
    if system != "model":
        del scores["coverage_80"]
    return scores


def test_metrics(forecasts):
    metrics = backtest_of(forecasts, [WINDOWS]).metrics()
    expected = by_loop(forecasts, "model")
    for system in ("last_value", "ridge"):
        expected |= {f"{name}/{system}": value for name, value in by_loop(forecasts, system).items()}
    assert metrics == pytest.approx(expected, rel=1e-9)


def test_batches_do_not_matter(forecasts):
    whole, parts = backtest_of(forecasts, [WINDOWS]), backtest_of(forecasts, [7, 1, 20, 32])
    assert parts.metrics() == pytest.approx(whole.metrics(), rel=1e-12)
    assert parts.counts() == whole.counts()
    np.testing.assert_array_equal(parts.observed_levels(), whole.observed_levels())


def test_scores_by_step(forecasts):
    rows = backtest_of(forecasts, [30, 30]).by_step()
    assert [(row["step"], row["system"]) for row in rows[:4]] == [
        (1, "model"),
        (1, "last_value"),
        (1, "ridge"),
        (2, "model"),
    ]
    for row in rows:
        scores = {key: value for key, value in row.items() if key not in ("step", "system")}
        assert scores == pytest.approx(by_loop(forecasts, row["system"], [row["step"] - 1]), rel=1e-9)


def test_what_is_left_out_is_counted(forecasts):
    windows, points, _ = forecasts
    observed = np.isfinite(windows["target"])
    usable = observed & np.isfinite(points["last_value"])
    flat = usable & (windows["naive"][:, None] == 0)
    assert backtest_of(forecasts, [WINDOWS]).counts() == {
        "windows": WINDOWS,
        "targets": usable.sum(),
        "missing": (~observed).sum(),
        "not_forecast": (observed & ~usable).sum(),
        "without_std": flat.sum(),
        "without_scale": flat.sum(),
    }


def test_a_forecast_that_is_nan_shows(forecasts):
    windows, points, quantiles = forecasts
    broken = {**points, "model": np.where(np.arange(HORIZON)[:, None] == 2, np.nan, points["model"])}
    metrics = backtest_of((windows, broken, quantiles), [WINDOWS]).metrics()
    assert np.isnan(metrics["mase"])
    assert np.isnan(metrics["smape"])
    assert np.isfinite(metrics["mase/ridge"])


@pytest.mark.parametrize("level", [0.0, 7.5])
def test_a_perfect_forecast_of_a_constant_has_no_error_but_rounding(level):
    """Also one of zeros, of which every relative error would be the largest there is."""
    shape = [3, HORIZON, 1]
    actual = np.full(shape, level)
    noise = np.where(np.indices(shape).sum(0) % 2, 9e-6, -9e-6)  # as float32 leaves it
    windows = {"history": actual, "target": actual, "timestamp": HOUR * np.arange(3), "series": np.array([b""] * 3)}
    windows |= {"mean": actual[:, 0], "std": np.ones([3, 1]), "naive": np.ones([3, 1])}
    backtest = Backtest(LEVELS, ["x"], Frequency.parse("1h"))
    quantiles = np.stack([actual + noise, actual, actual + noise], axis=-1)
    backtest.add(windows, {"model": actual + noise, "last_value": actual}, quantiles)
    metrics = backtest.metrics()
    exact = {"smape": 0, "wql": 0, "coverage_80": 1}
    assert {name: metrics[name] for name in exact} == exact
    assert metrics["smape/last_value"] == metrics["wql/last_value"] == 0
    assert metrics["mae"] == pytest.approx(9e-6)
    assert [row["smape"] for row in backtest.by_step()] == [0] * 2 * HORIZON


def test_a_wrong_forecast_of_zeros_is_as_wrong_as_can_be():
    zeros = np.zeros([2, HORIZON, 1])
    windows = {"history": zeros, "target": zeros, "timestamp": HOUR * np.arange(2), "series": np.array([b""] * 2)}
    windows |= {"mean": zeros[:, 0], "std": np.ones([2, 1]), "naive": np.ones([2, 1])}
    backtest = Backtest(LEVELS, ["x"], Frequency.parse("1h"))
    backtest.add(windows, {"model": zeros + 0.1, "last_value": zeros}, np.stack([zeros + 0.1] * 3, axis=-1))
    metrics = backtest.metrics()
    assert metrics["smape"] == 200
    assert metrics["coverage_80"] == 0
    assert np.isnan(metrics["wql"])
    assert metrics["wql/last_value"] == 0


def test_wql_of_a_point_forecast_is_its_absolute_error_by_the_actual_size(forecasts):
    windows, points, _ = forecasts
    usable = np.isfinite(windows["target"]) & np.isfinite(points["last_value"])
    error = np.abs(points["ridge"] - windows["target"])[usable].sum()
    expected = error / np.abs(windows["target"][usable]).sum()
    assert backtest_of(forecasts, [WINDOWS]).metrics()["wql/ridge"] == pytest.approx(expected)


def test_worst_windows_do_not_overlap_and_are_the_worst(forecasts):
    windows, points, quantiles = forecasts
    bad = {**points, "model": points["model"].copy()}
    bad["model"][30, :, 0] += 100  # series a; its neighbours in time are worse than anything else, but overlap
    bad["model"][32, :, 0] += 90
    bad["model"][41, :, 0] += 50  # series b
    worst = backtest_of((windows, bad, quantiles), [31, 29]).worst
    found = [(one.window.series, one.channel, (one.window.time - windows["timestamp"][0]) // HOUR) for one in worst]
    assert found[:2] == [("a", 0, 30), ("b", 0, 41)]
    assert [one.mase for one in worst] == sorted([one.mase for one in worst], reverse=True)
    for series, channel, time in found:
        close = [t for s, c, t in found if (s, c) == (series, channel) and abs(t - time) < HORIZON]
        assert close == [time]


def test_many_windows_are_sampled_evenly_in_constant_memory(forecasts):
    backtest = Backtest(LEVELS, ["x", "y"], Frequency.parse("1h"))
    windows, points, quantiles = forecasts
    for turn in range(40):
        moved = {**windows, "timestamp": windows["timestamp"] + turn * WINDOWS * HOUR}
        backtest.add(moved, points, quantiles)
    chosen = [window.time for window in backtest.windows(5)]
    assert len(backtest.windows(10**6)) <= 128
    gaps = np.diff(chosen) / HOUR
    assert gaps.min() > 0.9 * 40 * WINDOWS / 5
    assert gaps.max() < 1.1 * 40 * WINDOWS / 4


def test_figures_are_drawn(forecasts, tmp_path):
    backtest = backtest_of(forecasts, [WINDOWS])
    figures = backtest_figures(backtest)
    drawn = {"fan_charts", "worst_windows", "error_by_step", "coverage_by_step", "quantile_calibration"}
    assert set(figures) == {f"{name}.png" for name in drawn}
    for name, figure in figures.items():
        figure.savefig(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
    titles = [axes.get_title() for axes in figures["worst_windows.png"].axes]
    assert all(title.startswith(("a, after 2020-09-", "b, after 2020-09-")) for title in titles)
    assert all("MASE" in title for title in titles)


def test_a_forecast_without_actual_values_is_drawn(forecasts):
    from dataclasses import replace

    window = replace(backtest_of(forecasts, [WINDOWS]).windows(1)[0], actual=None)
    figure = fan_charts([window], ["x", "y"], LEVELS, Frequency.parse("1h"))
    lines = {line.get_label(): line for line in figure.axes[1].get_lines()}
    np.testing.assert_array_equal(lines["forecast"].get_ydata(), window.forecast[:, 1])
    times = lines["forecast"].get_xdata(orig=True).astype("datetime64[s]").astype(int)
    np.testing.assert_array_equal(times, window.time + HOUR * np.arange(1, HORIZON + 1))
    assert "actual" not in lines


def test_coverage_by_step_and_by_series_is_that_of_every_target(forecasts):
    windows, points, quantiles = forecasts
    coverage = backtest_of(forecasts, [7, 53]).coverage
    usable = np.isfinite(windows["target"]) & np.isfinite(points["last_value"])
    inside = (quantiles[..., 0] <= windows["target"]) & (windows["target"] <= quantiles[..., 2])
    by_step = [inside[:, step][usable[:, step]].mean() for step in range(HORIZON)]
    assert [row["coverage_80"] for row in coverage.by_step()] == pytest.approx(by_step)
    by_series = {}
    for name in (b"a", b"b"):
        own = windows["series"] == name
        for channel, target in enumerate("xy"):
            by_series[name.decode(), target] = inside[own, :, channel][usable[own, :, channel]].mean()
    rows = coverage.by_series()
    assert {(row["series"], row["target"]): row["coverage_80"] for row in rows} == pytest.approx(by_series)
    apart = [abs(row["coverage_80"] - 0.8) for row in rows]
    assert apart == sorted(apart, reverse=True)
    metrics = coverage.metrics()
    assert metrics["coverage_80_first_step"] == pytest.approx(by_step[0])
    assert metrics["coverage_80_last_step"] == pytest.approx(by_step[-1])
    assert metrics["coverage_80_lowest"] == pytest.approx(min(by_series.values()))
    assert [len(rows) for rows in coverage.tables().values()] == [HORIZON, 4]


def test_of_levels_without_the_interval_there_is_no_coverage(forecasts):
    windows, points, quantiles = forecasts
    backtest = Backtest([0.25, 0.5, 0.75], ["x", "y"], Frequency.parse("1h"))
    backtest.add(windows, points, quantiles)
    assert backtest.coverage.metrics() == {} == backtest.coverage.tables()
    assert "coverage_by_step.png" not in backtest_figures(backtest)


def test_zeros_among_the_targets_are_said_beside_smape() -> None:
    for values, said in (([0.0, 3.0], ["1 of 2 targets is 0: sMAPE takes"]), ([1.0, 3.0], [])):
        backtest = Backtest([0.1, 0.5, 0.9], ["sold"], Frequency.parse("1D"))
        ones, target = np.ones([1, 2, 1]), np.array(values).reshape(1, 2, 1)
        windows = {"history": ones, "target": target, "timestamp": np.array([0]), "series": np.array([b"a"])}
        windows |= {"mean": ones[0, :1], "std": ones[0, :1], "naive": ones[0, :1]}
        backtest.add(windows, {"model": ones, "last_value": ones}, np.stack([ones] * 3, -1))
        assert [note.startswith(words) for note, words in zip(backtest.notes(), said, strict=True)] == [True] * len(
            said
        )
