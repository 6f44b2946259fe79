"""Times put together from several columns."""

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from unroll.errors import UserError
from unroll.monitoring.times.row_parser import RowParser

FILE = Path("data.csv")
DATE, NEXT = datetime.date(2024, 1, 31), datetime.date(2024, 2, 1)
TOGETHER = {
    "day and time": (
        {"Date": ["31/01/2024", "01/02/2024"], "Time": ["18:00:00", "24:00"]},
        "2024-01-31T18:00 2024-02-02",
    ),
    "with points": (
        {"Date": ["31.1.2024", "1.2.2024"], "Time": ["18.00.00", "9.30.00"]},
        "2024-01-31T18:00 2024-02-01T09:30",
    ),
    "of twelve hours": ({"d": ["2024-01-31"] * 2, "t": ["12:15 a.m.", "1:15 PM"]}, "2024-01-31T00:15 2024-01-31T13:15"),
    "digits": ({"date": [20240131, 20240201], "time": [930, 1330]}, "2024-01-31T09:30 2024-02-01T13:30"),
    "digits with seconds": (
        {"date": [20240131, 20240201], "time": [93000, 133015]},
        "2024-01-31T09:30 2024-02-01T13:30:15",
    ),
    "a workbook's numbers": ({"day": [45322, 45323], "time": [0.5, 0.041666667]}, "2024-01-31T12:00 2024-02-01T01:00"),
    "a workbook's times of day": (
        {"day": ["2024-01-31 00:00:00", "2024-02-01 00:00:00"], "time": ["1899-12-30 13:00:00", "1900-01-01 01:00:00"]},
        "2024-01-31T13:00 2024-02-01T01:00",
    ),
    "Parquet's types": (
        {"day": [DATE, NEXT], "time": [datetime.time(13, 5), datetime.time(0)]},
        "2024-01-31T13:05 2024-02-01",
    ),
    "hour ending": ({"day": [DATE, DATE], "hour": [1, 24]}, "2024-01-31T01:00 2024-02-01"),
    "time first": ({"t": ["13:00", "14:00"], "d": ["31.01.2024", "1.2.2024"]}, "2024-01-31T13:00 2024-02-01T14:00"),
    "of intervals the start": (
        {"d": [DATE, NEXT], "t": ["01:00 - 02:00", "02:00 - 03:00"]},
        "2024-01-31T01:00 2024-02-01T02:00",
    ),
    "year to hour": (
        {"year": [2024, 2024], "month": [1, 2], "day": [31, 1], "hour": [23, 0]},
        "2024-01-31T23:00 2024-02-01",
    ),
    "in German, in another order": (
        {"Tag": [31, 1], "Monat": ["Jan", "Feb"], "Jahr": [2024, 2024], "Stunde": [5, 6], "Minute": [30, 45]},
        "2024-01-31T05:30 2024-02-01T06:45",
    ),
    "without names": ({"a": [2024, 2024], "b": [1, 2], "c": [31, 1]}, "2024-01-31 2024-02-01"),
    "two digits": ({"DD": [31, 1], "MM": [1, 2], "YY": ["99", "00"]}, "1999-01-31 2000-02-01"),
    "year and quarter": ({"year": [1990, 1991], "quarter": [4, 1]}, "1990-10-01 1991-01-01"),
    "year and week": ({"year": [2020, 2021], "KW": [53, 1]}, "2020-12-28 2021-01-04"),
    "year, day of the year": ({"yr": [2024, 2024], "doy": [366, 1], "hr": [0, 1]}, "2024-12-31 2024-01-01T01:00"),
}


def read(cells, **options):
    parser = RowParser(list(cells), **options)
    return parser, parser.parse([pa.array(column) for column in cells.values()], FILE, 2)


@pytest.mark.parametrize("name", TOGETHER)
def test_times_are_put_together(name):
    cells, expected = TOGETHER[name]
    parser, times = read(cells)
    np.testing.assert_array_equal(times.micros, np.array(expected.split(), "datetime64[us]").astype(np.int64))
    assert parser.told[0].startswith("Times are put together from ")
    coded = [pa.array(column).dictionary_encode() for column in cells.values()]
    np.testing.assert_array_equal(RowParser(list(cells)).parse(coded, FILE, 2).micros, times.micros)


def test_a_row_that_lacks_a_part_has_no_time():
    _, times = read({"Date": ["31.01.2024", None, "?", "01.02.2024"], "Time": ["18:00", "1:00", "1:00", "?"]})
    assert times.missing.tolist() == [False, True, True, True]


def test_the_time_of_day_may_have_an_offset():
    _, times = read({"d": ["2024-01-31", "2024-02-01"], "t": ["13:00+01:00", "00:00+02:00"]})
    assert times.offsets.tolist() == [3600, 7200]
    assert times.micros.astype("datetime64[us]").astype(str).tolist()[1] == "2024-01-31T22:00:00.000000"


@pytest.mark.parametrize("form", ["day_first", "%d/%m/%Y %H:%M"])
def test_a_form_that_is_stated_settles_the_day(form):
    cells = {"d": ["01/02/2024", "02/02/2024"], "t": ["13:00", "14:00"]}
    _, times = read(cells, format=form)
    assert times.micros.astype("datetime64[us]").astype("datetime64[m]").astype(str).tolist()[0] == "2024-02-01T13:00"
    with pytest.raises(UserError, match=r"data\.time_format=day_first"):
        read(cells)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"year": [2024, 2024], "month": [2, 2], "day": [29, 30]}, ["row 3", "2024, 2, 30"]),
        ({"d": [DATE, NEXT], "t": ["13:00", "25:00"]}, ["row 3", "2024-02-01, 25:00"]),
        ({"a": [31, 1], "b": [1, 2], "c": [2024, 2024]}, ["order year, month, day"]),
        ({"year": [2024], "day": [3]}, ["year, day, which do not make a time"]),
        ({"year": [2024], "hour": [3]}, ["year, hour, which do not make a time"]),
        ({"d": ["2024-01-31 05:00"], "t": ["13:00"]}, ["times of day already", "data.time=d"]),
        ({"d": ["01/02/2024", "02/02/2024"], "t": ["1:00", "2:00"]}, ["column 'd'", "day_first) or", "month_first"]),
    ],
)
def test_columns_that_make_no_time_are_refused(cells, words):
    with pytest.raises(UserError) as refused:
        read(cells)
    for word in [*words, "data.csv"]:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    "columns",
    [
        {"Jahr": [2024, None, None, None, 2025, None, None], "Monat": [1, 2, 3, 4, 1, 2, 3]},
        {"day": ["2024-01-01", None, None, "2024-01-02", None, None], "hour": [0, 8, 16, 0, 8, 16]},
    ],
)
def test_a_part_that_stands_only_in_the_first_of_its_rows_is_refused(columns):
    first, *_ = columns
    rows = len(columns[first])
    with pytest.raises(UserError, match=rf"'{first}' is blank in \d of {rows} rows .* fill it down"):
        RowParser(list(columns)).parse([pa.array(column) for column in columns.values()], Path("a.csv"), 2)


def test_a_row_without_a_part_has_no_time():
    columns = [pa.array([2024, None, 2024]), pa.array([1, 2, 3])]
    assert RowParser(["year", "month"]).parse(columns, Path("a.csv"), 2).missing.tolist() == [False, True, False]
