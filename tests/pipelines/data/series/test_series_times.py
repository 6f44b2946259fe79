"""Files of series whose times are written otherwise than in ISO 8601, from the file to the grid."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from unroll.errors import UserError
from unroll.monitoring.actuals import Actuals
from unroll.monitoring.features.series import SeriesFeature
from unroll.pipelines.data.series.data import SeriesData, prepare, read_further
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.summary import summary
from unroll.pipelines.data.series.window_index import check_windows
from unroll.pipelines.training.config import TaskConfig, load_config
from unroll.pipelines.training.progress import Progress

HOURS = pd.date_range("2024-01-01", periods=400, freq="h")
MONTHS = pd.date_range("2010-02-01", periods=120, freq="MS")
WEEKS = pd.date_range("2018-01-01", periods=200, freq="7D")


def prepared(folder, table, **section):
    directory = folder / "prepared"
    directory.mkdir()
    table.to_csv(folder / "data.csv", index=False)
    prepare(SeriesSection(**section), str(folder / "data.csv"), directory, Progress())
    return SeriesData.load(directory)


def column(times):
    return pd.DataFrame({"time": times, "x": np.arange(float(len(times)))})


FILES = {
    "Excel": (column([f"{45292 + hour / 24:.5f}" for hour in range(400)]), HOURS, "1h", "Excel's day numbers"),
    "American": (column(HOURS.strftime("%m/%d/%Y %I:%M %p")), HOURS, "1h", "month before day"),
    "milliseconds": (column(HOURS.as_unit("ms").astype(np.int64)), HOURS, "1h", "milliseconds since 1970"),
    "a number a month": (column(MONTHS.strftime("%Y%m")), MONTHS, "1M", "'%Y%m'"),
    "decimal years": (column([f"{2010 + m / 12:.3f}" for m in range(1, 121)]), MONTHS, "1M", "years with a fraction"),
    "names of months": (column(MONTHS.strftime("%b-%y")), MONTHS, "1M", "month by its name"),
    "weeks": (column(WEEKS.strftime("%G-W%V")), WEEKS, "1W", "weeks"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_what_was_found_is_said(tmp_path, name):
    table, times, frequency, words = FILES[name]
    data = prepared(tmp_path, table)
    assert data.frequency.name == frequency
    assert len(data.values) == len(times)
    assert data.dataset_info["gaps"] == 0
    assert data.start[0] == times[0].timestamp()
    windows = check_windows(data, lookback=4, horizon=2)
    (line,) = [line for line in summary(data.dataset_info, windows).splitlines() if line.startswith("Times are read")]
    assert words in line
    stated = line.partition("--set data.time_format=")[2].partition(" ")[0]
    again = tmp_path / "again"
    again.mkdir()
    prepare(SeriesSection(time_format=stated), str(tmp_path / "data.csv"), again, Progress())
    np.testing.assert_array_equal(SeriesData.load(again).start, data.start)


def test_times_in_several_columns(tmp_path):
    parts = {part: getattr(HOURS, part) for part in ("year", "month", "day", "hour")}
    data = prepared(tmp_path, pd.DataFrame({**parts, "x": range(400)}), time=list(parts), targets="x")
    assert data.frequency.name == "1h"
    assert data.dataset_info["notes"] == [
        "Times are put together from year (year), month (month), day (day), hour (hour)."
    ]
    assert data.dataset_info["targets"] == ["x"]


def test_what_the_first_rows_leave_open_later_ones_tell(tmp_path):
    times = pd.date_range("2024-02-01", periods=400, freq="h")
    table = column(times.strftime("%d/%m/%Y %H:%M")).assign(
        note="long " * 2000
    )  # the 13th is beyond what is read first
    data = prepared(tmp_path, table, targets="x")
    assert data.start[0] == times[0].timestamp()
    assert data.dataset_info["gaps"] == 0


def test_later_files_are_read_as_the_training_data_was(tmp_path):
    data = prepared(tmp_path, column(HOURS.strftime("%d/%m/%Y %H:%M")))
    recent = column(pd.date_range("2024-02-01", periods=30, freq="h").strftime("%d/%m/%Y %H:%M"))
    recent.to_csv(tmp_path / "recent.csv", index=False)
    further = read_further(SeriesSection(), data.dataset_info, str(tmp_path / "recent.csv"), Progress())
    assert further.start[0] == pd.Timestamp("2024-02-01").timestamp()
    feature = SeriesFeature(("x",), 24, 48, 0, 2, seconds=3600, time_form=data.dataset_info["time_form"])
    times = Actuals.read(tmp_path / "recent.csv", feature).series[""][0]
    assert times[0] == pd.Timestamp("2024-02-01", tz="UTC").timestamp()
    with pytest.raises(UserError, match=r"day_first.*month_first"):
        Actuals.read(tmp_path / "recent.csv", dataclasses.replace(feature, time_form=None))


def test_labels_may_have_their_times_in_several_columns(tmp_path):
    recent = pd.DataFrame({"day": HOURS.date, "hour": HOURS.hour, "x": range(400)})
    recent.to_csv(tmp_path / "recent.csv", index=False)
    feature = SeriesFeature(("x",), 24, 48, 0, 2, seconds=3600, time_column=("day", "hour"))
    times = Actuals.read(tmp_path / "recent.csv", feature).series[""][0]
    np.testing.assert_array_equal(times, HOURS.as_unit("s").astype(np.int64))


class Config(TaskConfig):
    data: SeriesSection = SeriesSection()


@pytest.mark.parametrize(
    ("setting", "columns"),
    [("time", ["time"]), ("[time]", ["time"]), ("[Date, Time]", ["Date", "Time"]), ("[2024, 1]", ["2024", "1"])],
)
def test_one_column_or_several_are_named(setting, columns):
    assert load_config(Config, overrides=[f"data.time={setting}"]).data.time_columns == columns


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.time=[]", "configuration key data.time: takes the name of a column"),
        ("data.time_format=['%d.%m.%Y','%Y-%m-%d']", "configuration key data.time_format: takes one format"),
    ],
)
def test_times_that_cannot_be_named_so_are_refused(override, words):
    with pytest.raises(UserError, match=words):
        load_config(Config, overrides=[override])
