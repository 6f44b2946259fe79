"""Tables written by local clocks: days, hours and months that stay what they are where clocks change."""

import numpy as np
import pandas as pd
import pytest

from unroll.errors import UserError
from unroll.pipelines.data.series.data import SeriesData, newest, prepare, read_further
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.summary import summary
from unroll.pipelines.data.series.window_index import check_windows
from unroll.pipelines.training.progress import Progress

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Sydney"]


def local(start, end, freq, zone):
    """A table of local times with their offsets; x is the local hour."""
    times = pd.date_range(start, end, freq=freq, tz=zone)
    return pd.DataFrame({"time": times, "x": times.hour + 0.01 * np.arange(len(times))})


def written(table, form="%Y-%m-%d %H:%M:%S%z"):
    return table.assign(time=[time.strftime(form) for time in table.time])


def prepared(folder, table, **section):
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "data.csv", index=False)
    prepare(SeriesSection(**section), str(folder / "data.csv"), folder, Progress())
    return SeriesData.load(folder)


def stamps(data, every=1):
    times = data.frequency.advance(int(data.start[0]), np.arange(len(data.values)))[::every]
    return pd.DatetimeIndex([pd.Timestamp(data.frequency.stamp(int(time))) for time in times], tz="UTC")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("freq", "name", "start", "end"),
    [
        ("h", "1h", "2024-02-20", "2024-11-20"),
        ("D", "1D", "2023-02-20", "2024-11-20"),
        ("W-SUN", "1W", "2020-02-20", "2024-11-20"),
        ("MS", "1M", "2012-02-20", "2024-11-20"),
        ("QE", "1QE", "2002-02-20", "2024-11-20"),
        ("B", "1B", "2023-02-20", "2024-11-20"),
    ],
)
def test_rows_keep_their_place_whether_the_zone_is_learnt_or_named(tmp_path, zone, freq, name, start, end):
    table = local(start, end, freq, zone)
    learnt = prepared(tmp_path / "learnt", written(table))
    named = prepared(tmp_path / "named", written(table, "%Y-%m-%d %H:%M:%S"), timezone=zone)
    for data in (learnt, named):
        assert data.frequency.name == name
        assert data.dataset_info["timezone"] == zone
        np.testing.assert_array_equal(data.values[:, 0], table.x.to_numpy(np.float32))
        assert data.dataset_info["snapped_rows"] == data.dataset_info["gaps"] == 0
        assert list(stamps(data, 11)) == list(table.time[::11])
    windows = check_windows(learnt, lookback=2, horizon=1)
    assert f"Time zone learnt from the UTC offsets: {zone}." in summary(learnt.dataset_info, windows)
    assert f"read by the clock of {zone}" in summary(named.dataset_info, windows)


@pytest.mark.parametrize(
    ("zone", "day"),
    [("Europe/Berlin", "2024-10-27"), ("America/New_York", "2024-11-03"), ("Australia/Sydney", "2024-04-07")],
)
@pytest.mark.parametrize("freq", ["h", "15min"])
@pytest.mark.parametrize("order", ["as it was", "newest first", "sorted by the clock"])
def test_an_hour_that_comes_twice_is_no_row_lost(tmp_path, zone, day, freq, order):
    start = pd.Timestamp(day) - pd.Timedelta(days=5)
    table = local(start, start + pd.Timedelta(days=9), freq, zone)
    naive = written(table, "%Y-%m-%d %H:%M")
    if order == "newest first":
        naive = naive.iloc[::-1]
    if order == "sorted by the clock":
        naive = naive.sort_values("time", kind="stable")
    with pytest.raises(
        UserError, match=r"comes twice, as where clocks are set back in .* --set data\.timezone="
    ) as told:
        prepared(tmp_path, naive)
    assert zone.partition("/")[0] in str(told.value)
    data = prepared(tmp_path, naive, timezone=zone)
    np.testing.assert_array_equal(data.values[:, 0], table.x.to_numpy(np.float32))
    assert any("told apart" in line for line in data.dataset_info["clock_told"])


def test_rows_that_are_repeated_at_other_times_are_no_change_of_clocks(tmp_path):
    table = local("2024-10-20", "2024-11-10", "h", "UTC")
    naive = written(pd.concat([table, table.iloc[[5, 50, 170, 300]]]), "%Y-%m-%d %H:%M")  # one of them at 02:00
    assert prepared(tmp_path, naive).dataset_info["exact_duplicates"] == 4


