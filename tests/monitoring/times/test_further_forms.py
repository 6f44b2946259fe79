"""Times of offices, ledgers, logs and other calendars; and what stands among times that is none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from unroll.errors import UserError
from unroll.monitoring.times.cells.cells import Cells
from unroll.monitoring.times.forms.formats import check_format
from unroll.monitoring.times.parser import TimeParser
from unroll.monitoring.times.row_parser import RowParser

FILE = Path("data.csv")
HOURS = pd.date_range("2024-01-30", periods=60, freq="h")
DAYS = pd.date_range("2024-01-20", periods=80, freq="D")
HALVES = pd.date_range("2009-01-01", periods=20, freq="6MS")
QUARTERS = pd.date_range("2009-01-01", periods=30, freq="QS")
YEARS = pd.date_range("1990-01-01", periods=30, freq="YS")
WEEKS = pd.date_range("2024-12-02", periods=60, freq="7D")
POLISH = ["stycznia", "lutego", "marca", "kwietnia"]
RUSSIAN = ["января", "февраля", "марта", "апреля"]
GERMAN = ["Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"]
THAI = ["ม.ค.", "ก.พ.", "มี.ค.", "เม.ย."]


def parsed(cells, **options):
    parser = TimeParser("time", **options)
    return parser, parser.parse(pa.array(list(map(str, cells))).dictionary_encode(), FILE, 2)


def days(times):
    return times.micros.astype("datetime64[us]").astype("datetime64[D]").astype(str).tolist()


def halves(form):
    return [form.format(y=one.year, yy=one.year % 100, h=1 + one.month // 7) for one in HALVES]


def quarters(form):
    return [form.format(y=one.year, yy=one.year % 100, q=one.quarter) for one in QUARTERS]


def weeks(form):
    return [form.format(y=y, y2=y % 100, w=w) for y, w, _ in (one.isocalendar() for one in WEEKS)]


def spans(times, hours, begin, end):
    return [one.strftime(begin) + (one + pd.Timedelta(hours=hours)).strftime(end) for one in times]


FORMS = {
    **{form: (halves(form), "half_year", HALVES) for form in (
        "{y}H{h}", "{y}-S{h}", "H{h} {y}", "{h}H{yy:02}", "{y} HJ{h}", "{h}. Halbjahr {y}", "S{h}/{y}", "{yy:02}H{h}",
    )},
    **{form: (quarters(form), "quarter", QUARTERS) for form in (
        "T{q} {y}", "{yy:02}Q{q}", "Quarter {q}, {y}", "{q}. Quartal {y}", "{q}er trimestre {y}", "{y} Qtr {q}",
        "Q{q}/{yy:02}",
    )},
    "two digits and a week": (weeks("{y2}{w:02}"), "week", WEEKS),
    "week with a comma": (weeks("Week {w}, {y}"), "week", WEEKS),
    "a weekday behind": (DAYS.strftime("%d.%m.%Y (%a)"), "day_first", DAYS),
    "a weekday of German behind": ([f"{one:%Y-%m-%d} {GERMAN[one.weekday()]}" for one in DAYS], "iso", DAYS),
    "at": (HOURS.strftime("%B %d, %Y at %I:%M %p"), "month_name", HOURS),
    "a log of a web server": (HOURS.strftime("[%d/%b/%Y:%H:%M:%S +0000]"), "month_name", HOURS),
    "EXIF": (HOURS.strftime("%Y:%m:%d %H:%M:%S"), "iso", HOURS),
    "file names": (HOURS.strftime("%Y_%m_%d_%H_%M"), "iso", HOURS),
    "days of weeks": (spans(WEEKS, 6 * 24, "%Y-%m-%d", " - %Y-%m-%d"), "iso", WEEKS),
    "days of weeks with a stroke": (spans(WEEKS, 6 * 24, "%Y-%m-%d", "/%Y-%m-%d"), "iso", WEEKS),
    "hours with their ends": (spans(HOURS, 1, "%Y-%m-%d %H:%M", "-%H:%M"), "iso", HOURS),
    "Polish": ([f"{one.day} {POLISH[one.month - 1]} {one.year}" for one in DAYS], "month_name", DAYS),
    "Russian": ([f"{one.day} {RUSSIAN[one.month - 1]} {one.year}" for one in DAYS], "month_name", DAYS),
    "Buddhist": ([f"{one.year + 543}-{one:%m-%d}" for one in DAYS], "iso", DAYS),
    "Buddhist, day first": ([f"{one.day}/{one.month}/{one.year + 543} {one:%H:%M}" for one in DAYS], "day_first", DAYS),
    "Buddhist, digits": ([f"{one.year + 543}{one:%m%d}" for one in DAYS], "%Y%m%d", DAYS),
    "Buddhist years": ([one.year + 543 for one in YEARS], "%Y", YEARS),
    "Thai": ([f"{one.day} {THAI[one.month - 1]} {one.year + 543}" for one in DAYS], "month_name", DAYS),
    "milliseconds behind a mark": ([f"'{one.value // 10**6}" for one in HOURS], "unix_ms", HOURS),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_the_form_is_found_and_can_be_stated(name):
    cells, form, times = FORMS[name]
    parser, found = parsed(cells)
    assert parser.form == form
    np.testing.assert_array_equal(found.micros.astype("datetime64[us]"), times.to_numpy().astype("datetime64[us]"))
    assert check_format(form) == form
    np.testing.assert_array_equal(parsed(cells, format=form)[1].micros, found.micros)
    assert parser.buddhist == (name.startswith("Buddhist") or name == "Thai")


FISCAL = {
    **dict.fromkeys(("FY{yy:02}Q{q}", "Q{q} FY{y}", "{q}QFY{yy:02}"), QUARTERS),
    **dict.fromkeys(("FY{y}", "{y}/{next:02}", "{y}-{y1}"), YEARS),
}


@pytest.mark.parametrize("form", FISCAL)
def test_fiscal_years_are_refused_and_read_as_the_calendars_where_that_is_stated(form):
    times = FISCAL[form]
    cells = [
        form.format(y=one.year, yy=one.year % 100, q=one.quarter, next=(one.year + 1) % 100, y1=one.year + 1)
        for one in times
    ]
    with pytest.raises(UserError, match=r"--set data\.time_format=fiscal$"):
        parsed(cells)
    for options in ({"format": "fiscal"}, {"prefer": "fiscal"}):
        found = parsed(cells, **options)[1]
        np.testing.assert_array_equal(found.micros.astype("datetime64[us]"), times.to_numpy().astype("datetime64[us]"))


def test_seasons_are_read_as_years_where_that_is_stated():
    cells = [f"{year}-{(year + 1) % 100:02}" for year in range(2000, 2012)]
    with pytest.raises(UserError, match=r"data\.time_format=iso, or the second, as in --set data\.time_format=fiscal"):
        parsed(cells)
    assert parsed(cells, format="fiscal")[1].micros[1].astype("datetime64[us]").astype(str).startswith("2001-01-01")


@pytest.mark.parametrize("cell", ["0001-01-01", "0001-01-01T00:00:00", "9999-12-31"])
def test_what_is_no_time_among_times(cell):
    _, found = parsed([*DAYS.strftime("%Y-%m-%d"), cell])
    assert found.missing.tolist() == [False] * 80 + [True]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([*DAYS[:12].strftime("%Y-%m"), "2024"], "row 14, .*'2024'"),  # a year's sum among months
        ([*DAYS.strftime("%Y-%m-%d"), "2024-01"], "row 82, .*'2024-01'"),
        ([*DAYS.strftime("%Y-%m-%d"), "13/04/2024"], "in the form day_first, so that the column mixes forms"),
        ([*DAYS.strftime("%Y-%m-%d"), "Total 2024"], r"""row 82, .*--set 'data\.missing=\["Total 2024"\]'"""),
        (["00:00", "01:00", "02:00"], r"--set 'data\.time=\[DAY, time\]'"),
    ],
)
def test_times_of_two_kinds_are_refused_by_the_row(cells, words):
    with pytest.raises(UserError, match=words):
        parsed(cells)


def test_a_year_and_a_day_above_31_are_the_day_of_the_year():
    for names in (["Year", "Day"], ["Jahr", "Nummer"]):
        times = RowParser(names).parse([pa.array([2024, 2024]), pa.array([60, 366])], FILE, 2)
        assert times.micros.astype("datetime64[us]").astype("datetime64[D]").astype(str).tolist() == [
            "2024-02-29",
            "2024-12-31",
        ]


def test_years_of_the_buddhist_era_in_a_column_of_their_own_are_told():
    parser = RowParser(["year", "month", "day"])
    times = parser.parse([pa.array([2567, 2567]), pa.array([2, 3]), pa.array([29, 1])], FILE, 2)
    assert times.micros.astype("datetime64[us]").astype("datetime64[D]").astype(str).tolist() == [
        "2024-02-29",
        "2024-03-01",
    ]
    assert any("Buddhist" in line for line in parser.told)


@pytest.mark.parametrize("cells", [[250113, 250213, 250313, 251213], [2501, 2502, 2512, 2601, 2612]])
def test_short_years_are_not_taken_for_the_buddhist_era(cells):
    assert not Cells.of(pa.array(list(map(str, cells)))).buddhist
