"""Preparing series: the regular grid, splits, scales, further data, and series that cannot be trained on."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from unroll.errors import UserError
from unroll.monitoring.times.frequency import Frequency
from unroll.pipelines.data.series.columns import Roles
from unroll.pipelines.data.series.data import SeriesData, newest, prepare, read_further
from unroll.pipelines.data.series.grid import to_grid
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.summary import summary
from unroll.pipelines.data.series.table import SeriesTable
from unroll.pipelines.data.series.window_index import check_windows
from unroll.pipelines.training.progress import Progress


def hourly(steps, series=("",), seed=0, start="2024-01-01"):
    """A long table; columns time, id, x, y."""
    rng = np.random.default_rng(seed)
    tables = []
    for number, name in enumerate(series):
        wave = 10 * number + 5 * np.sin(2 * np.pi * np.arange(steps) / 24)
        times = pd.date_range(start, periods=steps, freq="h")
        tables.append(
            pd.DataFrame(
                {"time": times, "id": name, "x": wave + rng.normal(0, 0.5, steps), "y": rng.normal(7, 2, steps)}
            )
        )
    return pd.concat(tables, ignore_index=True)


def prepared(folder, table, **section):
    directory = folder / "prepared"
    directory.mkdir()
    table.to_parquet(folder / "data.parquet", index=False)
    prepare(SeriesSection(**section), str(folder / "data.parquet"), directory, Progress())
    return SeriesData.load(directory)


def values_of(data, name):
    row = data.ids.index(name)
    return data.values[data.offsets[row] : data.offsets[row + 1]]


def test_rows_of_a_benchmark_give_its_parts(tmp_path):
    data = prepared(tmp_path, hourly(17_420).drop(columns="id"), split_rows=[8640, 2880, 2880])
    assert [data.dataset_info["splits"][split]["steps"] for split in ("train", "validation", "test")] == [
        8640,
        2880,
        2880,
    ]
    assert data.dataset_info["splits"]["test"]["from"] == str(pd.Timestamp("2024-01-01") + pd.Timedelta(hours=11_520))
    windows = check_windows(data, lookback=336, horizon=96)
    assert [windows[split]["windows"] for split in windows] == [8640 - 336 - 96 + 1, 2880 - 96 + 1, 2880 - 96 + 1]
    assert data.frequency.name == "1h"
    assert data.season == 24


def test_disorder_is_mended_and_counted(tmp_path):
    table = hourly(200, ["a", "b"])
    gone = (table.id == "b") & table.index.isin([260, 261, 300])
    again = table.iloc[[5, 6]]
    other = table.iloc[[8]].assign(x=99.0)
    messy = pd.concat([table[~gone], again, other]).iloc[::-1]
    messy = pd.concat([messy[messy.x != 99.0], messy[messy.x == 99.0]])
    data = prepared(tmp_path, messy, series="id")
    expected = table.assign(x=table.x.where(table.index != 8, 99.0)).set_index("time")
    expected.loc[gone.to_numpy(), ["x", "y"]] = np.nan
    for name in "ab":
        np.testing.assert_array_equal(
            values_of(data, name), expected[expected.id == name][["x", "y"]].to_numpy(np.float32)
        )
    dataset_info = data.dataset_info
    assert (dataset_info["gaps"], dataset_info["exact_duplicates"], dataset_info["conflicting_duplicates"]) == (3, 2, 1)
    assert "series 'a': 2024-01-01 08:00:00" in dataset_info["conflicting_example"]
    assert dataset_info["unsorted_rows"] > 0
    assert dataset_info["missing_share"] == {"x": 0.0075, "y": 0.0075}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.sampled_from([1.0, 2.0, np.nan])), min_size=1),
    st.booleans(),
)
def test_the_grid_is_what_a_dictionary_of_the_rows_says(rows, sort):
    if sort:
        rows = sorted(rows, key=lambda row: row[:2])
    names = sorted({series for series, _, _ in rows})
    codes, steps, values = (np.array(column) for column in zip(*rows, strict=True))
    table = SeriesTable(
        Roles(["x"], [], [], []),
        [f"s{name}" for name in names],
        np.searchsorted(names, codes).astype(np.int32),
        1_700_000_000 + steps * 3600,
        values[:, None].astype(np.float32),
        {},
        {},
    )
    last = {(series, step): value for series, step, value in rows}
    if all(np.isnan(value) for value in last.values()):
        with pytest.raises(UserError, match="all are missing"):
            to_grid(table, Frequency.parse("1h"))
        return
    grid = to_grid(table, Frequency.parse("1h"))
    for row, name in enumerate(grid.ids):
        own = {step: value for (series, step), value in last.items() if f"s{series}" == name}
        expected = [own.get(step, np.nan) for step in range(min(own), max(own) + 1)]
        np.testing.assert_array_equal(grid.values[grid.offsets[row] : grid.offsets[row + 1], 0], expected)
        assert grid.start[row] == 1_700_000_000 + 3600 * min(own)
    counted = grid.dataset_info["exact_duplicates"] + grid.dataset_info["conflicting_duplicates"]
    assert counted == len(rows) - len(last)
    assert grid.dataset_info["empty_series"] == len(names) - len(grid.ids)


def test_scales_come_from_the_training_rows_alone(tmp_path):
    table = hourly(500, ["a", "b"])
    table.loc[table.index[7], "x"] = np.nan
    data = prepared(tmp_path, table, series="id", season=24, past_covariates="y")
    for row, name in enumerate("ab"):
        train = table[table.id == name].head(350)
        np.testing.assert_allclose(data.scales.mean[row, 0], train.x.mean(), rtol=1e-6)
        np.testing.assert_allclose(data.scales.std[row, 0], train.x.std(ddof=0), rtol=1e-6)
        np.testing.assert_allclose(data.scales.naive[row, 0], train.x.diff(24).abs().mean(), rtol=1e-6)
        told = data.dataset_info["series"][name]
        np.testing.assert_allclose(
            [told["mean"][0], told["std"][0]], [data.scales.mean[row, 0], data.scales.std[row, 0]]
        )
    pooled = pd.concat([table[table.id == name].head(350) for name in "ab"]).y
    np.testing.assert_allclose(data.dataset_info["covariates"]["y"]["mean"], pooled.mean(), rtol=1e-6)
    np.testing.assert_allclose(data.dataset_info["covariates"]["y"]["std"], pooled.std(ddof=0), rtol=1e-6)


def test_parts_are_cut_at_one_time_for_all_series(tmp_path):
    late = hourly(300, ["late"], start="2024-01-05")
    data = prepared(tmp_path, pd.concat([hourly(400, ["early"]), late]), series="id", split_rows=[200, 50, 50])
    cut = pd.Timestamp("2024-01-01") + pd.Timedelta(hours=200)
    begin, end = data.steps("validation")
    assert begin[data.ids.index("early")] == 200
    assert begin[data.ids.index("late")] == (cut - pd.Timestamp("2024-01-05")) / pd.Timedelta(hours=1)
    assert (end - begin).tolist() == [50, 50]


@pytest.mark.parametrize(("period", "season"), [(24, 24), (168, 168)])
def test_the_season_is_the_one_that_fits(tmp_path, period, season):
    steps = np.arange(2000)
    table = pd.DataFrame(
        {"time": pd.date_range("2024", periods=2000, freq="h"), "x": np.sin(2 * np.pi * steps / period)}
    )
    assert prepared(tmp_path, table).season == season


@pytest.mark.parametrize("count", [1, 3, 4, 10])
@pytest.mark.parametrize("noise", [0.1, 0.5, 1.0])
def test_of_seasons_that_fit_alike_it_is_the_shortest(tmp_path, count, noise):
    rng = np.random.default_rng(count)
    table = hourly(1000, [f"s{number}" for number in range(count)]).drop(columns="y")
    table["x"] = np.tile(np.sin(2 * np.pi * np.arange(1000) / 24), count) + noise * rng.normal(size=1000 * count)
    assert prepared(tmp_path, table, series="id").season == 24


def test_series_too_short_for_a_seasonal_forecast_are_said(tmp_path):
    table = pd.concat([hourly(400, ["long"]), hourly(150, ["short"], start="2024-01-11")])
    data = prepared(tmp_path, table, series="id", season=168, split_rows=[300, 50, 50])
    windows = check_windows(data, lookback=8, horizon=2)
    assert "1 series with less than a season of 168 steps before the test split" in summary(data.dataset_info, windows)
    (tmp_path / "hourly").mkdir()
    data = prepared(tmp_path / "hourly", table, series="id", season=24, split_rows=[300, 50, 50])
    assert "less than a season" not in summary(data.dataset_info, windows)


def test_a_short_series_has_no_season(tmp_path):
    assert prepared(tmp_path, hourly(40).drop(columns="id")).season == 1


def test_a_wide_table_of_series_equals_the_long_one(tmp_path):
    table = hourly(100, ["a", "b", "c"]).drop(columns="y")
    table = table[~((table.id == "b") & (table.time < "2024-01-02"))]  # b begins a day later
    wide = table.pivot(index="time", columns="id", values="x").reset_index()
    (tmp_path / "long").mkdir()
    (tmp_path / "wide").mkdir()
    long = prepared(tmp_path / "long", table, series="id")
    data = prepared(tmp_path / "wide", wide, columns="series")
    assert data.ids == long.ids
    assert data.dataset_info["targets"] == ["value"]
    for name in "abc":
        np.testing.assert_array_equal(values_of(data, name), values_of(long, name))
    np.testing.assert_array_equal(data.start, long.start)
    np.testing.assert_array_equal(data.scales.naive, long.scales.naive)


def test_constant_and_empty_series_are_kept_or_left_out_and_named(tmp_path):
    table = hourly(100, ["a", "flat", "void"])
    table.loc[table.id == "flat", "x"] = 5.0
    table.loc[table.id == "void", "x"] = np.nan
    data = prepared(tmp_path, table.drop(columns="y"), series="id")
    assert data.ids == ["a", "flat"]
    assert data.dataset_info["empty_series_named"] == ["void"]
    assert data.dataset_info["scaling"]["constant"] == {"count": 1, "named": ["flat/x"]}
    assert data.scales.mean[1] == 5
    assert data.scales.std[1] == data.scales.naive[1] == 1


def test_every_constant_target_is_named(tmp_path):
    table = hourly(100, ["a", "b"]).assign(x=0.0, z=3.0)
    table.loc[table.id == "b", "z"] = np.arange(100)
    data = prepared(tmp_path, table, series="id", targets=["x", "y", "z"])
    assert data.dataset_info["scaling"]["constant"] == {"count": 3, "named": ["a/x", "a/z", "b/x"]}
    said = summary(data.dataset_info, check_windows(data, lookback=24, horizon=5))
    assert "3 targets constant in training: a/x, a/z, b/x." in said


def test_a_series_of_one_row_is_kept_out_of_the_windows_and_counted(tmp_path):
    data = prepared(tmp_path, pd.concat([hourly(200, ["a"]), hourly(1, ["one"])]), series="id")
    windows = check_windows(data, lookback=24, horizon=5)
    assert windows["train"] == {"windows": 140 - 24 - 5 + 1, "short_series": 1}


def test_months_and_their_last_days_are_steps(tmp_path):
    times = pd.date_range("2010-01-31", periods=120, freq="ME").delete([3, 50])
    data = prepared(tmp_path, pd.DataFrame({"time": times, "x": np.arange(118.0)}))
    assert data.frequency.name == "1ME"
    assert data.dataset_info["gaps"] == 2
    assert np.flatnonzero(np.isnan(data.values[:, 0])).tolist() == [3, 50]


def test_times_beside_a_named_grid_move_to_it(tmp_path):
    table = hourly(100).drop(columns="id")
    jitter = np.where(np.arange(100) % 7 == 3, 20, 0)
    late = table.assign(time=table.time + pd.to_timedelta(jitter, "s"))
    data = prepared(tmp_path, late, frequency="1h")
    np.testing.assert_array_equal(data.values, table[["x", "y"]].to_numpy(np.float32))
    assert data.dataset_info["snapped_rows"] == (jitter > 0).sum()
    assert data.start[0] == table.time[0].timestamp()


def test_series_of_different_steps_share_a_grid_that_is_named(tmp_path):
    table = pd.concat([hourly(100, ["a"]), hourly(100, ["b"]).iloc[::2]])
    data = prepared(tmp_path, table, series="id", frequency="1h")
    assert data.dataset_info["gaps"] == 49


def minutes(count, step):
    return pd.date_range("2024", periods=count, freq=step)


@pytest.mark.parametrize(
    ("table", "section", "words"),
    [
        (pd.concat([hourly(50, ["a"]), hourly(50, ["b"]).iloc[::2]]), {"series": "id"},
         "different frequencies: 'a' 1h, 'b' 2h"),
        (hourly(50).assign(time=[*minutes(49, "h"), pd.Timestamp("2024-01-03 01:20")]), {"targets": "x"},
         "2024-01-03 01:20:00 is beside the grid of 1h that begins at 2024-01-01 00:00:00"),
        (hourly(1), {"targets": "x"}, "no series has two rows at different times"),
        (hourly(50).assign(x=np.nan), {"targets": "x"}, "no value of any target (x) in 1 series"),
        (hourly(50).assign(x=np.inf), {"targets": "x"}, "no value of any target (x) in 1 series"),
        (hourly(50, ["a", "b", "c"]), {"targets": "x"}, "the table holds several series. Name the column of their ids"),
        (hourly(50).assign(y=np.nan), {"targets": ["x", "y"]}, "column 'y' has no value in the train split"),
        (hourly(50), {"targets": "x", "split_rows": [40, 10, 10]}, "a grid of 50 steps gives splits of [40, 10, 10]"),
        (hourly(50).assign(time=[pd.Timestamp("1800-01-01"), *minutes(49, "h")]), {"targets": "x"},
         "50 rows from 1800-01-01 00:00:00 to 2024-01-03 00:00:00 lie on 1,963,585 steps of 1h"),
        (hourly(50, ["a", "b", "c"]), {"targets": "x", "frequency": "1h"}, "the table holds several series"),
        (hourly(50).assign(time=minutes(50, "min")), {"targets": "x", "frequency": "1h"},
         "50 times fall on"),
    ],
)  # fmt: skip
def test_series_that_cannot_be_trained_on_are_explained(tmp_path, table, section, words):
    with pytest.raises(UserError) as caught:
        prepared(tmp_path, table, **section)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("lookback", "horizon", "words"),
    [
        (24, 11, "model.horizon: 11 steps are more than the validation split's 10. Lower model.horizon, or give"),
        (24, 10, None),
        (1000, 10, None),  # shorter histories are padded
    ],
)
def test_a_horizon_longer_than_a_part_is_explained(tmp_path, lookback, horizon, words):
    data = prepared(tmp_path, hourly(100).drop(columns="id"))
    if words is None:
        assert check_windows(data, lookback=lookback, horizon=horizon)["train"]["windows"] > 0
        return
    with pytest.raises(UserError) as caught:
        check_windows(data, lookback=lookback, horizon=horizon)
    assert words in str(caught.value)


def test_too_few_training_rows_for_any_window_are_explained(tmp_path):
    data = prepared(tmp_path, hourly(100).drop(columns="id"), split_rows=[10, 40, 50])
    with pytest.raises(UserError, match=r"train split has no window of lookback 5 \+ horizon 20 steps: .* 10 steps"):
        check_windows(data, lookback=5, horizon=20)


def test_further_data_meet_the_training_on_its_own_terms(tmp_path):
    table = hourly(300, ["a", "b"]).assign(kind="red")
    data = prepared(tmp_path, table, series="id", targets="x", future_covariates="y", static_categories="kind")
    recent = pd.concat(
        [
            hourly(60, ["b", "new"], seed=5, start="2024-02-01").assign(kind="red"),
            hourly(60, ["odd"], seed=6, start="2024-02-01").assign(kind="green"),
        ]
    )
    recent.loc[recent.time >= "2024-02-03", "x"] = np.nan  # the last 12 rows are future
    recent.to_csv(tmp_path / "recent.csv", index=False)
    section = SeriesSection(series="id", targets="x", future_covariates="y", static_categories="kind")
    further = read_further(section, data.dataset_info, str(tmp_path / "recent.csv"), Progress())
    assert further.ids == ["b", "new", "odd"]
    assert further.static[:, 0].tolist() == [1, 1, 0]
    assert further.dataset_info["unseen_series_named"] == ["new", "odd"]
    assert further.dataset_info["unknown_categories"] == 1
    np.testing.assert_allclose(further.scales.mean[0], data.scales.mean[1], rtol=1e-6)
    own = recent[recent.id == "new"].x
    np.testing.assert_allclose(further.scales.mean[1, 0], own.mean(), rtol=1e-5)

    batch = newest(further, history=72, horizon=24)
    for row, name in enumerate(further.ids):
        rows = recent[recent.id == name]
        np.testing.assert_array_equal(batch["history"][row, -48:], rows[["x", "y"]].head(48).to_numpy(np.float32))
        assert np.isnan(batch["history"][row, :-48]).all()
        np.testing.assert_array_equal(batch["future"][row, :12, 0], rows.y.tail(12).to_numpy(np.float32))
        assert np.isnan(batch["future"][row, 12:]).all()
        assert batch["timestamp"][row] == pd.Timestamp("2024-02-02 23:00").timestamp()


def test_reading_needs_no_tensorflow(tmp_path):
    hourly(60).drop(columns="id").to_csv(tmp_path / "data.csv", index=False)
    code = """
import sys
from pathlib import Path
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.data.series.data import SeriesData, newest, prepare, read_further
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.window_index import check_windows
folder = Path(sys.argv[1])
prepare(SeriesSection(), str(folder / "data.csv"), folder, Progress())
data = SeriesData.load(folder)
check_windows(data, lookback=4, horizon=2)
newest(read_further(SeriesSection(), data.dataset_info, str(folder / "data.csv"), Progress()), history=4, horizon=2)
print("tensorflow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False"
