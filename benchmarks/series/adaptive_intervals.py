"""Coverage of streams whose variance changes, of a model that adapts its intervals and of the same one that doesn't.

    python benchmarks/series/adaptive_intervals.py

Made-up hourly series with a daily cycle and autoregressive noise, which after 300 hours becomes --factor times as large
(or, in a second group of streams, as small). Each stream is sent to the signature `step` value by value, once with the
`adaptive` of the last answer and once without. Coverage is that of the 80 % interval over all steps of the horizon.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

import unroll
from unroll.pipelines.training.exported import Exported

_TRAINED, _CALM, _AFTER, _LOOKBACK, _HORIZON, _STREAMS = 1200, 300, 700, 48, 24, 20
_PARTS = {"before": (-200, 0), "1-100": (0, 100), "101-200": (100, 200), "201-400": (200, 400), "401-676": (400, 676)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factor", type=float, default=2.5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        served = _trained(Path(folder))
        rows = [row for factor in (arguments.factor, 1 / arguments.factor) for row in _measure(served, factor)]
    if arguments.json:
        print(json.dumps(rows))
        return
    table = Table("noise", "hours after the change", "adaptive", "not", "first step, adaptive", "not")
    for row in rows:
        numbers = (row["adaptive"], row["fixed"], row["adaptive_first"], row["fixed_first"])
        table.add_row(f"x {row['factor']:.2g}", row["hours"], *(f"{one:.3f}" for one in numbers))
    Console().print(table)


def _series(length: int, change: int | None, factor: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise, values = 0.0, np.empty(length)
    for hour in range(length):
        size = factor if change is not None and hour >= change else 1.0
        noise = 0.7 * noise + size * rng.normal()
        values[hour] = 100 + 10 * np.sin(2 * np.pi * hour / 24) + noise
    return values.astype(np.float32)


def _trained(folder: Path) -> Exported:
    data = folder / "series.csv"
    time = pd.date_range("2026-01-01", periods=_TRAINED, freq="h")
    pd.DataFrame({"time": time, "load": _series(_TRAINED, None, 1.0, 0)}).to_csv(data, index=False)
    config = {"model.lookback": _LOOKBACK, "model.horizon": _HORIZON, "model.members": 1, "train.epochs": 1}
    return Exported(Path(unroll.train("forecasting", data, name="stream", home=folder, config=config).path))


def _measure(served: Exported, factor: float) -> list[dict[str, Any]]:
    length, change = _LOOKBACK + _CALM + _AFTER, _LOOKBACK + _CALM
    series = np.stack([_series(length, change, factor, 1 + seed) for seed in range(_STREAMS)])[..., None]
    inside = {name: _covered(served, series, name == "adaptive") for name in ("adaptive", "fixed")}
    rows = []
    for hours, (begin, end) in _PARTS.items():
        row: dict[str, Any] = {"system": "unroll", "factor": factor, "hours": hours}
        for name, one in inside.items():
            part = one[:, change + begin : change + end]  # by the newest hour of the history
            row |= {name: float(part.mean()), f"{name}_first": float(part[:, :, 0].mean())}
        rows.append(row)
    return rows


def _covered(served: Exported, series: np.ndarray, adaptive: bool) -> np.ndarray:
    """Whether each forecast held: bool `[streams, time, horizon]`."""
    streams, length, _ = series.shape
    state = {"state": np.zeros([streams, _LOOKBACK, 1], np.float32), "state_length": np.zeros(streams, np.int32)}
    inside = np.zeros([streams, length - _HORIZON, _HORIZON], bool)
    for now in range(length - _HORIZON):
        answer = served.predict({"values": series[:, now : now + 1], **state}, "step")
        state = {name: answer[name] for name in (*state, *(["adaptive"] if adaptive else []))}
        actual = series[:, now + 1 : now + 1 + _HORIZON, 0]
        low, high = answer["quantiles"][:, :, 0, 0], answer["quantiles"][:, :, 0, -1]
        inside[:, now] = (low <= actual) & (actual <= high)
    return inside


if __name__ == "__main__":
    main()
