"""Reading tables of series: formats, times, numbers, and what is said of those that cannot be read."""

import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unroll.errors import UserError
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.table import read_table
from unroll.pipelines.training.config import TaskConfig, load_config
from unroll.pipelines.training.progress import Progress

UNITS = pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
ZONES = pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
HOURS = pd.date_range("2024-03-30", periods=6, freq="h")
WIDE = pd.DataFrame({"time": HOURS.strftime("%Y-%m-%d %H:%M"), "a": [1.5, 2, None, 4, 5, 6], "b": range(6)})
UNIX = HOURS.as_unit("s").astype(np.int64).to_numpy()


def read(path, **section):
    with Progress().stage("reading") as stage:
        return read_table(SeriesSection(**section), str(path), stage)


def csv(folder, table, **options):
    file = folder / "data.csv"
    table.to_csv(file, index=False, **options)
    return file


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "tsv", "parquet"])
def test_formats_give_the_same_numbers(tmp_path, kind):
    file = tmp_path / f"data.{kind}"
    if kind == "parquet":
        WIDE.to_parquet(file, index=False)
    elif kind == "csv.gz":
        file.write_bytes(gzip.compress(WIDE.to_csv(index=False).encode()))
    else:
        WIDE.to_csv(file, index=False, sep="\t" if kind == "tsv" else ",")
    table = read(file)
    np.testing.assert_array_equal(table.times, UNIX)
    np.testing.assert_array_equal(table.values, WIDE[["a", "b"]].to_numpy(np.float32))
    assert table.roles.targets == ["a", "b"]


def test_a_folder_is_read_whole(tmp_path):
    WIDE.head(3).to_csv(tmp_path / "1.csv", index=False)
    WIDE.tail(3).to_parquet(tmp_path / "2.parquet", index=False)
    np.testing.assert_array_equal(read(tmp_path).times, UNIX)
    np.testing.assert_array_equal(read(tmp_path / "*.csv").times, UNIX[:3])


@pytest.mark.parametrize(
    "times",
    [
        UNIX,
        UNIX.astype(float),
        HOURS.strftime("%Y-%m-%dT%H:%M:%SZ"),
        HOURS.strftime("%Y-%m-%dT%H:%M:%S.000"),
        HOURS.tz_localize("UTC").tz_convert("Asia/Kolkata").strftime("%Y-%m-%d %H:%M:%S%z"),
        [f"{moment.isoformat()}" for moment in HOURS.tz_localize("UTC").tz_convert("Europe/Berlin")],
    ],
)
def test_times_of_all_kinds_become_unix_seconds(tmp_path, times):
    np.testing.assert_array_equal(read(csv(tmp_path, WIDE.assign(time=times))).times, UNIX)


def test_utc_offsets_are_reported(tmp_path):
    berlin = pd.date_range("2024-03-30 20:00", periods=12, freq="h", tz="UTC").tz_convert("Europe/Berlin")
    table = read(csv(tmp_path, pd.DataFrame({"time": [one.isoformat() for one in berlin], "x": 1.0})))
    assert table.dataset_info["utc_offsets"] == ["+01:00", "+02:00"]
    np.testing.assert_array_equal(np.diff(table.times), 3600)


def test_seconds_with_a_point_in_parquet(tmp_path):
    WIDE.assign(time=UNIX.astype(float)).to_parquet(tmp_path / "data.parquet")
    np.testing.assert_array_equal(read(tmp_path / "data.parquet").times, UNIX)


@UNITS
@ZONES
def test_timestamps_of_parquet_of_any_unit_and_zone(tmp_path, unit, zone):
    file = tmp_path / "data.parquet"
    times = HOURS.tz_localize("UTC").tz_convert(zone) if zone else HOURS
    pq.write_table(pa.table({"time": pa.array(times, pa.timestamp(unit, zone)), "x": np.arange(6)}), file)
    np.testing.assert_array_equal(read(file).times, UNIX)


