"""The local clock inside a graph, against pandas' time zones."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from unroll.models.series.baselines import seasonal_naive
from unroll.models.series.calendar import UNKNOWN_TIME, calendar_features, holiday_features
from unroll.models.series.clock_changes import ClockChanges
from unroll.models.series.local_clock import LocalClock
from unroll.models.series.stepping import advance
from unroll.monitoring.times.clock import Clock

CHANGES = [
    ("Europe/Berlin", "2024-10-27", "1h"),
    ("Europe/Berlin", "2024-03-31", "15min"),
    ("America/New_York", "2024-11-03", "1h"),
    ("America/New_York", "2024-03-10", "30min"),
    ("Australia/Sydney", "2024-04-07", "1h"),
    ("Australia/Sydney", "2024-10-06", "1h"),
    ("Australia/Lord_Howe", "2024-04-07", "30min"),
    ("Australia/Lord_Howe", "2024-10-06", "15min"),
    ("Africa/Casablanca", "2024-03-10", "1h"),
]


def graph_clock(zone: str) -> LocalClock:
    clock = Clock.of(zone)
    return LocalClock(clock.transitions, clock.offsets)


def seconds(times: pd.DatetimeIndex) -> np.ndarray:
    return times.tz_convert("UTC").tz_localize(None).as_unit("s").astype(np.int64).to_numpy()


def by_local_hour(times: pd.DatetimeIndex) -> np.ndarray:
    """A series of which the local time of day is all that there is."""
    return (times.hour * 60 + times.minute).to_numpy(np.float32)


@pytest.mark.parametrize(("zone", "day", "step"), CHANGES)
def test_a_seasonal_forecast_keeps_the_hour_across_a_change(zone, day, step):
    times = pd.date_range(pd.Timestamp(day, tz=zone) - pd.Timedelta(days=4), periods=9 * 96, freq=step)
    values, instants = by_local_hour(times), seconds(times)
    length = int(pd.Timedelta(step).total_seconds())
    season, horizon = 86_400 // length, 86_400 // length + 5
    changes = ClockChanges(graph_clock(zone), length)
    starts = np.arange(3 * season, 6 * season)
    history = np.stack([values[start - 3 * season : start] for start in starts])[:, :, None]
    forecast = changes.forecast(
        lambda history, shift: {"naive": seasonal_naive(history, horizon, season)},
        tf.constant(history),
        tf.constant(instants[starts - 1]),
        horizon,
    )["naive"][..., 0].numpy()
    actual = np.stack([values[start : start + horizon] for start in starts])
    # a time that was skipped a day before has no value there, and the last one stands for it
    assert (forecast == actual).mean() > 0.999
    assert (seasonal_naive(tf.constant(history), horizon, season)[..., 0].numpy() == actual).mean() < 0.9


def test_an_unknown_time_leaves_a_history_as_it_is_beside_one_that_moves():
    changes = ClockChanges(graph_clock("Europe/Berlin"), 3600)
    history = tf.random.normal([2, 48, 3])
    newest = seconds(pd.DatetimeIndex([pd.Timestamp("2024-10-27 12:00", tz="Europe/Berlin")]))[0]
    aligned = changes.aligned(history, tf.constant([UNKNOWN_TIME, newest], tf.int64)).numpy()
    np.testing.assert_array_equal(aligned[0], history[0])
    assert np.isnan(aligned[1, 0]).all(), "the local clock has gone an hour further back"
    np.testing.assert_array_equal(aligned[1, -10:], history[1, -10:])
    np.testing.assert_array_equal(aligned[1, 1:-11], history[1, :-12])


def test_an_hour_that_was_skipped_is_missing_or_as_the_one_after_it():
    changes = ClockChanges(graph_clock("Europe/Berlin"), 3600)
    history = tf.reshape(tf.range(20, dtype=tf.float32), [1, 20, 1])
    newest = tf.constant(seconds(pd.DatetimeIndex([pd.Timestamp("2024-03-31 12:00", tz="Europe/Berlin")])))
    aligned = changes.aligned(history, newest).numpy().ravel()
    np.testing.assert_array_equal(aligned, [*range(1, 10), np.nan, *range(10, 20)])
    filled = changes.aligned(history, newest, filled=True).numpy().ravel()
    np.testing.assert_array_equal(filled, [*range(1, 10), 10, *range(10, 20)])


def test_of_an_hour_that_comes_twice_the_history_ends_with_the_one_that_is_newest():
    changes = ClockChanges(graph_clock("Europe/Berlin"), 3600)
    first = 1_729_990_800 - 3600  # 02:00 with summer time
    history = tf.reshape(tf.range(10, dtype=tf.float32), [1, 10, 1])
    for newest in (first, first + 3600):
        aligned = changes.aligned(history, tf.constant([newest], tf.int64)).numpy()
        assert aligned[0, -1, 0] == 9


@pytest.mark.parametrize(("zone", "day", "step"), [*CHANGES, ("Pacific/Auckland", "2024-09-29", "2h")])
@pytest.mark.parametrize("civil", [False, True])
def test_features_of_the_time_of_day_are_local(zone, day, step, civil):
    start = pd.Timestamp(day, tz=zone) - pd.Timedelta(days=1)
    times = pd.date_range(start, periods=100, freq=step)
    length = int(pd.Timedelta(step).total_seconds())
    features = calendar_features(
        tf.constant(seconds(times[:1])), 0, 99, ["day", "week"], seconds=length, civil=civil, clock=graph_clock(zone)
    ).numpy()[0]
    if civil:  # 24 hours a day, whatever the clock does
        times = pd.date_range(start.tz_localize(None), periods=100, freq=step)
    angle = 2 * np.pi * (times.hour + times.minute / 60) / 24
    np.testing.assert_allclose(features[:, 0], np.sin(angle), atol=1e-4)
    np.testing.assert_allclose(features[:, 1], np.cos(angle), atol=1e-4)
    week = 2 * np.pi * (times.dayofweek + (times.hour + times.minute / 60) / 24) / 7
    np.testing.assert_allclose(features[:, 3], np.cos(week), atol=1e-4)


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Australia/Sydney", "America/Sao_Paulo", "Asia/Tokyo", "UTC+09:00", "UTC-05:00"]
)
@pytest.mark.parametrize(
    ("alias", "step"),
    [
        ("D", {"seconds": 86_400}),
        ("W-SUN", {"seconds": 7 * 86_400}),
        ("MS", {"months": 1}),
        ("QE", {"months": 3, "month_end": True}),
        ("BME", {"months": 1, "month_end": True, "business": True}),
        ("BMS", {"months": 1, "business": True}),
        ("B", {"weekdays": (0, 1, 2, 3, 4)}),
    ],
)
def test_days_and_more_advance_by_local_dates(zone, alias, step):
    times = pd.date_range("2016-06-01", periods=300, freq=alias).tz_localize(zone, nonexistent="shift_forward")
    instants = seconds(times)
    clock = graph_clock(zone)
    ahead = advance(tf.constant(instants[150]), tf.range(-150, 150, dtype=tf.int64), civil=True, clock=clock, **step)
    np.testing.assert_array_equal(ahead, instants)


def test_working_days_have_the_phase_of_their_week():
    times = pd.bdate_range("2024-02-20", periods=40, tz="Europe/Berlin")
    features = calendar_features(
        tf.constant(seconds(times[:1])), 0, 39, ["week"], weekdays=(0, 1, 2, 3, 4), clock=graph_clock("Europe/Berlin")
    )
    np.testing.assert_allclose(features[0, :, 1], np.cos(2 * np.pi * times.dayofweek / 7), atol=1e-4)


def test_holidays_are_looked_up_by_the_local_date():
    zone = "Australia/Sydney"
    new_year = int(np.datetime64("2025-01-01").astype(np.int64))
    newest = seconds(pd.DatetimeIndex([pd.Timestamp("2024-12-31 20:00", tz=zone)]))
    step = {"seconds": 3600, "civil": False, "clock": graph_clock(zone)}
    hours = holiday_features(tf.constant(newest), 1, 30, [new_year, new_year + 25], **step).numpy()[0]
    np.testing.assert_array_equal(hours, [0] * 3 + [1] * 24 + [0] * 3)
    newest = tf.constant(seconds(pd.DatetimeIndex([pd.Timestamp("2025-01-31", tz=zone)])))
    january = [new_year, new_year + 25]
    ends = holiday_features(newest, 0, 1, january, months=1, month_end=True, clock=graph_clock(zone))
    starts = holiday_features(newest - 30 * 86_400, 0, 1, january, months=1, clock=graph_clock(zone))
    np.testing.assert_array_equal([ends[0], starts[0]], [[2, 0], [2, 0]])
    assert np.isnan(holiday_features(tf.constant([UNKNOWN_TIME], tf.int64), 1, 3, [new_year], **step)).all()
