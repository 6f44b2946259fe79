"""How far a forecaster looks back and ahead where nothing is said of it."""

import numpy as np
import pandas as pd
import pytest

from tests.untrained_models import prepared
from unroll.pipelines.tasks.forecasting.simple.history_map import fit_history_map
from unroll.pipelines.tasks.forecasting.simple.moments import Blocks, Moments


def table(frequency: str, rows: int, season: int) -> pd.DataFrame:
    values = 10 + np.sin(2 * np.pi * np.arange(rows) / season)
    return pd.DataFrame({"time": pd.date_range("2021-01-01", periods=rows, freq=frequency), "x": values})


@pytest.mark.parametrize(
    ("frequency", "rows", "season", "lookback", "horizon"),
    [
        ("h", 3000, 24, 336, 24),
        ("30min", 3000, 48, 336, 48),
        ("D", 900, 7, 56, 14),
        ("MS", 144, 12, 36, 12),
        ("MS", 15, 12, 4, 1),
        ("QS", 60, 4, 17, 4),
        ("D", 200, 7, 56, 14),
        ("W", 400, 52, 132, 8),
    ],
)
def test_sizes_go_with_the_frequency_and_fit_the_rows(tmp_path, frequency, rows, season, lookback, horizon) -> None:
    task = prepared("forecasting", table(frequency, rows, season), {}, tmp_path)
    info = task.dataset_info()
    assert (info["lookback"], info["horizon"]) == (lookback, horizon)
    assert all(info["windows"][split]["windows"] > 0 for split in ("train", "validation", "test"))
    for said in info["chosen"]:
        assert said in task.summary()
    assert sum("steps" in said and ("Lookback" in said or "Horizon" in said) for said in info["chosen"]) == 2


def test_what_is_set_is_kept(tmp_path) -> None:
    task = prepared("forecasting", table("MS", 144, 12), {"model": {"lookback": 20, "horizon": 5}}, tmp_path)
    info = task.dataset_info()
    assert (info["lookback"], info["horizon"]) == (20, 5)
    assert not any("Lookback" in said or "Horizon" in said for said in info["chosen"])


def test_a_longer_lookback_is_taken_where_it_saves_error(tmp_path) -> None:
    steps, rng = np.arange(400), np.random.default_rng(0)
    values = 50 + 10 * np.sin(2 * np.pi * steps / 12) + 10 * np.sin(2 * np.pi * steps / 65) + rng.normal(size=400)
    monthly = pd.DataFrame({"time": pd.date_range("1980-01-01", periods=400, freq="MS"), "x": values})
    task = prepared("forecasting", monthly, {}, tmp_path)
    assert task.dataset_info()["lookback"] == 72
    assert "less error than 36 on held-out blocks (model.lookback)" in task.summary()


def test_a_year_of_days_is_read_where_it_tells_what_the_last_weeks_do_not(tmp_path) -> None:
    # closed weeks at the same dates of every year, beside a week that repeats: last year's day alone forecasts worse
    days, rng = pd.date_range("2015-01-01", "2020-12-31", freq="D"), np.random.default_rng(0)
    closed = np.isin(days.isocalendar().week, [8, 9, 21, 22, 23, 35, 36, 44])
    values = 60 + 25 * (days.dayofweek == 4) - 30 * closed + 3 * rng.normal(size=len(days)).cumsum() / 5
    task = prepared("forecasting", pd.DataFrame({"time": days, "x": values}), {}, tmp_path)
    assert (task.dataset_info()["season"], task.dataset_info()["lookback"]) == (7, 365)
    assert "less error than 56 on held-out blocks (model.lookback)" in task.summary()


@pytest.mark.parametrize("name", ["years", "quarters", "shops", "new", "rows"])
def test_what_can_be_forecast_is_not_refused(tmp_path, name) -> None:
    rng = np.random.default_rng(0)
    section: dict[str, object] = {}
    if name in ("years", "quarters"):
        rows, frequency = (30, "YS") if name == "years" else (40, "QS")
        times = pd.date_range("1981-01-01", periods=rows, freq=frequency)
        frame = pd.DataFrame({"time": times, "x": rng.normal(size=rows).cumsum()})
    elif name == "rows":
        frame, section = pd.DataFrame({"x": rng.normal(size=12)}), {"time": None}
    else:  # shops of sixty days; in one file some of which are new, or have a single day
        lengths = [60] * 20 if name == "shops" else [60] * 5 + [20, 9, 3, 1, 1]
        days = pd.date_range("2024-01-01", periods=60, freq="D")
        frame = pd.concat(
            pd.DataFrame({"time": days[60 - length :], "shop": f"s{number}", "x": rng.poisson(5, length)})
            for number, length in enumerate(lengths)
        )
        section = {"series": "shop"}
    task = prepared("forecasting", frame, {"data": section}, tmp_path)
    assert all(task.dataset_info()["windows"][split]["windows"] > 0 for split in ("train", "validation", "test"))
    assert task.dataset_info()["horizon"] > 1 or name == "rows"


def test_few_data_make_a_small_network_and_what_is_set_stays(tmp_path) -> None:
    task = prepared("forecasting", table("MS", 144, 12), {"model": {"members": 1}}, tmp_path)
    info = task.dataset_info()
    assert (info["units"], info["members"], info["segment"], info["horizon"]) == (8, 1, 12, 12)
    assert info["chosen"][-1] == "For about 8 independent windows: model.units=8, model.segment=12."
    assert info["chosen"][-1] in task.summary()
    assert (task.config.model.units, task.config.model.members) == (8, 1)


def test_many_data_keep_the_usual_network(tmp_path) -> None:
    task = prepared("forecasting", table("h", 4000, 24), {"model": {"lookback": 48}}, tmp_path)
    info = task.dataset_info()
    assert (info["units"], info["members"], info["segment"]) == (32, 3, 48)


@pytest.mark.parametrize("values", [np.sin(2 * np.pi * np.arange(300) / 12), np.tile([3.0, 9.0, 4.0, 4.0], 75)])
def test_a_series_without_noise_has_a_map(values) -> None:
    lookback, horizon = 24, 6
    windows = np.lib.stride_tricks.sliding_window_view(values, lookback + horizon)[..., None]
    batch = {"history": windows[:, :lookback], "target": windows[:, lookback:]}
    batch |= {"mean": np.zeros([len(windows), 1]), "std": np.ones([len(windows), 1])}
    blocks = Blocks(0, 300, 4, lookback, horizon)
    blocks.add(np.arange(len(windows)), batch)
    fitted = fit_history_map(blocks, Moments.of([batch], lookback, horizon), [4, 12])
    np.testing.assert_allclose(windows[:, :lookback, 0] @ fitted.kernel, windows[:, lookback:, 0], atol=0.05)
