"""`--labels` as people have them: written as the training data is, and laid beside forecasts on the same grid."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unroll.errors import UserError
from unroll.monitoring import SeriesFeature
from unroll.monitoring.actuals import Actuals
from unroll.monitoring.features import from_json, to_json
from unroll.pipelines.data.series import data as series_data
from unroll.pipelines.data.series.data import SeriesData
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.tasks.forecasting.actuals import reading
from unroll.pipelines.training.progress import Progress

H = 5


def load(steps: int) -> np.ndarray:
    return np.round(1000 + 400 * np.sin(np.arange(steps)) + np.arange(steps), 2)


def german(file: Path) -> dict:
    """A bill's head, semicolons, decimal commas, points between thousands, days first, and a total."""
    days = pd.date_range("2025-01-01", periods=120)
    numbers = [f"{value:,.2f}".translate(str.maketrans(",.", ".,")) for value in load(120)]
    rows = [f"{day:%d.%m.%Y};{number};Köln" for day, number in zip(days, numbers, strict=True)]
    text = "\n".join(["Zählerstände;;", "", "Tag;Verbrauch;Ort", *rows])
    file.write_bytes(text.encode("cp1252"))
    return {
        "time": "Tag", "targets": ["Verbrauch"], "delimiter": ";", "encoding": "cp1252", "skip_rows": 2,
        "time_format": "%d.%m.%Y",
    }  # fmt: skip


def days_of_a_zone(file: Path) -> dict:
    """A row a local day, by its offset, across both changes of clocks."""
    days = pd.date_range("2025-01-01", periods=365, tz="Europe/Berlin")
    pd.DataFrame({"day": [day.isoformat() for day in days], "load": load(365)}).to_csv(file, index=False)
    return {"time": "day", "timezone": "Europe/Berlin"}


def hours_without_offset(file: Path) -> dict:
    """Local hours south of the equator, of which one comes twice and one is not there."""
    hours = pd.date_range("2025-03-20", periods=24 * 30, freq="h", tz="Australia/Sydney").tz_localize(None)
    pd.DataFrame({"time": hours, "load": load(len(hours))}).to_csv(file, index=False)
    return {"timezone": "Australia/Sydney"}


def a_logger(file: Path) -> dict:
    """Ten minutes, a few seconds late, sentinels for missing values, in two series."""
    rng = np.random.default_rng(0)
    times = pd.date_range("2025-01-01", periods=200, freq="10min")
    parts = []
    for name in ("007", "north"):
        late = pd.to_timedelta(rng.integers(0, 5, 200), unit="s")
        values = np.where(rng.random(200) < 0.1, -999, load(200))
        parts.append(pd.DataFrame({"time": times + late, "meter": name, "load": values, "plan": 1}))
    pd.concat(parts).to_csv(file, index=False)
    return {
        "series": "meter", "targets": ["load"], "future_covariates": ["plan"], "missing": ["-999"],
        "frequency": "10min",
    }  # fmt: skip


def month_ends(file: Path) -> dict:
    days = pd.date_range("2000-01-31", periods=120, freq="ME")
    pd.DataFrame({"time": days, "a": load(120), "b": -load(120)}).to_csv(file, index=False)
    return {"columns": "series"}


def prepared(tmp_path: Path, write: Callable[[Path], dict]) -> tuple[SeriesData, SeriesFeature, Path]:
    file = tmp_path / "data.csv"
    section = SeriesSection(**write(file))
    (tmp_path / "prepared").mkdir()
    series_data.prepare(section, str(file), tmp_path / "prepared", Progress())
    data = SeriesData.load(tmp_path / "prepared")
    info = data.dataset_info
    feature = SeriesFeature(
        tuple(info["targets"]), info["season"], 10, 0, 2, frequency=info["frequency"], timezone=info["timezone"],
        time_column="time", reading=reading(section, info),
    )  # fmt: skip
    return data, from_json(to_json(feature)), file


