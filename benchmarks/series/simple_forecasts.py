"""The simple forecast alone, without a training, on the sets of series of benchmarks/defaults.py.

    python benchmarks/series/simple_forecasts.py --data workspace/sets      # made there by benchmarks/defaults.py
    python benchmarks/series/simple_forecasts.py --data workspace/sets --sets beer,gas --json

It shows in seconds a set what the closed-form part of a forecaster is worth: its MASE, beside that of the ridge
regression that each export carries and of naive forecasts.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[0] = str(ROOT)  # else benchmarks/serving.py hides the package
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks.peers.environment import CACHE  # noqa: E402
from benchmarks.untuned import series_methods  # noqa: E402
from benchmarks.untuned.ours import _history, _named  # noqa: E402
from benchmarks.untuned.series_sets import SETS  # noqa: E402
from benchmarks.untuned.series_windows import read, scores  # noqa: E402
from unroll.models.series.calendar import UNKNOWN_TIME  # noqa: E402
from unroll.pipelines.registry import task_named  # noqa: E402
from unroll.pipelines.tasks.forecasting.simple.fitting import fit_simple  # noqa: E402
from unroll.pipelines.training.progress import Progress  # noqa: E402

_ASKED = 128
_NAIVE = ("last value", "seasonal naive")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CACHE / "sets", help="where benchmarks/defaults.py made the sets")
    parser.add_argument("--sets", help="names, with commas between; all unless given")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in arguments.sets.split(",") if arguments.sets else SETS:
        found = measured(name, arguments.data / "forecasting" / f"{name}.csv")
        rows += found
        if not arguments.json:
            print(name, *(f"{row['system']} {row['value']:.3f}" for row in found), sep="  ", flush=True)
    if arguments.json:
        print(json.dumps(rows))
        return
    by_system: dict[str, list[float]] = {}
    for row in rows:
        naive = next(r["value"] for r in rows if r["set"] == row["set"] and r["system"] == "seasonal naive")
        by_system.setdefault(row["system"], []).append(math.log(row["value"] / naive))
    for system, logs in by_system.items():
        print(f"{system}: {math.exp(sum(logs) / len(logs)):.3f} of seasonal naive's MASE, mean of {len(logs)} sets")


def measured(name: str, table: Path) -> list[dict[str, Any]]:
    """MASE of the simple forecast, of the ridge regression beside it and of naive forecasts on a set's test windows."""
    one, began = SETS[name], time.monotonic()
    settings: dict[str, dict[str, Any]] = {}
    for key, value in _named("forecasting", name, table).items():
        section, key = key.split(".")
        settings.setdefault(section, {})[key] = value
    kind = task_named("forecasting")
    config = kind.Config.model_validate(settings)
    with tempfile.TemporaryDirectory() as folder:
        kind.prepare(config, str(table), Path(folder), Progress())
        feed = kind(config, Path(folder))._feed  # type: ignore[attr-defined]
        fit = fit_simple(feed)
    seconds, series = time.monotonic() - began, read(table, one)
    points: dict[str, list[np.ndarray]] = {"simple": [], "ridge": []}
    for each in series:
        for start in range(0, len(each.origins), _ASKED):
            origins = each.origins[start : start + _ASKED]
            history = np.stack([_history(each.values[:origin], feed.features.lookback) for origin in origins])
            ahead = [each.values[origin : origin + one.horizon, -len(one.future) :] for origin in origins]
            future = np.stack(ahead) if one.future else np.zeros([len(origins), one.horizon, 0])
            times = np.full(len(origins), UNKNOWN_TIME)
            if each.times is not None:
                times = each.times[origins - 1].as_unit("s").asi8
            static = tf.zeros([len(origins), 0], tf.int32)
            inputs = feed.features(history, tf.constant(times, tf.int64), tf.constant(future, tf.float32), static)
            points["simple"].append(fit.path(inputs).numpy())
            points["ridge"].append(fit.ridge(inputs["history"]).numpy())
    answers = {system: np.concatenate(parts) for system, parts in points.items()}
    answers |= {system: series_methods.METHODS[system](series, one)[0] for system in _NAIVE}
    case = {"task": "forecasting", "set": name, "metric": "mase", "seconds": seconds}
    return [
        {**case, "system": system, "value": scores(series, one, answer, None)["mase"]}
        for system, answer in answers.items()
    ]


if __name__ == "__main__":
    main()
