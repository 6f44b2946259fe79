"""Prices on trading days: holidays of an exchange are no steps, in files, in grids and in graphs."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from unroll.errors import UserError
from unroll.models.series.stepping import shown
from unroll.monitoring.times.frequency import Frequency
from unroll.monitoring.times.holidays import holiday_days
from unroll.pipelines.data.series.clock.graph_step import graph_step
from unroll.pipelines.data.series.data import SeriesData, prepare, read_further
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.training.progress import Progress

WEEK = (0, 1, 2, 3, 4)


def trading(start, end, *calendars):
    """Days from Monday to Friday that are holidays of none of these."""
    days = pd.bdate_range(start, end)
    off = np.concatenate([[], *(holiday_days(name) for name in calendars)])
    return days[~np.isin(days.to_numpy().astype("datetime64[D]").astype(np.int64), off)]


def written(folder, days):
    table = pd.DataFrame({"time": days.strftime("%Y-%m-%d"), "close": np.arange(float(len(days)))})
    table.to_csv(folder / "data.csv", index=False)
    return str(folder / "data.csv")


def prepared(folder, days, **section):
    directory = folder / "prepared"
    directory.mkdir(exist_ok=True)
    prepare(SeriesSection(**section), written(folder, days), directory, Progress())
    return SeriesData.load(directory)


@pytest.mark.parametrize(
    ("exchange", "section", "name"),
    [
        ("NYSE", {}, "1B:NYSE"),
        ("XLON", {}, "1B:XLON"),
        ("XJPX", {}, "1B:XJPX"),
        ("XWAR", {"holidays": "XWAR"}, "1B:XWAR"),
        ("DE-BY", {"holidays": "DE-BY"}, "1B:DE-BY"),
        ("NYSE", {"frequency": "1B:NYSE"}, "1B:NYSE"),
    ],
)
def test_holidays_of_an_exchange_are_no_steps(tmp_path, exchange, section, name):
    days = trading("2021-01-04", "2023-09-08", exchange)
    data = prepared(tmp_path, days, **section)
    assert data.frequency.name == name
    assert data.dataset_info["gaps"] == 0
    np.testing.assert_array_equal(data.values[:, 0], np.arange(len(days)))
    stamps = data.frequency.advance(int(data.start[0]), np.arange(len(days) + 90))
    after = trading("2023-09-11", "2024-06-01", exchange)[:90]
    np.testing.assert_array_equal(stamps.astype("datetime64[s]"), days.append(after).to_numpy().astype("datetime64[s]"))
    said = any(f"without the holidays of {name[3:]}" in note for note in data.dataset_info["steps_told"])
    assert said == ("frequency" not in section)


def test_a_day_without_a_row_that_is_no_holiday_is_a_missing_value(tmp_path):
    days = trading("2021-01-04", "2023-09-08", "NYSE").delete([100, 200])
    data = prepared(tmp_path, days)
    assert data.frequency.name == "1B:NYSE"
    assert np.flatnonzero(np.isnan(data.values[:, 0])).tolist() == [100, 200]


def test_holidays_on_which_rows_lie_stay_steps(tmp_path):
    days = trading("2021-01-04", "2023-09-08", "XETR")  # which trades on some days that Germany has off
    data = prepared(tmp_path, days, holidays="DE")
    assert data.frequency.name == "1B"
    assert any("stay steps" in note and "data.frequency=1B:DE" in note for note in data.dataset_info["steps_told"])
    days = pd.bdate_range("2021-01-04", "2023-09-08").delete([10, 57, 99, 140, 300])  # without a row for other reasons
    assert prepared(tmp_path, days).frequency.name == "1B"


def test_a_step_of_all_days_can_be_stated(tmp_path):
    data = prepared(tmp_path, trading("2021-01-04", "2023-09-08", "NYSE"), frequency="1B", holidays="NYSE")
    assert data.frequency.name == "1B"
    assert data.dataset_info["gaps"] == 25


def test_later_rows_on_a_holiday_are_left_out_and_said(tmp_path):
    data = prepared(tmp_path, trading("2021-01-04", "2023-09-08", "NYSE"))
    days = pd.bdate_range("2023-06-26", "2023-07-07")
    further = read_further(SeriesSection(), data.dataset_info, written(tmp_path, days), Progress())
    assert further.dataset_info["rows"] == 10
    assert len(further.values) == 9
    assert any(
        "holidays of NYSE, such as 2023-07-04: 1, left out" in note for note in further.dataset_info["steps_told"]
    )


@pytest.mark.parametrize("name", ["1B:NYSE", "1B:Sun-Thu:IL", "1B:DE-BY", "1B"])
def test_graphs_step_as_grids_do(name):
    frequency = Frequency.parse(name)
    assert Frequency.parse(frequency.name) == frequency
    starts = frequency.advance(int(np.datetime64("2024-06-24", "s").astype(int)), np.array([0, 3, 127]))
    steps = np.arange(-300, 300)
    expected = np.stack([frequency.advance(int(start), steps) for start in starts])
    graph = shown(tf.constant(starts), tf.constant(steps), **graph_step(frequency))
    np.testing.assert_array_equal(graph, expected)
    assert (np.diff(expected, axis=1) > 0).all()
    for start, times in zip(starts, expected, strict=True):
        np.testing.assert_array_equal(frequency.steps_after(int(start), times), steps)
        np.testing.assert_array_equal(frequency.ordinal(times) - frequency.ordinal(start), steps)
        assert frequency.floor(int(frequency.ordinal(start))) == start


def test_a_calendar_that_is_not_there_is_refused():
    with pytest.raises(UserError, match=r"data\.holidays.*Received: 'MOON'"):
        Frequency.parse("1B:MOON")


@pytest.mark.parametrize(
    ("off", "keys", "words"),
    [
        (
            [],
            {"holidays": "DE"},
            "known for the horizon, too: 9 of 261 days of the data, the first 2025-01-01",
        ),
        (["NYSE"], {"holidays": "NYSE", "frequency": "1B:NYSE"}, "No step of 1B:NYSE falls on a holiday of NYSE"),
        (["XWAR"], {"holidays": "XWAR"}, "they are no covariate"),
        ([], {}, ""),
    ],
)
def test_the_run_says_what_a_calendar_of_holidays_is_good_for(tmp_path, off, keys, words):
    info = prepared(tmp_path, trading("2025-01-01", "2025-12-31", *off), **keys).dataset_info
    assert words in "\n".join(info["steps_told"])
    assert bool(words) == ("oliday" in "\n".join(info["steps_told"]))


def test_a_calendar_without_a_day_in_the_data_is_warned_of(tmp_path):
    info = prepared(tmp_path, pd.date_range("2025-06-23", "2025-09-30"), holidays="DE").dataset_info
    assert "Warning: no step of the data falls on a holiday of DE" in "\n".join(info["steps_told"])