@pytest.mark.parametrize(
    ("times", "section", "dates"),
    [
        (["2019", "2020", "2021"], {}, ["2019-01-01", "2020-01-01", "2021-01-01"]),
        (["20240131", "20240201", "20240202"], {}, ["2024-01-31", "2024-02-01", "2024-02-02"]),
        (["2024-01", "2024-02", "2024-03"], {}, ["2024-01-01", "2024-02-01", "2024-03-01"]),
        (["2024-01-31", "2024-02-01 04:00:00"], {}, ["2024-01-31", "2024-02-01 04:00"]),
        (["31/01/2024", "01/02/2024"], {"time_format": "%d/%m/%Y"}, ["2024-01-31", "2024-02-01"]),
        (["04:00 31-01-2024"], {"time_format": "%H:%M %d-%m-%Y"}, ["2024-01-31 04:00"]),
    ],
)  # fmt: skip
def test_years_dates_and_named_formats(tmp_path, times, section, dates):
    table = read(csv(tmp_path, pd.DataFrame({"time": times, "x": 1.0})), **section)
    np.testing.assert_array_equal(table.times, pd.to_datetime(dates, format="ISO8601").as_unit("s").astype(np.int64))
    assert table.dataset_info["utc_offsets"] == []


@pytest.mark.parametrize(
    ("times", "form", "offsets"),
    [
        (["2024-01-01T04+02", "20240101T0600+0200"], None, ["+02", "+0200"]),
        (["2024-01-01 04:00 -05:30", "2024-01-01T04:00:00.000Z"], None, ["-05:30", "Z"]),
        (["04:00 31-01-2024 +0100"], "%H:%M %d-%m-%Y %z", ["+0100"]),
    ],
)
def test_offsets_are_found_however_they_are_written(tmp_path, times, form, offsets):
    table = read(csv(tmp_path, pd.DataFrame({"time": times, "x": 1.0})), time_format=form)
    expected = pd.to_datetime(pd.Series(times), format=form or "ISO8601", utc=True)
    np.testing.assert_array_equal(table.times, expected.dt.as_unit("s").astype(np.int64))
    assert table.dataset_info["utc_offsets"] == offsets


def test_missing_values_are_missing_and_infinite_ones_are_counted(tmp_path):
    values = ["1", "", "NA", "NaN", "null", "inf", "-inf", "7"]
    times = pd.date_range("2024", periods=8, freq="D").astype(str)
    table = read(csv(tmp_path, pd.DataFrame({"time": times, "x": values})), targets="x")
    np.testing.assert_array_equal(table.values[:, 0], [1, *[np.nan] * 6, 7])
    assert table.dataset_info["infinite"] == 2


