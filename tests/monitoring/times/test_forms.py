"""Columns of times in the forms that files have them in, and what is said of those that cannot be told."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from unroll.errors import UserError
from unroll.monitoring.times.forms.formats import FORMS, check_format
from unroll.monitoring.times.parser import TimeParser
from unroll.monitoring.times.row_parser import RowParser

FILE = Path("data.csv")
HOURS = pd.date_range("2024-01-30", periods=60, freq="h")
DAYS = pd.date_range("2023-11-20", periods=80, freq="D")
MONTHS = pd.date_range("2012-01-01", periods=40, freq="MS")
QUARTERS = pd.date_range("1990-01-01", periods=30, freq="QS")
WEEKS = pd.date_range("2020-01-06", periods=120, freq="7D")


def read(cells, **options):
    parser = TimeParser("time", **options)
    values = pa.array([None if cell is None else str(cell) for cell in cells])
    return parser, parser.parse(values.dictionary_encode(), FILE, 2)


def seconds(times):
    return pd.DatetimeIndex(times).as_unit("s").astype(np.int64).to_numpy()


def unix(times, factor=1):
    return [int(second) * factor for second in seconds(times)]


def quarters(form):
    return [form.format(y=one.year, q=one.quarter, yy=one.year % 100) for one in QUARTERS]


def weeks(form):
    return [form.format(y=one.isocalendar().year, w=one.isocalendar().week) for one in WEEKS]


FOUND = {
    "Excel's days": (range(45250, 45330), "excel", pd.date_range("2023-11-20", periods=80)),
    "Excel's hours of five decimals": ([f"{45321 + hour / 24:.5f}" for hour in range(60)], "excel", HOURS),
    "Excel's quarters of an hour with a comma": (
        [f"{45321 + step / 96:.6f}".replace(".", ",") for step in range(60)],
        "excel",
        pd.date_range("2024-01-30", periods=60, freq="15min"),
    ),
    "yyyymm": (MONTHS.strftime("%Y%m"), "%Y%m", MONTHS),
    "yyyymm of floats": ([f"{one}.0" for one in MONTHS.strftime("%Y%m")], "%Y%m", MONTHS),
    "yyyymmddhh": (HOURS.strftime("%Y%m%d%H"), "%Y%m%d%H", HOURS),
    "yyyymmddhhmm": (HOURS.strftime("%Y%m%d%H%M"), "%Y%m%d%H%M", HOURS),
    "yyyymmddhhmmss": (HOURS.strftime("%Y%m%d%H%M%S"), "%Y%m%d%H%M%S", HOURS),
    "yymmdd": (DAYS.strftime("%y%m%d"), "%y%m%d", DAYS),
    "ddmmyyyy that lost a zero": ([int(one) for one in DAYS.strftime("%d%m%Y")], "%d%m%Y", DAYS),
    "yyyyddd": (DAYS.strftime("%Y%j"), "%Y%j", DAYS),
    "yyyyww": (weeks("{y}{w:02}"), "week", WEEKS),
    "yyyyq": (quarters("{y}{q}"), "quarter", QUARTERS),
    "yyyy.mm": (MONTHS.strftime("%Y.%m"), "%Y.%m", MONTHS),
    "yyyy.mm of floats": ([float(one) for one in MONTHS.strftime("%Y.%m")], "%Y.%m", MONTHS),
    "years": (range(1871, 1971), "%Y", [f"{year}-01-01" for year in range(1871, 1971)]),
    "decimal years": ([f"{2012 + month / 12:.3f}" for month in range(40)], "decimal_year", MONTHS),
    "decimal years by days": (
        [f"{one.year + (one.dayofyear - 1) / (366 if one.is_leap_year else 365):.5f}" for one in MONTHS],
        "decimal_year",
        MONTHS,
    ),
    "decimal years in the middle of months": (
        ["1958.2027", "1958.2877", "1958.3699", "1958.4548", "1958.5370"],
        "decimal_year",
        pd.date_range("1958-03-01", periods=5, freq="MS"),
    ),
    "Unix seconds": (unix(HOURS), "unix", HOURS),
    "milliseconds": (unix(HOURS, 10**3), "unix_ms", HOURS),
    "microseconds": (unix(HOURS, 10**6), "unix_us", HOURS),
    "nanoseconds": (unix(HOURS, 10**9), "unix_ns", HOURS),
    "nanoseconds of floats": ([repr(1e9 * one) for one in unix(HOURS)], "unix_ns", HOURS),
    "JSON of .NET": ([f"/Date({one})/" for one in unix(HOURS, 10**3)], "unix_ms", HOURS),
    "month and year": (MONTHS.strftime("%m.%Y"), "month_year", MONTHS),
    "day first": (HOURS.strftime("%d.%m.%Y %H:%M"), "day_first", HOURS),
    "day first with points in the time": (HOURS.strftime("%d/%m/%Y %H.%M.%S"), "day_first", HOURS),
    "day first of two digits": (DAYS.strftime("%d-%m-%y"), "day_first", DAYS),
    "day first with a blank that does not break": (DAYS.strftime("\ufeff%d.%m.%Y\u00a0"), "day_first", DAYS),
    "day first though no day tells": (["01.02.2024", "02.02.2024"], "day_first", ["2024-02-01", "2024-02-02"]),
    "weekday": (DAYS.strftime("%a, %d.%m.%Y"), "day_first", DAYS),
    "month first": (HOURS.strftime("%m/%d/%Y %I:%M %p"), "month_first", HOURS),
    "month first with points": (
        ["1/31/2024 11 a.m.", "1/31/2024 noon", "1/31/2024 1 p. m.", "1/31/2024 midnight"],
        "month_first",
        ["2024-01-31 11:00", "2024-01-31 12:00", "2024-01-31 13:00", "2024-01-31"],
    ),
    "year of two digits first": (DAYS.strftime("%y-%m-%d"), "year_first", DAYS),
    "month's name and two digits": (MONTHS.strftime("%b-%y"), "month_name", MONTHS),
    "month's name": (MONTHS.strftime("%B %Y"), "month_name", MONTHS),
    "day, month's name": (DAYS.strftime("%d-%b-%Y"), "month_name", DAYS),
    "month's name, day": (DAYS.strftime("%b %d, %Y"), "month_name", DAYS),
    "mail": (HOURS.strftime("%a, %d %b %Y %H:%M:%S GMT"), "month_name", HOURS),
    "JavaScript": (
        [f"{one:%a %b %d %Y %H:%M:%S} GMT+0000 (Coordinated Universal Time)" for one in HOURS],
        "month_name",
        HOURS,
    ),
    "time of day first": (HOURS.strftime("%H:%M %d/%m/%Y"), "day_first", HOURS),
    "Chinese": ([f"{one.year}年{one.month}月{one.day}日 {one.hour}时" for one in HOURS], "iso", HOURS),
    "years of two digits before 1969": (
        pd.date_range("1955-01-01", periods=700, freq="MS").strftime("%b-%y"),
        "month_name",
        pd.date_range("1955-01-01", periods=700, freq="MS"),
    ),
    "SAS": (HOURS.strftime("%d%b%Y:%H:%M:%S"), "month_name", HOURS),
    "German": (["1. März 2024", "1. Mai 2024"], "month_name", ["2024-03-01", "2024-05-01"]),
    "French": (["févr. 2024", "août 2024", "déc. 2024"], "month_name", ["2024-02-01", "2024-08-01", "2024-12-01"]),
    "Spanish": (["3 de enero de 2024", "4 de abril de 2024"], "month_name", ["2024-01-03", "2024-04-04"]),
    "quarters": (quarters("{y}Q{q}"), "quarter", QUARTERS),
    "quarters with a line": (quarters("{y}-Q{q}"), "quarter", QUARTERS),
    "quarters first": (quarters("Q{q} {y}"), "quarter", QUARTERS),
    "weeks": (weeks("{y}-W{w:02}"), "week", WEEKS),
    "weeks and days": (weeks("{y}W{w:02}-1"), "week", WEEKS),
    "weeks without a letter": (weeks("{y}-{w:02}"), "week", WEEKS),
    "day of the year": (DAYS.strftime("%Y-%j"), "day_of_year", DAYS),
    "months of ISO": (MONTHS.strftime("%Y/%m"), "iso", MONTHS),
    "months of Eurostat": (MONTHS.strftime("%YM%m"), "iso", MONTHS),
    "BigQuery": (HOURS.strftime("%Y-%m-%d %H:%M:%S UTC"), "iso", HOURS),
    "Go": (HOURS.strftime("%Y-%m-%d %H:%M:%S +0000 UTC"), "iso", HOURS),
    "Java": (HOURS.strftime("%Y-%m-%dT%H:%MZ[Etc/UTC]"), "iso", HOURS),
    "compact": (HOURS.strftime("%Y%m%dT%H%MZ"), "iso", HOURS),
    "DB2": (HOURS.strftime("%Y-%m-%d-%H.%M.%S.000000"), "iso", HOURS),
    "intervals": (HOURS.strftime("%d.%m.%Y %H:%M - ") + HOURS.strftime("%d.%m.%Y %H:59"), "day_first", HOURS),
    "end of the day": (
        ["2024-01-31 23:00", "2024-01-31 24:00", "2024-02-01 01:00"],
        "iso",
        ["2024-01-31 23:00", "2024-02-01", "2024-02-01 01:00"],
    ),
    "leap second": (["2016-12-31 23:59:59", "2016-12-31 23:59:60"], "iso", ["2016-12-31 23:59:59", "2017-01-01"]),
    "dates and times": (["2024-01-31", "2024-01-31 13:00 UTC"], None, ["2024-01-31", "2024-01-31 13:00"]),
    "long ago and far ahead": (["1600-01-01", "2500-01-01T00:00"], "iso", ["1600-01-01", "2500-01-01"]),
    "seconds from a start": ([step / 256 for step in range(60)], "seconds", None),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_a_form_is_found_from_the_whole_column(name):
    cells, form, times = FOUND[name]
    if form is None:
        with pytest.raises(UserError, match="mixes times"):
            read(cells)
        return
    parser, found = read(cells)
    assert parser.form == form
    if times is not None:
        np.testing.assert_array_equal(found.micros, seconds(times) * 10**6)
    _, again = read(cells, format=form)
    np.testing.assert_array_equal(again.micros, found.micros)
    assert check_format(form) == form, "what is said can be stated"


def test_a_fraction_of_a_second_is_kept_to_the_microsecond():
    _, found = read([step / 256 for step in range(60)])
    np.testing.assert_array_equal(found.micros, np.round(np.arange(60) * 1e6 / 256))


def test_words_and_dates_that_stand_for_none_are_missing():
    _, found = read(["2024-01-01", "NaT", None, "0000-00-00", "infinity", " ", "NULL", "2024-01-02 24:00"])
    assert found.missing.tolist() == [False, True, True, True, True, True, True, False]


REFUSED = {
    "day or month": (["01/02/2024", "12/03/2024"], ["-02-01 (day_first) or 2024-01-02 (month_first)", "=day_first"]),
    "year or day": (["01-02-03", "04-05-06"], ["2003-02-01 (day_first)", "2001-02-03 (year_first)"]),
    "month or day": (["Jan-12", "Jan-13", "Jan-14"], ["'Jan-12'", "data.time_format=month_name"]),
    "months of one year or days": ([f"2012{month:02}" for month in range(1, 13)], ["(%Y%m)", "(%y%m%d)"]),
    "hours of one day or seconds": ([2024010100 + hour for hour in range(24)], ["(%Y%m%d%H)", "(unix)"]),
    "rows": (range(1, 50), ["numbers from 1 to 49", "count rows", "data.time=null"]),
    "hours from a start": ([hour / 24 for hour in range(50)], ["days or hours from some start", "data.time=null"]),
    "old Unix seconds": ([86400 * day for day in range(900, 990)], ["data.time_format=unix"]),
    "uneven days": ([44000, 44013, 44100, 44111], ["Excel", "data.time_format=excel"]),
    "days of Unix or of Excel": (range(22000, 22100), ["(excel)", "(unix_days)"]),
    "yyddd or Excel": (range(24001, 24300), ["(%y%j)", "(excel)"]),
    "days and months": (DAYS.strftime("%d%m"), ["'2011'", "'data.time_format=%Y %d%m'", "data.time_format=%y%m"]),
    "days and months, newest first": (DAYS[::-1].strftime("%d%m"), ["'data.time_format=%Y %d%m'"]),
    "months and days": (DAYS[40:].strftime("%m%d"), ["'data.time=[year, column]'", "'data.time_format=%Y %m%d'"]),
    "days and months as numbers": ([int(f"{one:%d%m}") for one in DAYS], ["four digits", "'data.time_format=%Y %d%m'"]),
    "seconds since 1904": (unix(HOURS + pd.DateOffset(years=66)), ["(labview) or 2090", "time_format=labview"]),
    "few digits": (["1.70407E+09", "1.70408E+09"], ["too few digits"]),
    "seasons": ([f"{year}-{year % 100 + 1:02}" for year in range(2000, 2012)], ["'2000-01'", "data.time_format=iso"]),
    "ticks or nanoseconds": ([621355968000000000 + one * 10**7 for one in unix(HOURS)], ["(unix_ns)", "(ticks)"]),
    "one day that does not exist": ([*DAYS.strftime("%Y%m%d"), "20240230"], ["row 82", "'20240230'", "'%Y%m%d'"]),
    "no form": (["soon", "later"], ["row 2", "'soon'", "data.time_format"]),
    "one of another form": (["31.12.2024", "12/31/2024"], ["row 3", "'12/31/2024'", "day before month"]),
    "no such day": (["2024-02-28", "2024-02-30"], ["row 3", "'2024-02-30'"]),
    "fiscal quarters": (["FY2020Q1", "FY2020Q2"], ["data.time_format=fiscal", "'FY2020Q1'"]),
    "a zone's name": (["2024-01-01 00:00 CST", "2024-01-01 01:00 CST"], ["'CST' is a zone", "write the offset"]),
}  # fmt: skip


def test_months_of_two_digits_in_order_are_no_days():
    months = pd.date_range("2018-01-01", periods=100, freq="MS")
    parser, times = read(months.strftime("%y%m"))
    assert parser.form == "%y%m"
    np.testing.assert_array_equal(times.seconds, seconds(months))


def test_days_are_read_with_a_column_of_their_year():
    columns = [pa.array(["2024", "2024"]), pa.array(["0101", "3112"])]
    times = RowParser(["year", "day"], "%Y %d%m").parse(columns, FILE, 2)
    assert times.micros.astype("M8[us]").astype("M8[D]").astype(str).tolist() == ["2024-01-01", "2024-12-31"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_be_read_in_several_ways_is_refused(name):
    cells, words = REFUSED[name]
    with pytest.raises(UserError) as refused:
        read(cells)
    for word in [*words, "data.csv", "column 'time'"]:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("day or month", "month_first"),
        ("year or day", "year_first"),
        ("month or day", "month_name"),
        ("months of one year or days", "%Y%m"),
        ("hours of one day or seconds", "unix"),
        ("old Unix seconds", "unix"),
        ("uneven days", "excel"),
        ("days of Unix or of Excel", "unix_days"),
        ("ticks or nanoseconds", "ticks"),
        ("seasons", "iso"),
        ("hours from a start", "seconds"),
    ],
)
def test_the_form_of_the_training_data_settles_what_is_open(name, form):
    cells, _ = REFUSED[name]
    parser, preferred = read(cells, prefer=form)
    assert parser.form == form
    np.testing.assert_array_equal(preferred.micros, read(cells, format=form)[1].micros)


def test_later_batches_tell_what_the_first_leaves_open():
    batches = [pa.array(["01/02/2024", "02/02/2024"]), pa.array(["13/02/2024"])]
    parser = TimeParser("time", ahead=lambda: iter(batches))
    found = [parser.parse(batch, FILE, 2).seconds for batch in batches]
    np.testing.assert_array_equal(np.concatenate(found), seconds(["2024-02-01", "2024-02-02", "2024-02-13"]))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pa.array([3600], pa.time32("s")), "data.time=\\[DAY,TIME\\]"),
        (pa.array(np.array([1704067200, 1704070800], np.float32)), "float32"),
        (pa.array([True]), "holds bool, not times"),
        (pa.array([3600], pa.duration("s")), "holds duration"),
    ],
)
def test_columns_that_cannot_be_times_are_told(values, words):
    with pytest.raises(UserError, match=words):
        TimeParser("time").parse(values, FILE, 1)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([19723, 19724], pa.int32()).cast(pa.date32()),
        pa.array(["20240101", "20240102"]).cast(pa.int32()),
        pa.array([1704067200, 1704153600]).cast(pa.decimal128(22, 3)),
        pa.array([1704067200000000000, 1704153600000000000], pa.uint64()),
        pa.array(["2024-01-01", "2024-01-02"], pa.large_string()),
    ],
)
def test_columns_of_parquet_of_any_type(values):
    np.testing.assert_array_equal(
        TimeParser("time").parse(values, FILE, 1).seconds, seconds(["2024-01-01", "2024-01-02"])
    )


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("dd/mm/yyyy", "takes a format such as"),
        ("%d/%m", "lacks the year"),
        ("%d/%m/%Y %H:%M %Y", "%Y twice"),
        ("%Y-%m-%d %Q", "%Q is not known"),
        ("%Y-%m-%d %I:%M", "without %p"),
        ("%Y-%m-%d %H:%M %p", "beside %H"),
        ("%d %Y", "day without the month"),
        ("%Y %H:%M", "time of day without the day"),
        ("%Y-%W", "%u"),
        ("%G-%V", "is not a format"),
        ("%Y-%m-%d %Z", "zone"),
    ],
)
def test_formats_by_which_no_time_can_be_read_are_refused(form, words):
    with pytest.raises(ValueError, match=words):
        check_format(form)


@pytest.mark.parametrize("form", [*FORMS, "%d/%m/%Y %H:%M", "%Y%m", "%H:%M %d-%m-%Y %z", "%G-W%V-%u", "%Y-%j"])
def test_named_forms_and_whole_formats_are_taken(form):
    assert check_format(form) == form