@pytest.mark.parametrize(("zone", "standard"), [("Europe/Berlin", "UTC+01:00"), ("Australia/Adelaide", "UTC+09:30")])
def test_a_clock_that_is_never_changed_is_not_taken_for_one_that_is(tmp_path, zone, standard):
    naive = written(local("2024-01-01", "2024-12-01", "h", "UTC"), "%Y-%m-%d %H:%M")
    with pytest.raises(UserError, match="the rows were written by a clock that is not changed") as told:
        prepared(tmp_path, naive, timezone=zone)
    remedy = str(told.value).rpartition("data.timezone=")[2]
    assert remedy == standard
    assert prepared(tmp_path, naive, timezone=remedy).dataset_info["gaps"] == 0


def test_a_filled_hour_that_never_was_is_left_out_and_said(tmp_path):
    table = written(local("2024-03-01", "2024-11-20", "h", "Europe/Berlin"), "%Y-%m-%d %H:%M")
    filled = pd.concat([table, pd.DataFrame({"time": ["2024-03-31 02:00"], "x": [99.0]})]).sort_values(
        "time", kind="stable"
    )
    data = prepared(tmp_path, filled, timezone="Europe/Berlin")
    np.testing.assert_array_equal(data.values[:, 0], table.x.to_numpy(np.float32))
    assert any("2024-03-31 02:00:00, left out" in line for line in data.dataset_info["clock_told"])


@pytest.mark.parametrize(
    ("zone", "freq", "said"),
    [
        ("Europe/Berlin", "D", "22:00 and 23:00"),
        ("America/Chicago", "MS", "05:00 and 06:00"),
        ("Australia/Sydney", "W", ""),
    ],
)
def test_local_midnights_in_utc_are_refused_with_their_zone(tmp_path, zone, freq, said):
    table = local("2020-01-01", "2024-11-20", freq, zone)
    utc = written(table.assign(time=table.time.dt.tz_convert("UTC")), "%Y-%m-%dT%H:%M:%SZ")
    with pytest.raises(UserError, match="as midnights of") as told:
        prepared(tmp_path, utc)
    assert said in str(told.value)
    remedy = str(told.value).partition("data.timezone=")[2].partition(",")[0]
    data = prepared(tmp_path, utc, timezone=remedy)
    assert data.dataset_info["snapped_rows"] == data.dataset_info["gaps"] == 0
    assert [time.date() for time in stamps(data).tz_convert(zone)] == [time.date() for time in table.time]


def test_what_comes_after_the_training_is_read_by_its_clock(tmp_path):
    table = local("2023-01-01", "2024-02-29", "D", "Europe/Berlin")
    data = prepared(tmp_path, written(table))
    further = local("2024-02-01", "2024-04-20", "D", "Europe/Berlin")
    for form in ("%Y-%m-%d %H:%M:%S%z", "%Y-%m-%d"):
        written(further, form).to_csv(tmp_path / "recent.csv", index=False)
        recent = read_further(SeriesSection(), data.dataset_info, str(tmp_path / "recent.csv"), Progress())
        last = newest(recent, history=7, horizon=3)["timestamp"][0]
        ahead = [recent.frequency.stamp(int(time)) for time in recent.frequency.advance(int(last), np.arange(1, 3))]
        assert ahead == ["2024-04-21T00:00:00+02:00", "2024-04-22T00:00:00+02:00"]
        assert recent.dataset_info["gaps"] == 0


def test_a_model_of_one_offset_says_that_another_is_not_its_own(tmp_path):
    data = prepared(tmp_path, written(local("2024-01-01", "2024-02-20", "h", "Europe/Berlin")))
    assert "+01:00: the clock is taken never to change" in data.dataset_info["clock_told"][0]
    written(local("2024-06-01", "2024-06-20", "h", "Europe/Berlin")).to_csv(tmp_path / "recent.csv", index=False)
    recent = read_further(SeriesSection(), data.dataset_info, str(tmp_path / "recent.csv"), Progress())
    assert (
        "the UTC offset +02:00, which the clock UTC+01:00 of the model never has"
        in recent.dataset_info["clock_told"][0]
    )


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"timezone": "Berlin"}, "takes a zone of the IANA database"),
        ({"time": None, "frequency": "1h"}, "data.time=null numbers the rows"),
        ({"rate": 256}, "data.rate is for tables without times"),
        ({"holidays": "Atlantis"}, "takes a country, such as DE"),
        ({"holidays": "DE-XX"}, "The parts of DE are"),
    ],
)
def test_keys_that_mean_nothing_are_refused(section, words):
    with pytest.raises(ValueError, match=SeriesSection.__name__) as told:
        SeriesSection(**section)
    assert words in str(told.value)
