"""Rows that are not records of one series: sums between others, times that come again, and what is said of times."""

import re
import shlex

import numpy as np
import pandas as pd
import pytest

from unroll.errors import UserError
from unroll.pipelines.data.series.data import SeriesData, prepare
from unroll.pipelines.data.series.summary import summary
from unroll.pipelines.data.series.window_index import check_windows
from unroll.pipelines.tasks.forecasting.config import ForecastConfig
from unroll.pipelines.training.config import load_config
from unroll.pipelines.training.progress import Progress

HOURS = pd.date_range("2024-01-01", periods=96, freq="h")


def prepared(folder, table, *settings):
    table.to_csv(folder / "data.csv", index=False)
    directory = folder / "prepared"
    directory.mkdir(exist_ok=True)
    prepare(load_config(ForecastConfig, None, settings).data, str(folder / "data.csv"), directory, Progress())
    return SeriesData.load(directory)


def said(data):
    return summary(data.dataset_info, check_windows(data, lookback=4, horizon=2))


def pasted(refused):
    """The settings that a refusal names, as a shell reads them."""
    words = shlex.split(" ".join(re.findall(r"--set (?:'[^']+'|\S+)", str(refused.value))))
    return [word.rstrip(",.;)") for word in words if word != "--set"]


@pytest.mark.parametrize(
    ("times", "settings", "span"),
    [
        (HOURS.strftime("%Y-%m-%d %H:%M"), [], "From 2024-01-01 00:00 to 2024-01-04 23:00."),
        (HOURS.strftime("%F %H:%MZ"), ["data.timezone=Europe/Berlin"], "From 2024-01-01 01:00 to 2024-01-05 00:00."),
        (pd.date_range("2020-01-01", periods=40, freq="MS").strftime("%Y-%m"), [], "From 2020-01-01 to 2023-04-01."),
        (pd.date_range("2024-01-01", periods=40, freq="15s"), [], "From 2024-01-01 00:00:00 to 2024-01-01 00:09:45."),
    ],
)  # fmt: skip
def test_the_first_and_the_last_time_are_said(tmp_path, times, settings, span):
    data = prepared(tmp_path, pd.DataFrame({"time": times, "x": np.arange(float(len(times)))}), *settings)
    assert span in said(data).splitlines()[0]


def test_the_first_and_the_last_time_are_those_of_all_series(tmp_path):
    early = pd.DataFrame({"time": HOURS[:50], "id": "a", "x": 1.0 * np.arange(50)})
    late = pd.DataFrame({"time": HOURS[40:], "id": "b", "x": 1.0 * np.arange(56)})
    data = prepared(tmp_path, pd.concat([late, early]), "data.series=id")
    assert "From 2024-01-01 00:00 to 2024-01-04 23:00." in said(data)


def test_numbered_rows_have_no_first_time(tmp_path):
    data = prepared(tmp_path, pd.DataFrame({"x": np.arange(60.0)}), "data.time=null", "data.rate=10")
    assert "From" not in said(data)


@pytest.mark.parametrize(
    "cell",
    ["Subtotal 2024-01-02", "Zwischensumme 2024-01-02", "Mean 2024-01-02", "2024-01-02 Total", "Sum, 2024-01-02"],
)
def test_a_word_beside_a_date_makes_a_sum_of_it(tmp_path, cell):
    times = [*HOURS.strftime("%Y-%m-%d %H:%M:%S")]
    times.insert(24, cell)
    table = pd.DataFrame({"time": times, "x": np.arange(97.0)})
    with pytest.raises(UserError, match=f"row 26.*{cell}.*Rows of sums") as refused:
        prepared(tmp_path, table)
    data = prepared(tmp_path, table, *pasted(refused))
    assert (data.dataset_info["incomplete_rows"], len(data.values)) == (1, 96)


@pytest.mark.parametrize("form", ["%a %Y-%m-%d", "%A, %d.%m.%Y", "%a. %d %b %Y"])
def test_a_weekday_beside_a_date_is_read(tmp_path, form):
    days = pd.date_range("2024-01-01", periods=40, freq="D")
    data = prepared(tmp_path, pd.DataFrame({"time": days.strftime(form), "x": np.arange(40.0)}))
    assert (data.start[0], len(data.values)) == (days[0].timestamp(), 40)


