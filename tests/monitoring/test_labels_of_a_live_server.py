"""What came true is read as training read its data, of a model that was trained, served and asked in earnest."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import unroll
from tests.serving_fixtures import SERVE, Server, start_server, until
from unroll.errors import UserError
from unroll.monitoring.profile import ReferenceProfile
from unroll.monitoring.report import drift_report
from unroll.monitoring.requests import Window

L, H, ASKED = 24, 3, 34
SETTINGS = [
    "data.delimiter=;", "data.decimal=,", "data.encoding=cp1252", "data.time=Zeit", "data.targets=Verbrauch",
    "data.timezone=Europe/Berlin", f"model.lookback={L}", f"model.horizon={H}", "model.units=4", "model.members=1",
    "model.segment=6", "train.epochs=1",
]  # fmt: skip


def load_at(hours: pd.DatetimeIndex) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=len(hours))
    return 1000 + 300 * np.sin(2 * np.pi * hours.tz_convert("Europe/Berlin").hour / 24) + 20 * noise


def written(file: Path, hours: pd.DatetimeIndex) -> Path:
    """German numbers and local times without an offset, across the end of summer time."""
    local = hours.tz_convert("Europe/Berlin")
    numbers = [f"{value:.1f}".replace(".", ",") for value in load_at(hours)]
    rows = [f"{time:%d.%m.%Y %H:%M};{number};Köln" for time, number in zip(local, numbers, strict=True)]
    file.write_bytes("\n".join(["Zeit;Verbrauch;Ort", *rows, ""]).encode("cp1252"))
    return file


def logged(home: Path) -> bool:
    with suppress(UserError):  # nothing is logged yet
        report = drift_report("load", store=home / "store", requests=home / "requests", window=Window())
        return report.requests >= ASKED
    return False


@pytest.mark.slow
def test_a_report_with_labels_in_the_form_of_the_training_data(tmp_path: Path) -> None:
    hours = pd.date_range("2024-10-05", periods=24 * 24, freq="h", tz="UTC")
    home, data = tmp_path / "home", written(tmp_path / "data.csv", hours)
    given = [one for setting in SETTINGS for one in ("--set", setting)]
    unroll("train", "forecasting", "--data", data, "--home", home, "--name", "load", "--promote", *given)
    lines = data.read_bytes().splitlines(keepends=True)
    server: Server = start_server(*SERVE, "--home", str(home))
    try:
        for end in range(len(lines) - ASKED - H, len(lines) - H):
            (tmp_path / "recent.csv").write_bytes(b"".join([lines[0], *lines[end - L - 4 : end]]))
            unroll("predict", "load", "--input", tmp_path / "recent.csv", "--server", server.address)
        until(lambda: logged(home))
    finally:
        server.stop()
    report = ["monitor", "report", "load", "--home", home, "--labels"]
    done = json.loads(unroll(*report, data, "--json").stdout)
    assert done["window"]["unmatched"] == {"untimed": 0, "unknown": 0}
    assert done["window"]["records"] == ASKED
    found = ReferenceProfile.load(home / "store" / "load" / "1").actuals(data)
    assert found is not None
    times, values = found.series[""]
    assert (times == hours.tz_localize(None).to_numpy("datetime64[s]").astype(np.int64)).all(), "each hour once"
    np.testing.assert_allclose(values[:, 0], load_at(hours), atol=0.05)
