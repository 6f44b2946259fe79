"""Zones: there and back, learnt from offsets, and named."""

import numpy as np
import pandas as pd
import pytest

from unroll.errors import UserError
from unroll.monitoring.times.clock import Clock
from unroll.monitoring.times.zones import learn_clock

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca"]


def written(start: str, end: str, freq: str, zone: str) -> tuple[np.ndarray, np.ndarray]:
    """Instants of a local index, and the offsets with which it is written."""
    times = pd.date_range(start, end, freq=freq)
    if freq == "D":
        times = times.tz_localize(zone, nonexistent="shift_forward")  # in Cairo a day begins at 01:00
    else:
        times = pd.date_range(times[0].tz_localize(zone), times[-1].tz_localize(zone), freq=freq)
    instants = times.tz_convert("UTC").tz_localize(None).as_unit("s").astype(np.int64).to_numpy()
    local = times.tz_localize(None).as_unit("s").astype(np.int64).to_numpy()
    return instants, (local - instants).astype(np.int32)


@pytest.mark.parametrize("zone", ZONES)
def test_local_time_is_that_of_pandas_and_leads_back(zone):
    clock = Clock.of(zone)
    instants, offsets = written("2018-01-01", "2024-12-31", "30min", zone)
    local = clock.local(instants)
    np.testing.assert_array_equal(local, instants + offsets)
    twice = pd.Series(local).duplicated(keep=False).to_numpy()
    np.testing.assert_array_equal(clock.repeated(local), twice)
    np.testing.assert_array_equal(clock.instants(local[~twice]), instants[~twice])
    both = np.concatenate([clock.instants(local[twice]), clock.instants(local[twice], later=True)])
    assert set(both) == set(instants[twice])
    grid = np.arange(local[0], local[-1], 1800)
    np.testing.assert_array_equal(clock.skipped(grid), ~np.isin(grid, local))
    assert (clock.local(clock.instants(grid[clock.skipped(grid)])) > grid[clock.skipped(grid)]).all()


def test_a_time_is_stamped_with_the_offset_of_its_moment():
    assert Clock.of("Europe/Berlin").stamp(1_729_990_799) == "2024-10-27T02:59:59+02:00"
    assert Clock.of("Asia/Kolkata").stamp(0) == "1970-01-01T05:30:00+05:30"
    assert Clock.of("UTC-03:30").stamp(0) == "1969-12-31T20:30:00-03:30"
    assert Clock().stamp(0) == Clock.of("UTC").stamp(0) == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("zone", "learnt"),
    [
        ("Europe/Paris", "Europe/Berlin"),
        ("America/Toronto", "America/New_York"),
        ("Australia/Hobart", "Australia/Sydney"),
        ("Australia/Lord_Howe", "Australia/Lord_Howe"),
        ("Africa/Casablanca", "Africa/Casablanca"),
        ("Africa/Cairo", "Africa/Cairo"),
    ],
)
@pytest.mark.parametrize("freq", ["7h", "D"])
def test_a_zone_is_learnt_from_its_offsets(zone, learnt, freq):
    found = learn_clock(*written("2023-05-01", "2024-12-01", freq, zone))
    assert found.clock.name == learnt
    assert learnt in found.told
    assert "data.timezone" in found.told


def test_an_offset_that_never_changes_is_a_clock_and_is_said():
    found = learn_clock(*written("2024-01-01", "2024-02-01", "h", "Europe/Berlin"))
    assert found.clock.name == "UTC+01:00"
    assert "taken never to change" in found.told
    assert "data.timezone" in found.told
    assert learn_clock(*written("2024-01-01", "2024-02-01", "h", "UTC")).told == ""


def test_a_zone_that_the_file_names_is_taken():
    found = learn_clock(*written("2024-01-01", "2024-02-01", "h", "Europe/Paris"), ["Europe/Paris"])
    assert found.clock.name == "Europe/Paris"


def test_offsets_of_several_zones_are_refused_with_what_decides():
    one, other = (
        written("2024-01-01", "2024-02-01", "h", "Europe/Berlin"),
        written("2024-01-01", "2024-02-01", "h", "Asia/Tokyo"),
    )
    with pytest.raises(UserError, match=r"from \+01:00 to \+09:00, which no one time zone has .* data\.timezone=UTC"):
        learn_clock(*(np.concatenate(parts) for parts in zip(one, other, strict=True)))


@pytest.mark.parametrize(("name", "words"), [("berlin", "Did you mean Europe/Berlin"), ("CEST+2", "IANA database")])
def test_a_zone_that_is_not_there_is_refused(name, words):
    with pytest.raises(UserError, match=words):
        Clock.of(name)
