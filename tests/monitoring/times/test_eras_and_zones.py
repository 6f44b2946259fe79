"""Years of other eras, names of zones behind times, spans and sums: read and told, or refused with what to do."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from unroll.errors import UserError
from unroll.monitoring.times.clock import Clock
from unroll.monitoring.times.row_parser import RowParser

FILE = Path("data.csv")
DAYS = pd.date_range("2019-04-20", periods=30)
ERAS = {
    "Reiwa": ([f"{'平成31' if day.month < 5 else '令和元'}年{day.month}月{day.day}日" for day in DAYS], "Japan's eras"),
    "Heisei in letters": ([f"H31.4.{day}" for day in range(20, 31)] + [f"R1.5.{day}" for day in range(1, 20)], "R5 is"),
    "Minguo": ([f"108/{day.month:02}/{day.day:02}" for day in DAYS], "Minguo calendar: 1911 are added"),
    "Minguo in words": ([f"民國108年{day.month}月{day.day}日" for day in DAYS], "Minguo"),
    "Minguo in digits": ([f"108{day.month:02}{day.day:02}" for day in DAYS], "Minguo"),
}


def read(cells, zone="", **options):
    parser = RowParser(["time"], clock=Clock.of(zone) if zone else None, **options)
    return parser, parser.parse([pa.array(cells)], FILE, 2)


@pytest.mark.parametrize("era", ERAS)
def test_years_of_other_eras_are_those_of_the_common_calendar_and_told(era):
    cells, words = ERAS[era]
    parser, times = read([*cells, None])
    np.testing.assert_array_equal(times.micros[:-1], DAYS.as_unit("us").asi8)
    assert words in " ".join(parser.told)


@pytest.mark.parametrize("cells", [
    ["99/03/05", "98/12/31"], ["R1", "R2", "R3"], ["H1 2024", "H2 2024"], ["1110301", "1119999"],
])  # fmt: skip
def test_what_only_looks_like_such_years_is_not_changed(cells):
    try:
        parser, _ = read(cells)
    except UserError:
        return
    assert not parser.told or "era" not in parser.told[-1]


def test_a_year_alone_of_an_era():
    _, times = read([f"昭和{year}年" for year in range(50, 60)])
    assert times.micros.astype("datetime64[us]").astype("datetime64[Y]").astype(int).tolist() == list(range(5, 15))


@pytest.mark.parametrize(("form", "of"), [
    ("julian", lambda time: f"{time.to_julian_date():.5f}"),
    ("matlab", lambda time: f"{time.toordinal() + 366 + time.hour / 24:.6f}"),
    ("filetime", lambda time: str(int((time - pd.Timestamp("1601-01-01")).total_seconds()) * 10**7)),
])  # fmt: skip
def test_numbers_of_days_and_ticks_of_other_programs(form, of):
    times = pd.date_range("2024-02-27 21:00", periods=60, freq="h")
    cells = [of(time) for time in times]
    parser, found = read(cells)
    np.testing.assert_array_equal(found.micros, times.as_unit("us").asi8)
    assert f"data.time_format={form} states it" in parser.told[-1]


def test_modified_julian_dates_are_refused_naming_their_form_since_they_may_be_excels():
    times = pd.date_range("2024-02-27", periods=60, freq="6h")
    cells = [f"{time.to_julian_date() - 2_400_000.5:.2f}" for time in times]
    with pytest.raises(UserError, match=r"--set data\.time_format=modified_julian"):
        read(cells)
    _, found = read(cells, format="modified_julian")
    np.testing.assert_array_equal(found.micros, times.as_unit("us").asi8)


@pytest.mark.parametrize("cell", [
    "2024. március 5.", "5. maaliskuuta 2024", "5 de març de 2024", "5 Maret 2024", "5 Μαρτίου 2024", "5 березня 2024",
    "5 март 2024", "5 مارس 2024", "5. marec 2024",
])  # fmt: skip
def test_months_in_further_languages(cell):
    _, found = read([cell])
    assert str(found.micros.astype("datetime64[us]").astype("datetime64[D]")[0]) == "2024-03-05"


def local(zone, suffix=None):
    times = pd.date_range("2024-03-01", "2024-04-15", freq="h", tz=zone)
    return times, [f"{time:%Y-%m-%d %H:%M} {suffix or time.tzname()}" for time in times]


@pytest.mark.parametrize(
    "zone", ["America/Chicago", "Europe/London", "Asia/Jerusalem", "America/Halifax", "Europe/Dublin"]
)
def test_abbreviations_that_several_zones_have_are_told_apart_by_their_company(zone):
    times, cells = local(zone)
    _, read_times = read(cells)
    np.testing.assert_array_equal(read_times.micros, times.as_unit("us").asi8)
    assert (read_times.offsets == Clock.of(zone).offset(read_times.seconds)).all()


@pytest.mark.parametrize(("name", "zone"), [("CST", "Asia/Shanghai"), ("IST", "Asia/Kolkata"), ("BST", "Asia/Dhaka")])
def test_alone_they_are_refused_naming_zones_by_which_they_are_read(name, zone):
    times = pd.date_range("2024-07-01", periods=5, freq="h", tz=zone)
    cells = [f"{time:%Y-%m-%d %H:%M} {name}" for time in times]
    with pytest.raises(UserError, match=f"If '{name}' is a zone") as refusal:
        read(cells)
    named = re.findall(r"--set data\.timezone=([\w/]+)", str(refusal.value))
    for one in named:
        assert read(cells, one)[1].offsets is not None
    np.testing.assert_array_equal(read(cells, zone)[1].micros, times.as_unit("us").asi8)


@pytest.mark.parametrize("suffix", ["Europe/Berlin", "[Europe/Berlin]", "W. Europe Standard Time"])
def test_a_zones_name_behind_local_times_is_their_zone(suffix):
    times, cells = local("Europe/Berlin", suffix)
    parser, found = read(cells)
    assert parser.zones == {"Europe/Berlin"}
    np.testing.assert_array_equal(found.micros, times.tz_localize(None).as_unit("us").asi8)


@pytest.mark.parametrize(("said", "name"), [
    ("W. Europe Standard Time", "Europe/Berlin"), ("Eastern Standard Time", "America/New_York"),
    ("europe/berlin", "Europe/Berlin"), ("+01:00", "UTC+01:00"), ("UTC-3", "UTC-03:00"), ("GMT+5:30", "UTC+05:30"),
])  # fmt: skip
def test_zones_are_named_as_people_and_windows_do(said, name):
    assert Clock.of(said).name == name


ADVISED = {
    "times of day": ([f"12:00:00.{20 * step:03}" for step in range(40)], "--set data.time=null --set data.rate=50"),
    "minutes": (["23:50", "23:55", "00:00"], "number the rows: --set data.time=null"),
    "spans": (["0 days 00:00:00", "0 days 01:00:00"], "--set data.time=null"),
    "spans of ISO 8601": (["PT0H", "PT1H"], "--set data.time=null"),
    "sums": (["2024-05-01", "Total May", "2024-06-01", "Sum"], '--set \'data.missing=["Total May", "Sum"]\''),
}  # fmt: skip


@pytest.mark.parametrize("kind", ADVISED)
def test_what_is_no_time_is_refused_with_a_setting_that_reads_the_table(kind):
    cells, setting = ADVISED[kind]
    with pytest.raises(UserError) as refusal:
        read(cells)
    assert str(refusal.value).endswith(setting)


@pytest.mark.parametrize("hours", [
    [f"{hour:02}-{hour + 1:02}" for hour in range(24)],
    [f"{hour} - {(hour + 1) % 24}" for hour in range(24)],
    [f"{hour % 12 or 12}{'a' if hour < 12 else 'p'}" for hour in range(24)],
])  # fmt: skip
def test_hours_with_their_ends_and_of_twelve_are_no_offsets(hours):
    parser = RowParser(["day", "hour"])
    times = parser.parse([pa.array(["2024-03-01"] * 24), pa.array(hours)], FILE, 2)
    assert times.offsets is None
    assert (times.seconds % 86_400 // 3600).tolist() == list(range(24))
