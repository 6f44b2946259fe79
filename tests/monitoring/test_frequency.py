"""Frequencies: found, named, stepped along, against pandas."""

import numpy as np
import pandas as pd
import pytest

from unroll.errors import UserError
from unroll.monitoring.times.frequency import Frequency
from unroll.monitoring.times.inference import infer


def seconds(index):
    return pd.DatetimeIndex(index).as_unit("s").astype(np.int64).to_numpy()


FREQUENCIES = [
    ("1s", "1s", "2024-02-28 23:59:50", [60, 3600]),
    ("10s", "10s", "2024-02-28", [6, 360]),
    ("5min", "5min", "2024-02-28", [12, 288]),
    ("15min", "15min", "2024-02-28 00:07", [96, 672]),
    ("30min", "30min", "2024-02-28", [48, 336]),
    ("1h", "1h", "1969-12-31 20:00", [24, 168]),
    ("1D", "1D", "2024-02-28 07:30", [7, 365]),
    ("1W", "7D", "2024-02-28", [52]),
    ("1M", "MS", "2023-11-01", [12]),
    ("1ME", "ME", "2023-11-30", [12]),
    ("1Q", "QS", "2023-10-01", [4]),
    ("1QE", "QE", "2023-12-31", [4]),
    ("1Y", "YS", "2020-01-01", []),
]


@pytest.mark.parametrize(("name", "alias", "start", "seasons"), FREQUENCIES)
def test_a_frequency_is_found_named_and_stepped_along_as_pandas_does(name, alias, start, seasons):
    times = seconds(pd.date_range(start, periods=40, freq=alias))
    found = infer(times)
    assert found is not None
    assert found.name == name
    assert found == Frequency.parse(name)
    assert found.seasons == seasons
    np.testing.assert_array_equal(found.advance(int(times[0]), np.arange(40)), times)
    np.testing.assert_array_equal(found.advance(int(times[30]), np.arange(-30, 10)), times)
    np.testing.assert_array_equal(np.diff(found.ordinal(times)), 1)
    assert infer(np.delete(times, [3, 4, 17])) == found, "a few gaps change no frequency"


def test_a_step_begins_where_its_number_says():
    for frequency in (Frequency.parse("1h"), Frequency.parse("1Q")):
        ordinal = frequency.ordinal(seconds(["2017-06-26 05:00"]))[0]
        begin, end = frequency.floor(int(ordinal)), frequency.floor(int(ordinal) + 1)
        assert begin <= seconds(["2017-06-26 05:00"])[0] < end


def test_one_time_has_no_frequency():
    assert infer(np.array([5])) is None


@pytest.mark.parametrize("alias", ["15min", "h", "2 h", "MS", "YE", "W"])
def test_names_that_pandas_knows_are_understood(alias):
    assert Frequency.parse(alias) == Frequency.parse(Frequency.parse(alias).name)


@pytest.mark.parametrize("name", ["hourly", "0h", "-1h", "", "1x", "h1", "1.5h"])
def test_other_names_are_refused_with_examples(name):
    with pytest.raises(UserError, match=r"data\.frequency: takes a count and a unit, such as 15min"):
        Frequency.parse(name)
