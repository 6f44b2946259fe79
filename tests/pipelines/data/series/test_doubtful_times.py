"""Times that can be read and cannot be meant: rows ages apart, days and months exchanged, other calendars."""

import re
import shlex

import numpy as np
import pandas as pd
import pytest

from unroll.errors import UserError
from unroll.pipelines.data.series.data import SeriesData, prepare
from unroll.pipelines.tasks.forecasting.config import ForecastConfig
from unroll.pipelines.training.config import load_config
from unroll.pipelines.training.progress import Progress

DAYS = pd.date_range("2026-01-01", periods=100, freq="D")


def prepared(folder, times, *settings):
    pd.DataFrame({"time": times, "x": np.arange(float(len(times)))}).to_csv(folder / "data.csv", index=False)
    directory = folder / "prepared"
    directory.mkdir(exist_ok=True)
    prepare(load_config(ForecastConfig, None, settings).data, str(folder / "data.csv"), directory, Progress())
    return SeriesData.load(directory)


@pytest.mark.parametrize(("cell", "end"), [("1970-01-01", False), ("1900-01-01", True), ("2199-01-01", False)])
def test_rows_ages_apart_are_refused_and_can_be_named_as_missing(tmp_path, cell, end):
    times = [*DAYS.strftime("%Y-%m-%d")]
    times[50] = times[-1 if end else 20] = cell
    with pytest.raises(UserError, match=f"2 rows at {cell} and the other 98") as refused:
        prepared(tmp_path, times)
    setting = shlex.split(re.search(r"--set ('[^']+')", str(refused.value))[1])[0]
    data = prepared(tmp_path, times, setting)
    assert data.dataset_info["incomplete_rows"] == 2
    assert len(data.values) == 100 - end


def test_years_apart_that_a_series_begins_with_are_kept(tmp_path):
    assert len(prepared(tmp_path, [1990, 1993, *range(2000, 2020)]).values) == 30


@pytest.mark.parametrize("order", [1, -1])
def test_days_and_months_exchanged_in_part_are_refused(tmp_path, order):
    guessed = [f"{one:%Y-%d-%m}" if one.day <= 12 else f"{one:%Y-%m-%d}" for one in DAYS][::order]
    with pytest.raises(UserError, match=r"2026-\d\d-\d\d are in order only as 2026-\d\d-\d\d"):
        prepared(tmp_path, guessed)


def test_rows_in_no_order_are_sorted_as_ever(tmp_path):
    times = DAYS.strftime("%Y-%m-%d").to_numpy()
    np.random.default_rng(0).shuffle(times)
    assert len(prepared(tmp_path, times).values) == 100


def test_years_of_another_calendar_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"the newest time is 1404-04-01.*another calendar"):
        prepared(tmp_path, [f"{1400 + month // 12}-{month % 12 + 1:02}" for month in range(52)])


def test_years_of_two_digits_of_two_centuries_are_refused(tmp_path):
    months = pd.date_range("1930-01-01", "1950-01-01", freq="MS")
    with pytest.raises(UserError, match="2040-12-01, behind which 1941-01-01 comes: years of two digits"):
        prepared(tmp_path, months.strftime("%d.%m.%y"))
    prepared(tmp_path, pd.date_range("1985-01-01", "2015-01-01", freq="MS").strftime("%d.%m.%y"))