@pytest.mark.parametrize("first", [0, 12])
def test_a_clock_of_twelve_hours_is_refused(tmp_path, first):
    hours = HOURS.hour % 12
    times = [f"{hour:%Y-%m-%d} {one or first:02}:00" for hour, one in zip(HOURS, hours, strict=True)]
    with pytest.raises(UserError, match="12-hour clock without AM and PM"):
        prepared(tmp_path, pd.DataFrame({"time": times, "x": np.arange(96.0)}))


def readings(days):
    """Two stations, each with two variables."""
    rows = [(day, station, kind) for day in days for station in ("0012", "0013") for kind in ("TMAX", "TMIN")]
    table = pd.DataFrame(rows, columns=["date", "station", "variable"])
    return table.assign(value=np.arange(float(len(rows))))


def test_two_columns_of_ids_are_refused(tmp_path):
    table = readings(pd.date_range("2024-01-01", periods=50))
    with pytest.raises(UserError, match=r"200 rows have 100 .*: column 'variable' tells them apart"):
        prepared(tmp_path, table, "data.time=date", "data.series=station")
    table["both"] = table.station + " " + table.variable
    assert len(prepared(tmp_path, table, "data.time=date", "data.series=both").ids) == 4


def test_some_series_more_among_the_rows_of_one_are_refused_by_their_column(tmp_path):
    table = pd.DataFrame({"time": HOURS, "meter": "a", "x": np.arange(96.0)})
    table = pd.concat([table, table[:32].assign(meter="b", x=7.0)]).sort_values("time")
    with pytest.raises(UserError, match=r"128 rows have 96 .*'meter'") as refused:
        prepared(tmp_path, table)
    assert pasted(refused) == ["data.series=meter"]
    assert len(prepared(tmp_path, table, *pasted(refused)).ids) == 2


def test_rows_that_are_written_twice_are_read_once(tmp_path):
    table = pd.DataFrame({"time": HOURS, "x": np.arange(96.0)})
    data = prepared(tmp_path, pd.concat([table, table[::3]]))
    assert (data.dataset_info["exact_duplicates"], len(data.values)) == (32, 96)


def test_words_for_missing_values_add_up_from_remedy_to_remedy(tmp_path):
    table = pd.DataFrame({"time": HOURS, "a": np.arange(96.0).astype(str), "b": np.arange(96.0).astype(str)})
    table.loc[20, "a"], table.loc[30, "b"] = "Bad Input", "[-11059] No Good Data"
    with pytest.raises(UserError, match="Bad Input") as first:
        prepared(tmp_path, table)
    with pytest.raises(UserError, match="No Good Data") as second:
        prepared(tmp_path, table, *pasted(first))
    assert np.isnan(prepared(tmp_path, table, *pasted(second)).values).sum() == 2


def test_a_column_of_one_number_is_no_target_unless_it_is_named(tmp_path):
    table = pd.DataFrame({"time": HOURS, "STATIONS_ID": 433, "x": np.arange(96.0), "quality": 3.0})
    data = prepared(tmp_path, table)
    assert data.dataset_info["targets"] == ["x"]
    assert "Columns of one number throughout, left out: STATIONS_ID, quality;" in said(data)
    assert prepared(tmp_path, table, "data.targets=[quality, x]").dataset_info["targets"] == ["quality", "x"]
    assert prepared(tmp_path, table[["time", "quality"]]).dataset_info["targets"] == ["quality"]


def test_titles_of_several_widths_are_skipped_as_the_refusal_says(tmp_path):
    lines = [f"{hour:%F %H:%M};a;{number}" for number, hour in enumerate(HOURS)]
    file = tmp_path / "data.csv"
    file.write_text("\n".join(["Load", "North;kW", "Source", "time;name;x", *lines]))
    section = load_config(ForecastConfig, None, ["data.delimiter=;", "data.skip_rows=0"]).data
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"row 4: --set data\.skip_rows=3"):
        prepare(section.model_copy(update={"time": "Load"}), str(file), tmp_path / "out", Progress())
    prepare(section.model_copy(update={"skip_rows": 3}), str(file), tmp_path / "out", Progress())


def test_a_count_that_would_begin_long_ago_is_told_with_its_first_time(tmp_path):
    days = [f"{(45292 + hour / 24) * 1e6:.4f}" for hour in range(96)]
    with pytest.raises(UserError, match="milliseconds since 1970 in UTC, the first of them 1971-06-09"):
        prepared(tmp_path, pd.DataFrame({"time": days, "x": np.arange(96.0)}))
