"""Steps of less than a second, and tables without a time."""

import numpy as np
import pandas as pd
import pytest

from unroll.errors import UserError
from unroll.pipelines.data.series.data import SeriesData, newest, prepare, read_further
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.training.progress import Progress


def prepared(folder, table, **section):
    table.to_parquet(folder / "data.parquet", index=False)
    prepare(SeriesSection(**section), str(folder / "data.parquet"), folder, Progress())
    return SeriesData.load(folder)


@pytest.mark.parametrize(
    ("rate", "name"), [(256, "256Hz"), (1000, "1000Hz"), (50, "50Hz"), (22.5, "22.5Hz"), (1000 / 3, "333.333333333Hz")]
)
@pytest.mark.parametrize("start", [0.0, 1_700_000_000.3])
def test_a_rate_is_found_and_rows_keep_their_places(tmp_path, rate, name, start):
    steps = np.delete(np.arange(2000), [700, 701])
    table = pd.DataFrame({"time": start + steps / rate, "x": steps.astype(float)})
    data = prepared(tmp_path, table)
    assert data.frequency.name == name
    assert data.dataset_info["gaps"] == 2
    found = data.values[:, 0]
    np.testing.assert_array_equal(found[~np.isnan(found)], steps)
    assert np.flatnonzero(np.isnan(found)).tolist() == [700, 701]


def test_times_of_recordings_are_told_as_they_are(tmp_path):
    times = pd.Timestamp("2024-05-01 12:00:00.252", tz="Europe/Berlin") + pd.to_timedelta(np.arange(500) * 4, "ms")
    data = prepared(tmp_path, pd.DataFrame({"time": times, "x": np.arange(500.0)}))
    assert data.frequency.name == "250Hz"
    assert data.frequency.stamp(int(data.start[0]) + 1) == "2024-05-01T12:00:00.256000+02:00"
    elapsed = prepared(tmp_path, pd.DataFrame({"time": np.arange(500) / 250, "x": np.arange(500.0)}))
    assert elapsed.frequency.stamp(499) == "1.996"


def test_rows_without_a_time_are_numbered_by_series(tmp_path):
    table = pd.DataFrame({"id": ["a", "b"] * 100, "x": np.arange(200.0)})
    data = prepared(tmp_path, table, time=None, series="id")
    assert data.frequency.name == "step"
    np.testing.assert_array_equal(data.values[:, 0], np.r_[np.arange(0, 200, 2), np.arange(1, 200, 2)])
    recent = read_further(
        SeriesSection(time=None, series="id"), data.dataset_info, str(tmp_path / "data.parquet"), Progress()
    )
    assert newest(recent, history=5, horizon=3)["timestamp"].tolist() == [99, 99]
    assert recent.frequency.stamp(100) == "100"
    assert prepared(tmp_path, table, time=None, series="id", rate=50).frequency.stamp(100) == "2"


def test_seconds_with_a_fraction_are_rounded_and_counted(tmp_path):
    times = pd.date_range("2024-01-01", periods=100, freq="10s") + pd.to_timedelta([0, 137] * 50, "ms")
    data = prepared(tmp_path, pd.DataFrame({"time": times, "x": np.arange(100.0)}))
    assert data.frequency.name == "10s"
    assert data.dataset_info["rounded_times"] == 50


def test_a_step_that_is_too_long_for_fractions_is_refused(tmp_path):
    table = pd.DataFrame({"time": np.arange(500) / 250, "x": np.arange(500.0)})
    with pytest.raises(UserError, match="500 times with fractions of a second fall on 3 seconds"):
        prepared(tmp_path, table, frequency="1s")
    assert prepared(tmp_path, table, frequency="250Hz").dataset_info["gaps"] == 0
    rng = np.random.default_rng(0)
    with pytest.raises(UserError, match=r"do not lie .* a second\. .*data\.frequency=1s"):
        prepared(tmp_path, table.assign(time=np.sort(rng.random(500) * 2)))
