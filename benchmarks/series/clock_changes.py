"""Forecasts across changes of clocks: errors of the days before a change, and of those that it lies in or before.

    python benchmarks/series/clock_changes.py                              # four zones, hourly and daily: 8 trainings
    python benchmarks/series/clock_changes.py --zones Europe/Berlin --steps 1h

Series are made up: an hourly one has a spike at 08:00 on the local clock, a daily one on Mondays, with a row a local
midnight. A small forecaster is trained on the time before, and forecasts are made through the exported graph, as a
server would make them. What is asked of it: the spike stays at its local hour, and the error across the change is at
most 1.2 times that of the days before.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

import unroll
from unroll.pipelines.training.exported import Exported

_ZONES = {
    "Europe/Berlin": ("2024-03-31", "2024-10-27"),
    "America/New_York": ("2024-03-10", "2024-11-03"),
    "Australia/Sydney": ("2024-04-07", "2024-10-06"),
    "Australia/Lord_Howe": ("2024-04-07", "2024-10-06"),
}
_STEPS = {
    "1h": {"lookback": 168, "horizon": 24},
    "30min": {"lookback": 336, "horizon": 48},
    "1D": {"lookback": 56, "horizon": 7},
}
_BEFORE, _AFTER = pd.Timedelta(days=21), pd.Timedelta(days=7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zones", nargs="+", choices=_ZONES, default=list(_ZONES))
    parser.add_argument("--steps", nargs="+", choices=_STEPS, default=["1h", "1D"])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [row for zone in arguments.zones for step in arguments.steps for row in _measure(zone, step)]
    if arguments.json:
        print(json.dumps(rows))
        return
    table = Table("zone", "step", "change", "MAE before", "MAE across", "ratio", "spike in place")
    for row in rows:
        numbers = (f"{row['before']:.3f}", f"{row['across']:.3f}", f"{row['across'] / row['before']:.2f}")
        table.add_row(row["zone"], row["step"], row["change"], *numbers, f"{row['spikes']:.0%}")
    Console().print(table)


def _measure(zone: str, step: str) -> Iterator[dict[str, Any]]:
    if zone.endswith("Lord_Howe") and step == "1h":
        step = "30min"  # clocks change by half an hour there
    settings = _STEPS[step]
    table = _series(zone, step)
    first = pd.Timestamp("2024-02-20", tz=zone)
    rows = [int((table.time < first).sum()) * share // 20 for share in (18, 2)]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "series.csv"
        table.assign(time=[time.isoformat() for time in table.time]).to_csv(data, index=False)
        model = unroll.train(
            "forecasting",
            data,
            name="clock",
            home=folder,
            config={
                "data.split_rows": [*rows, len(table) - sum(rows)],
                **{f"model.{name}": value for name, value in settings.items()},
                "model.units": 16,
                "model.members": 1,
                "train.epochs": 2,
            },
        )
        served = Exported(Path(model.path))
        for change in _ZONES[zone]:
            yield {"zone": zone, "step": step, "change": change, **_errors(served, table, zone, change, settings)}


def _series(zone: str, step: str) -> pd.DataFrame:
    times = pd.date_range("2022-06-01" if step == "1D" else "2023-06-01", "2024-12-01", freq=step, tz=zone)
    rng = np.random.default_rng(0)
    if step == "1D":
        load = 100 + 40 * (times.dayofweek == 0) + 10 * np.sin(2 * np.pi * times.dayofweek / 7)
    else:
        hour = times.hour + times.minute / 60
        load = 100 + 20 * np.sin(2 * np.pi * (hour - 9) / 24) + 60 * (times.hour == 8) - 10 * (times.dayofweek > 4)
    return pd.DataFrame({"time": times, "load": load + rng.normal(0, 1, len(times))})


def _errors(
    served: Exported, table: pd.DataFrame, zone: str, change: str, settings: dict[str, int]
) -> dict[str, float]:
    """Mean absolute errors of windows that end before the change, and of those that it lies in or not long before."""
    lookback, horizon = settings["lookback"], settings["horizon"]
    values = table.load.to_numpy(np.float32)
    utc = table.time.dt.tz_convert("UTC").dt.tz_localize(None)
    instants = utc.astype("datetime64[s]").astype(np.int64).to_numpy()
    at = pd.Timestamp(change, tz=zone)
    begin, middle, end = (int((table.time < time).sum()) for time in (at - _BEFORE, at, at + _AFTER))
    origins = np.arange(begin, end)
    history = np.stack([values[one - lookback - 2 : one] for one in origins])[..., None]
    answer = served.predict({"history": history, "timestamp": instants[origins - 1]})["forecast"][..., 0]
    actual = np.stack([values[one : one + horizon] for one in origins])
    errors = np.abs(answer - actual).mean(axis=1)
    across = origins + horizon > middle
    spike = actual.max(axis=1) > 130
    placed = answer.argmax(axis=1) == actual.argmax(axis=1)
    if settings is _STEPS["30min"]:  # two steps of the same height
        placed = actual[np.arange(len(actual)), answer.argmax(axis=1)] > 130
    return {
        "before": float(errors[~across].mean()),
        "across": float(errors[across].mean()),
        "spikes": float(placed[across & spike].mean()),
    }


if __name__ == "__main__":
    main()
