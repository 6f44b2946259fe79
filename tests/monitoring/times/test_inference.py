"""Frequencies that times follow, exactly or nearly, and what is advised where they follow none."""

import numpy as np
import pandas as pd
import pytest

from unroll.monitoring.times.clock import Clock
from unroll.monitoring.times.frequency import Frequency
from unroll.monitoring.times.inference import advisable, infer, working_days
from unroll.monitoring.times.placement import Placement


def seconds(times: pd.DatetimeIndex) -> np.ndarray:
    times = pd.DatetimeIndex(times)
    utc = times if times.tz is None else times.tz_convert("UTC").tz_localize(None)
    return utc.as_unit("s").astype(np.int64).to_numpy()


def jitter(times: pd.DatetimeIndex, low: int, high: int) -> pd.DatetimeIndex:
    rng = np.random.default_rng(0)
    return times + pd.to_timedelta(rng.integers(low, high + 1, len(times)), "s")


def moved(times: pd.DatetimeIndex, every: int, days: int) -> pd.DatetimeIndex:
    return times + pd.to_timedelta(np.where(np.arange(len(times)) % every == 3, days, 0), "D")


@pytest.mark.parametrize(
    ("times", "name"),
    [
        (pd.date_range("2024-01-31", periods=30, freq="BME"), "1BME"),
        (pd.date_range("2024-01-01", periods=30, freq="BMS"), "1BMS"),
        (pd.date_range("2020-01-01", periods=20, freq="BQE"), "1BQE"),
        (pd.date_range("2020-02-01", periods=20, freq="QE-NOV"), "1QE"),
        (pd.date_range("1960-12-31", periods=30, freq="BYE"), "1BYE"),
        (pd.date_range("2020-01-05", periods=60, freq="W-SUN"), "1W"),
        (pd.date_range("2020-01-05", periods=60, freq="2W"), "2W"),
        (pd.date_range("2020-01-05", periods=40, freq="4W"), "4W"),
        (pd.bdate_range("2020-01-05", periods=60, freq="C", weekmask="Mon Wed Fri"), "1B:Mon,Wed,Fri"),
        (pd.DatetimeIndex([pd.Timestamp("2023-01-30") + pd.DateOffset(months=k) for k in range(30)]), "1M"),
        (pd.date_range("2024-01-01", periods=99, freq="7min"), "7min"),
    ],
)
def test_the_calendar_is_seen(times, name):
    found = infer(seconds(times))
    assert found is not None
    assert found.name == name
    assert Frequency.parse(name) == found
    placed = Placement.of(seconds(times), found)
    assert placed.moved == 0
    np.testing.assert_array_equal(found.advance(placed.start, np.arange(len(times))), seconds(times))


@pytest.mark.parametrize(
    ("times", "name", "start"),
    [
        (jitter(pd.date_range("2024-01-01", periods=300, freq="5min"), -9, 9), "5min", "2024-01-01 00:00"),
        (jitter(pd.date_range("2024-01-01 00:30", periods=300, freq="h"), 0, 300), "1h", "2024-01-01 00:30"),
        (jitter(pd.date_range("2024-01-01 08:00", periods=99, freq="D"), -900, 900), "1D", "2024-01-01 08:00"),
        (moved(pd.date_range("2024-01-31", periods=60, freq="BME"), 20, -1), "1BME", "2024-01-31"),
        (moved(pd.date_range("2024-01-01", periods=60, freq="W-MON"), 20, 1), "1W", "2024-01-01"),
        (moved(pd.date_range("2024-01-15", periods=60, freq="MS") + pd.Timedelta(days=14), 20, 2), "1M", "2024-02-15"),
    ],
)
def test_times_beside_the_grid_move_to_a_round_one(times, name, start):
    found = infer(seconds(times))
    assert found is not None
    assert found.name == name
    placed = Placement.of(seconds(times), found)
    assert placed.near
    assert placed.moved
    np.testing.assert_array_equal(placed.steps, np.arange(len(times)))
    assert placed.start == seconds(pd.DatetimeIndex([start]))[0]


