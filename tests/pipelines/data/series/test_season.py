"""The season is the one that forecasts what it has not seen, of the calendar's and of those in the data."""

import numpy as np
import pandas as pd
import pytest

from unroll.pipelines.data.series import data as series_data
from unroll.pipelines.data.series.data import SeriesData
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.training.progress import Progress


def prepared(directory, values, **section) -> SeriesData:
    table = pd.DataFrame({"x": values})
    if "frequency" in section:
        table["time"] = pd.date_range("1901", periods=len(values), freq=section["frequency"])
    table.to_csv(directory / "table.csv", index=False)
    (directory / "prepared").mkdir()
    section.setdefault("time", "time" if "time" in table else None)
    series_data.prepare(SeriesSection(**section), str(directory / "table.csv"), directory / "prepared", Progress())
    return SeriesData.load(directory / "prepared")


def wave(count: int, period: int, noise: float = 0.2) -> np.ndarray:
    """A season whose shape is no sine, with noise."""
    place = np.arange(count) % period / period
    return 20 + 3 * np.exp(-8 * place) + 2 * (place > 0.6) + noise * np.random.default_rng(7).normal(size=count)


@pytest.mark.parametrize(("count", "period"), [(700, 30), (1500, 169), (120, 9)])
def test_a_season_of_no_calendar_is_found_in_the_data(tmp_path, count, period) -> None:
    data = prepared(tmp_path, wave(count, period))
    assert data.season == period
    assert f"Season {period} steps, found in the data" in data.dataset_info["season_chosen"]


@pytest.mark.parametrize(("count", "frequency"), [(320, "YS"), (160, "YS")])
def test_years_have_a_season_where_they_swing(tmp_path, count, frequency) -> None:
    swing = 50 + 40 * np.sin(2 * np.pi * np.arange(count) / 11) + 8 * np.random.default_rng(1).normal(size=count)
    assert prepared(tmp_path, swing, frequency=frequency).season == 11


@pytest.mark.parametrize(("frequency", "seed"), [("MS", 0), ("D", 1), ("h", 4), (None, 3)])
def test_a_random_walk_has_none(tmp_path, frequency, seed) -> None:
    walk = 100 + np.random.default_rng(seed).normal(size=600).cumsum()
    data = prepared(tmp_path, walk, **({"frequency": frequency} if frequency else {}))
    assert data.season == 1
    assert frequency is None or "No season" in data.dataset_info["season_chosen"]


def test_a_season_is_seen_below_a_trend_and_beside_a_single_event(tmp_path) -> None:
    values = wave(200, 12) + 0.5 * np.arange(200)
    values[150:152] += 60
    assert prepared(tmp_path, values, frequency="MS").season == 12


def test_the_test_part_has_no_say(tmp_path) -> None:
    values = wave(300, 12)
    data = prepared(tmp_path, values, frequency="MS")
    (tmp_path / "other").mkdir()
    values[240:] = np.random.default_rng(0).normal(size=60)
    other = prepared(tmp_path / "other", values, frequency="MS")
    assert data.dataset_info["season_chosen"] == other.dataset_info["season_chosen"]
