"""Exported forecasters across changes of clocks: what happens at 08:00, or on Mondays, stays there."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.untrained_models import export, prepared
from unroll.pipelines.training.exported import Exported

HOURLY, DAILY = (168, 24), (28, 7)


def table(zone: str, freq: str, start: str) -> pd.DataFrame:
    times = pd.date_range(start, "2024-12-01", freq=freq, tz=zone)
    rng = np.random.default_rng(0)
    spike = times.dayofweek == 0 if freq == "D" else times.hour == 8
    cycle = 0 if freq == "D" else 20 * np.sin(2 * np.pi * (times.hour - 9) / 24)
    return pd.DataFrame({"time": times, "load": 100 + cycle + 60 * spike + rng.normal(0, 1, len(times))})


def forecaster(folder: Path, data: pd.DataFrame, lookback: int, horizon: int, **section) -> Exported:
    """Not trained: its encoder says nothing yet, so that its forecast is the linear map, which is fitted."""
    model = {"lookback": lookback, "horizon": horizon, "members": 1, "units": 4, "segment": 24}
    written = data.assign(time=[time.isoformat() for time in data.time])
    task = prepared("forecasting", written, {"data": section, "model": model}, folder)
    return export(task, task.build(), folder / "1")


def windows(data: pd.DataFrame, origins: np.ndarray, lookback: int, horizon: int):
    values = data.load.to_numpy(np.float32)
    instants = data.time.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[s]").astype(np.int64).to_numpy()
    history = np.stack([values[one - lookback - 1 : one] for one in origins])[..., None]
    return {"history": history, "timestamp": instants[origins - 1]}, np.stack(
        [values[o : o + horizon] for o in origins]
    )


def check(exported: Exported, data: pd.DataFrame, day: str, shape: tuple[int, int], stride: int, system: str) -> None:
    at = int((data.time < pd.Timestamp(day, tz=data.time.dt.tz)).sum())
    week = 7 * 24 if shape is HOURLY else 7
    before, across = (
        np.arange(first, last, stride) for first, last in ((at - 8 * week, at - shape[1]), (at - shape[1], at + week))
    )
    errors = []
    for origins in (before, across):
        given, actual = windows(data, origins, *shape)
        answer = exported.predict(given) if system == "forecast" else exported.predict(given, "baselines")
        forecast = answer[system][..., 0]
        errors.append(np.abs(forecast - actual).mean())
        spike = actual.max(axis=1) > 130
        assert (forecast[spike].argmax(axis=1) == actual[spike].argmax(axis=1)).mean() == 1
    assert errors[1] < 1.2 * errors[0]


@pytest.fixture(scope="module")
def sydney(tmp_path_factory) -> tuple[Exported, pd.DataFrame]:
    data = table("Australia/Sydney", "h", "2023-12-01")
    rows = [1400, 300, len(data) - 1700]
    return forecaster(tmp_path_factory.mktemp("hourly"), data, *HOURLY, season=24, split_rows=rows), data


@pytest.mark.parametrize("day", ["2024-04-07", "2024-10-06"])
@pytest.mark.parametrize("system", ["forecast", "seasonal_naive", "ridge"])
def test_a_spike_stays_at_its_local_hour(sydney, day, system):
    check(*sydney, day, HOURLY, 5, system)


def test_without_a_timestamp_a_history_is_taken_as_it_is(sydney):
    exported, data = sydney
    at = int((data.time < pd.Timestamp("2024-04-08", tz="Australia/Sydney")).sum())
    given, actual = windows(data, np.array([at]), *HOURLY)
    forecast = exported.predict({"history": given["history"]})["forecast"][..., 0]
    assert actual.argmax() == 8
    assert forecast.argmax() == 7, "24 hours after the last one, an hour early"


@pytest.mark.parametrize("zone", ["America/New_York"])
def test_a_day_stays_a_day(tmp_path, zone):
    data = table(zone, "D", "2022-06-01")
    exported = forecaster(tmp_path, data, *DAILY, season=7, holidays="US", split_rows=[500, 60, len(data) - 560])
    for day in ("2024-03-10", "2024-11-03"):
        check(exported, data, day, DAILY, 1, "forecast")