@pytest.mark.parametrize(
    ("times", "advice"),
    [
        (pd.date_range("2024-01-01", periods=60, freq="WOM-3FRI"), "1M"),
        (pd.date_range("2024-01-01", periods=400, freq="D")[np.random.default_rng(0).random(400) < 0.3], "1D"),
        (jitter(pd.date_range("2024-01-01", periods=500, freq="3607s"), 0, 3), "1h"),
    ],
)
def test_what_follows_no_step_is_advised_one_that_works(times, advice):
    found = infer(seconds(times))
    assert found is not None
    assert not Placement.of(seconds(times), found).near
    assert advisable(seconds(times), Clock()) == advice
    placed = Placement.of(seconds(times), Frequency.parse(advice))
    assert len(np.unique(placed.steps)) >= 0.95 * len(times)


ROWS = {
    "1D": pd.date_range("2023-02-01", periods=500),
    "1W": pd.date_range("2023-02-01", periods=100, freq="W-TUE"),
    "1M": pd.date_range("2023-02-01", periods=40, freq="MS"),
    "1ME": pd.date_range("2023-02-01", periods=40, freq="ME"),
    "6h local": pd.date_range("2023-02-01", "2024-05-01", freq="6h"),
}


def check_steps(times: pd.DatetimeIndex, zone: str, name: str) -> None:
    found = infer(seconds(times), Clock.of(zone))
    assert found is not None
    assert found.name == name
    placed = Placement.of(seconds(times), found)
    assert placed.moved == 0
    np.testing.assert_array_equal(found.advance(placed.start, placed.steps), seconds(times))
    newest = int(seconds(times)[20])
    np.testing.assert_array_equal(found.steps_after(newest, seconds(times)), placed.steps - placed.steps[20])


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Sydney", "Australia/Lord_Howe"])
@pytest.mark.parametrize("name", ROWS)
def test_days_and_parts_of_days_are_found_by_local_time(zone, name):
    check_steps(ROWS[name].tz_localize(zone), zone, name)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Sydney"])
@pytest.mark.parametrize("step", ["1h", "30min"])
def test_hours_are_as_long_as_ever_across_changes(zone, step):
    check_steps(pd.date_range("2023-02-01", "2024-05-01", freq=step, tz=zone), zone, step)


def test_whole_hours_are_local_where_clocks_change_by_half_of_one():
    hours = pd.date_range("2023-02-01", "2024-05-01", freq="h")
    times = hours.tz_localize("Australia/Lord_Howe", nonexistent="NaT", ambiguous=False).dropna()
    check_steps(times, "Australia/Lord_Howe", "1h local")


def test_hours_of_utc_stay_hours_of_utc():
    times = pd.date_range("2024-01-01", periods=2000, freq="6h", tz="UTC")
    assert infer(seconds(times), Clock.of("Europe/Berlin")).name == "6h"


@pytest.mark.parametrize(
    ("mask", "days"),
    [
        ("Mon Tue Wed Thu Fri", "1B"),
        ("Sun Mon Tue Wed Thu", "1B:Sun-Thu"),
        ("Mon Tue Wed Thu Fri Sat", "1B:Mon-Sat"),
    ],
)
def test_days_off_are_seen_although_once_there_was_a_row(mask, days):
    times = pd.bdate_range("2023-01-01", periods=400, freq="C", weekmask=mask)
    off = next(day for day in pd.date_range("2023-05-01", periods=7) if day not in times)
    found = working_days(np.sort(np.append(seconds(times), seconds(pd.DatetimeIndex([off])))) // 86_400)
    assert Frequency(weekdays=found).name == days
    assert Frequency.parse(days).weekdays == found
    assert working_days(seconds(times)[:10] // 86_400) == (), "too few to tell"
    assert working_days(seconds(pd.date_range("2023", periods=400)) // 86_400) == ()
