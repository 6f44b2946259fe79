"""Days and the numbers of their hours, half hours or quarters, which go on where clocks change."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from unroll.errors import UserError
from unroll.monitoring.times.clock import Clock
from unroll.monitoring.times.row_parser import RowParser

FILE = Path("market.csv")


def counted(zone, begin, end, minutes, first=1):
    """Local days with the numbers of their periods, and the instants at which these begin."""
    times = pd.date_range(begin, end, freq=f"{minutes}min", tz=zone, inclusive="left")
    days = times.strftime("%Y-%m-%d").to_numpy()
    numbers = pd.Series(days).groupby(days).cumcount().to_numpy() + first
    return days, numbers, times.as_unit("us").asi8


def read(days, numbers, zone=None, name="SP", **options):
    columns = [pa.array(days), pa.array(numbers)]
    clock = Clock.of(zone) if zone else None
    parser = RowParser(["day", name], clock=clock, ahead=lambda: [columns], **options)
    return parser, parser.parse(columns, FILE, 2)


MARKETS = {
    "half hours of Britain, autumn": ("Europe/London", "2023-10-26", "2023-11-02", 30),
    "half hours of Britain, spring": ("Europe/London", "2024-03-28", "2024-04-03", 30),
    "hours of Poland": ("Europe/Warsaw", "2024-10-25", "2024-10-30", 60),
    "quarters of Germany": ("Europe/Berlin", "2025-03-28", "2025-04-02", 15),
    "five minutes of Sydney": ("Australia/Sydney", "2024-04-05", "2024-04-09", 5),
}


@pytest.mark.parametrize("market", MARKETS)
def test_periods_are_counted_through_a_change_of_clocks(market):
    zone, begin, end, minutes = MARKETS[market]
    days, numbers, instants = counted(zone, begin, end, minutes)
    parser, times = read(days, numbers, zone)
    np.testing.assert_array_equal(times.micros, instants)
    assert set(times.offsets) == set(Clock.of(zone).offset(instants // 10**6))
    assert f"periods of {minutes} minutes" in " ".join(parser.told)
    assert "count on where clocks change" in " ".join(parser.told)


@pytest.mark.parametrize("market", MARKETS)
def test_without_a_zone_days_of_another_length_are_refused_naming_one_that_works(market):
    zone, begin, end, minutes = MARKETS[market]
    days, numbers, instants = counted(zone, begin, end, minutes)
    with pytest.raises(UserError, match=r"Name their zone, as in --set data\.timezone=") as refusal:
        read(days, numbers)
    named = str(refusal.value).rpartition("=")[2]
    _, times = read(days, numbers, named)
    assert len(np.unique(times.micros)) == len(instants)
    if minutes == 30:
        assert named == "Europe/London"


@pytest.mark.parametrize("series", [1, 3])
@pytest.mark.parametrize("label", ["{:02d}:00", "{}"])
def test_without_a_zone_an_hour_that_comes_twice_is_refused_naming_one_that_works(label, series):
    times = pd.date_range("2024-11-01", "2024-11-06", freq="1h", tz="America/Chicago", inclusive="left").repeat(series)
    days, numbers = times.strftime("%Y-%m-%d").to_numpy(), np.array([label.format(hour + 1) for hour in times.hour])
    with pytest.raises(UserError, match=r"2 comes twice on 2024-11-03.*--set data\.timezone=") as refusal:
        read(days, numbers, name="HourEnding")
    parser, found = read(days, numbers, str(refusal.value).rpartition("=")[2], name="HourEnding")
    np.testing.assert_array_equal(found.micros, times.tz_localize(None).as_unit("us").asi8)
    assert "name hours of the clock" in " ".join(parser.told)


def test_a_row_that_is_there_twice_is_no_change_of_clocks():
    days, numbers, _ = counted("UTC", "2024-06-01", "2024-06-05", 60)
    _, times = read(np.append(days, days[30]), np.append(numbers, numbers[30]))
    assert len(np.unique(times.micros)) == len(days)


def test_without_a_change_of_clocks_no_zone_is_needed():
    days, numbers, instants = counted("UTC", "2024-01-10", "2024-01-15", 30)
    _, times = read(days, numbers)
    np.testing.assert_array_equal(times.micros, instants)
    days, numbers, instants = counted("UTC", "2024-01-10", "2024-01-15", 15, first=0)
    _, times = read(days, numbers)
    np.testing.assert_array_equal(times.micros, instants)


def test_hours_from_1_to_24_are_their_ends_without_a_zone():
    days, numbers, instants = counted("UTC", "2024-01-10", "2024-01-15", 60)
    parser, times = read(days, numbers, name="hour")
    np.testing.assert_array_equal(times.micros, instants + 3600 * 10**6)
    assert "hours by their ends, of which 24 is the next day's midnight" in " ".join(parser.told)


def test_hours_that_are_named_by_the_clock_leave_one_out_or_have_it_twice():
    times = pd.date_range("2024-03-08", "2024-03-13", freq="h", tz="America/New_York", inclusive="left")
    parser, found = read(times.strftime("%Y-%m-%d").to_numpy(), times.hour.to_numpy() + 1, "America/New_York")
    assert found.offsets is None  # local times, which are told apart with the rest of the table
    shown = times.tz_localize(None).as_unit("us").asi8
    np.testing.assert_array_equal(found.micros, shown)
    assert "they name hours of the clock" in " ".join(parser.told)


def test_a_part_of_a_day_is_read_as_the_training_data_was():
    days, numbers, instants = counted("Europe/London", "2023-10-26", "2023-11-02", 30)
    parser, _ = read(days, numbers, "Europe/London")
    few = slice(150, 160)  # on the day of the change
    _, again = read(days[few], numbers[few], "Europe/London", prefer=parser.form)
    np.testing.assert_array_equal(again.micros, instants[few])
    with pytest.raises(UserError, match=r"row 2: do not make a time\. Received: 2023-10-28, 49"):
        read(["2023-10-28"], [49], "Europe/London", prefer=parser.form)


def test_more_periods_than_a_day_of_the_zone_has_are_refused():
    days, numbers, _ = counted("Europe/Berlin", "2024-10-25", "2024-10-30", 60)
    with pytest.raises(UserError, match=r"2024-10-27 has 25 periods of 60 minutes, and by the clock of America/New_Yo"):
        read(days, numbers, "America/New_York")
    with pytest.raises(UserError, match=r"2024-10-27 has 25 and most days 24"):
        read(days, numbers, "UTC")


LABELS = {
    "HE01": [f"HE{hour:02}" for hour in range(1, 25)],
    "H1": [f"H{hour}" for hour in range(1, 25)],
    "Stunde 1": [f"Stunde {hour}" for hour in range(1, 25)],
}


@pytest.mark.parametrize("label", LABELS)
def test_letters_before_the_numbers_of_hours_are_no_dates(label):
    parser, times = read(["2024-07-01"] * 24, LABELS[label], name="he")
    np.testing.assert_array_equal(times.seconds // 3600 - 24 * 19905, np.arange(1, 25))
    (line, *_) = parser.told
    assert line == "Times are put together from day (date), he (number of a period)."


def test_the_second_of_two_hours_of_one_number_has_a_letter():
    hours = ["0", "1", "2A", "2B", "3", *map(str, range(4, 24))]
    _, times = read(["2024-10-27"] * 25, hours, name="hour")
    assert (times.seconds[2:5] % 86_400 // 3600).tolist() == [2, 2, 3]


def test_hours_and_minutes_in_one_number_are_no_month():
    columns = {"Year": [2024] * 4, "DOY": [61, 61, 61, 62], "HHMM": [15, 930, 2345, 0]}
    parser = RowParser(list(columns))
    times = parser.parse([pa.array(column) for column in columns.values()], FILE, 2)
    expected = ["2024-03-01T00:15", "2024-03-01T09:30", "2024-03-01T23:45", "2024-03-02"]
    np.testing.assert_array_equal(times.micros, np.array(expected, "datetime64[us]").astype(np.int64))
    assert "HHMM (time of day)" in parser.told[0]
    columns = {"year": [2024], "day": [61], "hhmm": [45]}  # minutes alone
    times = RowParser(list(columns)).parse([pa.array(column) for column in columns.values()], FILE, 2)
    assert str(times.micros.astype("datetime64[us]")[0]) == "2024-03-01T00:45:00.000000"


def test_hours_up_to_2400_are_named_by_their_ends_also_where_clocks_are_set_back():
    times = pd.date_range("2024-11-01", "2024-11-06", freq="h", tz="America/Chicago", inclusive="left")
    days, ends = times.strftime("%Y-%m-%d").to_numpy(), [f"{hour + 1:02}:00" for hour in times.hour]
    parser, found = read(days, ends, "America/Chicago", name="HourEnding")
    np.testing.assert_array_equal(found.micros, times.tz_localize(None).as_unit("us").asi8)
    _, part = read(days[:3], ends[:3], "America/Chicago", name="HourEnding", prefer=parser.form)
    np.testing.assert_array_equal(part.micros, found.micros[:3])