def asked(data: SeriesData, series: int, ends: np.ndarray) -> tuple[dict, dict]:
    newest = [int(data.frequency.advance(int(data.start[series]), np.array(end - 1))) for end in ends]
    forecast = np.zeros((len(ends), H, data.targets), np.float32)
    inputs = {
        "history": np.zeros((len(ends), 10, data.values.shape[1]), np.float32),
        "timestamp": np.array(newest),
        "series": np.array([data.ids[series].encode()] * len(ends), object),
    }
    return inputs, {"forecast": forecast, "quantiles": np.zeros((*forecast.shape, 3), np.float32)}


@pytest.mark.parametrize("write", [german, days_of_a_zone, hours_without_offset, a_logger, month_ends])
def test_what_came_true_is_what_training_reads(tmp_path: Path, write: Callable[[Path], dict]) -> None:
    data, feature, file = prepared(tmp_path, write)
    actuals = Actuals.read(file, feature)
    for series in range(len(data.ids)):
        values = data.values[data.offsets[series] : data.offsets[series + 1], : data.targets]
        ends = np.arange(1, len(values) - H + 1)
        inputs, _, rows = actuals.match(*asked(data, series, ends))
        assert len(rows) >= 0.8 * len(ends), "but for windows of missing values"
        for row, actual in zip(rows, inputs["actual"], strict=True):
            np.testing.assert_allclose(actual, values[ends[row] : ends[row] + H], rtol=1e-6)
        _, _, rows = actuals.match(*asked(data, series, np.array([len(values) - H + 1])))
        assert not len(rows), "the horizon is not over"


def test_later_rows_need_no_covariates_and_may_have_a_column_a_series(tmp_path: Path) -> None:
    data, feature, file = prepared(tmp_path, a_logger)
    table = pd.read_csv(file, dtype={"meter": str})
    table.drop(columns="plan").tail(40).to_csv(tmp_path / "late.csv", index=False)
    wide = table[table.meter == "north"].tail(40)
    pd.DataFrame({"time": wide["time"], "north": wide["load"], "007": 1.5}).to_csv(tmp_path / "wide.csv", index=False)
    values = data.values[data.offsets[1] : data.offsets[2], :1]
    for name in ("late.csv", "wide.csv"):
        inputs, _, rows = Actuals.read(tmp_path / name, feature).match(*asked(data, 1, np.array([195, 100])))
        assert rows.tolist() == [0]
        np.testing.assert_allclose(inputs["actual"][0], values[195:200], rtol=1e-6)


def test_a_form_that_is_not_the_training_datas_is_refused(tmp_path: Path) -> None:
    _, feature, file = prepared(tmp_path, german)
    pd.DataFrame({"Tag": ["2025-01-01"], "Verbrauch": [1.5]}).to_csv(tmp_path / "iso.csv", index=False)
    with pytest.raises(UserError, match=r"^--labels: .*iso\.csv"):
        Actuals.read(tmp_path / "iso.csv", feature)
    with pytest.raises(UserError, match=r"^--labels: .*no such file"):
        Actuals.read(tmp_path / "none.csv", feature)
    older = dataclasses.replace(feature, reading={}, time_column="Tag", time_format="%d.%m.%Y")
    with pytest.raises(UserError, match="--labels"):
        Actuals.read(file, older)


def test_a_file_in_another_form_is_read_as_the_settings_say(tmp_path: Path) -> None:
    _, feature, file = prepared(tmp_path, german)
    table = pd.read_csv(file, sep=";", skiprows=2, decimal=",", thousands=".", encoding="cp1252", dtype={"Tag": str})
    table = table.rename(columns={"Tag": "day"})
    other = tmp_path / "later.csv"
    table.to_csv(other, index=False)
    with pytest.raises(UserError, match="--labels: "):
        Actuals.read(other, feature)
    settings = ["data.delimiter=,", "data.encoding=utf-8", "data.skip_rows=0", "data.time=day", "data.decimal=."]
    found = Actuals.read(other, feature, settings).series[""]
    np.testing.assert_array_equal(found[1], Actuals.read(file, feature).series[""][1])
    with pytest.raises(UserError, match=r"only data.\* keys apply to a report. Received: 'model.horizon=3'"):
        Actuals.read(other, feature, ["model.horizon=3"])
