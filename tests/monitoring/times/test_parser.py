"""Cells of a column become times, with the offset of each."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from unroll.monitoring.times.parser import TimeParser

FILE = Path("data.csv")
WRITTEN = ["2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00", None, "2024-10-27T00:00:00.003906Z"]


@pytest.mark.parametrize("values", [pa.array(WRITTEN), pa.array(WRITTEN).dictionary_encode()])
def test_every_time_keeps_its_offset_and_its_fraction_of_a_second(values):
    parser = TimeParser("time")
    times = parser.parse(values, FILE, 2)
    midnight = int(np.datetime64("2024-10-27", "us").astype(np.int64))
    minutes = np.array([30, 90, 0]) * 60 * 1_000_000
    assert times.micros[[0, 1, 3]].tolist() == [midnight + minutes[0], midnight + minutes[1], midnight + 3906]
    assert times.missing.tolist() == [False, False, True, False]
    assert times.offsets.tolist() == [7200, 3600, 0, 0]
    assert parser.offsets == {"+02:00", "+01:00", "Z"}


def test_timestamps_of_a_zone_have_its_offsets():
    moments = [datetime(2024, 10, 26, 12), datetime(2024, 10, 27, 12), None]
    parser = TimeParser("time")
    times = parser.parse(pa.array(moments, pa.timestamp("ms", "Europe/Berlin")), FILE, 1)
    assert times.offsets.tolist() == [7200, 3600, 0]
    assert parser.zones == {"Europe/Berlin"}


def test_times_without_an_offset_have_none():
    assert TimeParser("time").parse(pa.array(["2024-10-27 02:30"]), FILE, 2).offsets is None
    assert TimeParser("time").parse(pa.array([datetime(2024, 1, 1)]), FILE, 2).offsets is None
