"""Calendar features against pandas' own calendar."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from unroll.models.series.calendar import UNKNOWN_TIME, calendar_cycles, calendar_features
from unroll.models.series.stepping import advance

STEPS = [
    ("15min", {"seconds": 900}),
    ("1h", {"seconds": 3600}),
    ("1D", {"seconds": 86_400}),
    ("7D", {"seconds": 7 * 86_400}),
    ("MS", {"months": 1}),
    ("ME", {"months": 1, "month_end": True}),
    ("QE", {"months": 3, "month_end": True}),
    ("YS", {"months": 12}),
]


def grid(alias, start="2019-12-31"):
    times = pd.date_range(start, periods=500, freq=alias)
    return times, times.as_unit("s").astype(np.int64).to_numpy()


@pytest.mark.parametrize(("alias", "step"), STEPS)
@pytest.mark.parametrize("start", ["1961-03-01", "2019-12-31"])
def test_timestamps_advance_as_pandas_counts(alias, step, start):
    _, seconds = grid(alias, start)
    newest = tf.constant(seconds[[100, 250, 399]])[:, None]
    advanced = advance(newest, tf.range(-100, 101, dtype=tf.int64)[None], **step)
    for row, index in enumerate([100, 250, 399]):
        np.testing.assert_array_equal(advanced[row], seconds[index - 100 : index + 101])


@pytest.mark.parametrize(("alias", "step"), STEPS)
def test_features_are_the_phases_of_day_week_and_year(alias, step):
    times, seconds = grid(alias)
    step = {key: value for key, value in step.items() if key != "month_end"}
    cycles = calendar_cycles(**step, span=10**9)
    features = calendar_features(tf.constant(seconds[[200, 333]]), -99, 100, cycles, **step).numpy()
    names = [f"{wave}_of_{cycle}" for cycle in cycles for wave in ("sin", "cos")]
    assert features.shape == (2, 200, len(names))
    assert features.dtype == np.float32
    of_day = (times.hour + times.minute / 60) / 24
    year_length = np.where(times.is_leap_year, 366, 365)
    phases = {
        "day": of_day,
        "week": (times.dayofweek + of_day) / 7,
        "year": (times.month - 1) / 12 if "months" in step else (times.dayofyear - 1 + of_day) / year_length,
    }
    for row, newest in enumerate([200, 333]):
        for column, name in enumerate(names):
            wave, _, cycle = name.partition("_of_")
            angle = 2 * np.pi * np.asarray(phases[cycle])[newest - 99 : newest + 101]
            expected = np.sin(angle) if wave == "sin" else np.cos(angle)
            # the year is counted by its mean length: a day and a half at most beside the date
            tolerance = 2 * np.pi * 1.5 / 365 if cycle == "year" and "seconds" in step else 1e-5
            np.testing.assert_allclose(features[row, :, column], expected, atol=tolerance)


def test_a_cycle_is_longer_than_a_step_and_seen_twice():
    assert calendar_cycles(seconds=900, span=10**9) == ["day", "week", "year"]
    assert calendar_cycles(seconds=86_400, span=10**9) == ["week", "year"]
    assert calendar_cycles(months=12, span=100) == []
    assert calendar_cycles(seconds=3600, span=24 * 700) == ["day", "week"]
    assert calendar_cycles(seconds=3600, span=24 * 731) == ["day", "week", "year"]
    assert [calendar_cycles(months=3, span=span) for span in (7, 8)] == [[], ["year"]]


def test_an_unknown_time_has_unknown_features_and_spoils_no_other():
    known = tf.constant([0, 7200], tf.int64)
    mixed = tf.constant([0, UNKNOWN_TIME, 7200], tf.int64)
    features = tf.function(lambda times: calendar_features(times, -3, 2, ["day", "year"], seconds=3600))(mixed).numpy()
    assert np.isnan(features[1]).all()
    np.testing.assert_array_equal(features[[0, 2]], calendar_features(known, -3, 2, ["day", "year"], seconds=3600))
