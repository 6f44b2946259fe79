"""How far a forecaster looks back and ahead where nothing is said of it."""

import numpy as np
import pandas as pd
import pytest

from tests.untrained_models import prepared


def table(frequency: str, rows: int, season: int) -> pd.DataFrame:
    values = 10 + np.sin(2 * np.pi * np.arange(rows) / season)
    return pd.DataFrame({"time": pd.date_range("2021-01-01", periods=rows, freq=frequency), "x": values})


@pytest.mark.parametrize(
    ("frequency", "rows", "season", "lookback", "horizon"),
    [
        ("h", 3000, 24, 336, 24),
        ("30min", 3000, 48, 336, 48),
        ("D", 900, 7, 56, 14),
        ("MS", 144, 12, 36, 12),
        ("MS", 15, 12, 4, 1),
        ("QS", 60, 4, 17, 4),
        ("D", 200, 7, 56, 14),
        ("W", 400, 52, 132, 8),
    ],
)
def test_sizes_go_with_the_frequency_and_fit_the_rows(tmp_path, frequency, rows, season, lookback, horizon) -> None:
    task = prepared("forecasting", table(frequency, rows, season), {}, tmp_path)
    info = task.dataset_info()
    assert (info["lookback"], info["horizon"]) == (lookback, horizon)
    assert all(info["windows"][split]["windows"] > 0 for split in ("train", "validation", "test"))
    for said in info["chosen"]:
        assert said in task.summary()
    assert sum("steps" in said and ("Lookback" in said or "Horizon" in said) for said in info["chosen"]) == 2


def test_what_is_set_is_kept(tmp_path) -> None:
    task = prepared("forecasting", table("MS", 144, 12), {"model": {"lookback": 20, "horizon": 5}}, tmp_path)
    info = task.dataset_info()
    assert (info["lookback"], info["horizon"]) == (20, 5)
    assert not any("Lookback" in said or "Horizon" in said for said in info["chosen"])