def test_a_series_may_be_called_na_and_rows_without_time_or_id_are_counted(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text("time,id,x\n2024-01-01,NA,1\n,NA,2\n2024-01-02,,3\n2024-01-02,NA,4\n")
    table = read(file, series="id")
    assert table.ids == ["NA"]
    assert table.values[:, 0].tolist() == [1, 4]
    assert table.dataset_info["incomplete_rows"] == 2


def test_static_categories_belong_to_the_series(tmp_path):
    table = pd.DataFrame({"time": list(WIDE.time) * 2, "id": ["s"] * 6 + ["t"] * 6, "x": 1.0})
    table["kind"] = ["red"] * 6 + ["blue"] * 5 + ["red"]
    read_ = read(csv(tmp_path, table), series="id", static_categories="kind")
    names, numbers = read_.statics["kind"]
    assert [names[number] for number in numbers] == ["red", "red"]
    assert read_.dataset_info["static_conflicts"] == {"kind": 1}


def test_columns_of_text_are_ignored_and_named(tmp_path):
    late = ["1", "", " 2.5e-3", "-inf", "n/k", "6"]
    table = read(csv(tmp_path, WIDE.assign(note="fine", late=late, day=HOURS.strftime("%Y-%m-%d"))))
    assert table.roles.targets == ["a", "b"]
    said = ["note (row 2: 'fine')", "late (row 6: 'n/k')", "day (row 2: '2024-03-30')"]
    assert table.dataset_info["ignored_columns"] == said
    file = tmp_path / "data.parquet"
    WIDE.assign(late=late, lists=[[1]] * 6).to_parquet(file, index=False)
    assert read(file).dataset_info["ignored_columns"] == ["late (row 5: 'n/k')", "lists"]
    assert read(file, targets="a").dataset_info["ignored_columns"] == ["b", "late", "lists"], "left out on purpose"


def text(*lines):
    return "\n".join(["time,id,x,y", *lines, ""])


@pytest.mark.parametrize(
    ("content", "section", "words"),
    [
        (text("2024-01-01,s,1,2", "soon,s,1,2"), {}, ["row 3, column 'time'", "Received: 'soon'", "time_format"]),
        (text("2024-13-01,s,1,2"), {}, ["row 2", "'2024-13-01'"]),
        (text("2024-01-01 00:00,s,1,2", "2024-01-01 01:00+02:00,s,1,2"), {}, ["mixes times with a UTC offset"]),
        (text("17117568000000000000,s,1,2"), {}, ["column 'time'", "numbers from 1.71175", "seconds since 1970"]),
        (text("2024-01-01,s,1,2", '2024-01-02,s,"1,5",2'), {"targets": "x"}, ["row 3, column 'x'", "'1,5'"]),
        (text("2024-01-01,s,1,2"), {"time": "date"}, ["no column 'date'", "'time', 'id', 'x', 'y'", "data.time"]),
        (text("2024-01-01,s,1,2"), {"past_covariates": "z"}, ["no column 'z'", "data.past_covariates"]),
        (text("2024-01-01,s,1,2"), {"past_covariates": ["x", "y"]}, ["no column of numbers is left", "data.targets"]),
        ("time,x\n2024-01-01,1\n2024-01-02,n/k\n", {}, ["no column of numbers is left", "x (row 3: 'n/k')"]),
        (text("2024-01-01,s,1,2"), {"encoding": "klingon"}, ["data.encoding"]),
        (text(",s,1,2", ",s,1,2"), {}, ["none of 2 rows has a time in column 'time'"]),
        (text(), {}, ["holds no rows, only a header"]),
        ("time,x,x\n2024,1,2\n", {}, ["2 columns 'x'"]),
        ("", {}, ["is empty"]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_explained(tmp_path, content, section, words):
    file = tmp_path / "data.csv"
    file.write_text(content)
    with pytest.raises(UserError) as caught:
        read(file, **section)
    for word in [*words, "data"]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("column", "words"), [(["1", "two"], "row 2, column 'x'"), ([[1], [2]], "holds no numbers")])
def test_columns_of_parquet_that_are_no_numbers_are_explained(tmp_path, column, words):
    file = tmp_path / "data.parquet"
    pq.write_table(pa.table({"time": ["2024-01-01", "2024-01-02"], "x": column}), file)
    with pytest.raises(UserError, match=words):
        read(file, targets="x")


class Config(TaskConfig):
    data: SeriesSection = SeriesSection()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (["data.targets=x", "data.past_covariates=[x]"], "column 'x' is named by data.targets and by data.past_cov"),
        (["data.series=id", "data.columns=series"], "data.columns=series is for wide tables"),
        (["data.static_categories=kind"], "name it with data.series"),
        (["data.frequency=hourly"], "takes a count and a unit"),
        (["data.time_format=dd/mm/yyyy"], "takes a format such as '%d/%m/%Y %H:%M', or one of iso, day_first"),
        (["data.time_format=%d.%m %H:%M"], "lacks the year"),
        (["data.time_format=%Y-%m-%d %Y/%m/%d"], "has %Y twice. Give one format"),
        (["data.split_rows=[0.9, 0.2, 0.2]"], "three counts of rows, or three fractions that sum to at most 1"),
        (["data.split_rows=[0.9, 0.1]"], "data.split_rows"),
        (["data.target=x"], "data.target: unknown. Did you mean data.targets"),
    ],
)
def test_sections_that_contradict_themselves_are_explained(override, words):
    with pytest.raises(UserError) as caught:
        load_config(Config, overrides=override)
    assert words.lower() in str(caught.value).lower()
    assert "configuration key data" in str(caught.value)
    assert "Value error" not in str(caught.value)
    assert "{" not in str(caught.value), "a whole section is not what was received"
