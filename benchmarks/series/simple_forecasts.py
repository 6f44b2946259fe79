"""The simple forecast alone, without a training, on the sets of series of benchmarks/defaults.py.

    python benchmarks/series/simple_forecasts.py --data workspace/sets      # made there by benchmarks/defaults.py
    python benchmarks/series/simple_forecasts.py --data workspace/sets --sets beer,gas --json

It shows in seconds a set what the closed-form part of a forecaster is worth: its MASE, beside that of the ridge
regression that each export carries and of naive forecasts, and the coverage of its 80 % interval.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from dataclasses import replace
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
from benchmarks.untuned.series_windows import LEVELS, read, scores  # noqa: E402
from unroll.models.series.blend import Expert, Forecasts, Inputs  # noqa: E402
from unroll.models.series.calendar import UNKNOWN_TIME  # noqa: E402
from unroll.pipelines.registry import task_named  # noqa: E402
from unroll.pipelines.tasks.forecasting.intervals.fitting import fit_intervals  # noqa: E402
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
            print(name, *(f"{row['system']} {row['metric']} {row['value']:.3f}" for row in found), sep="  ", flush=True)
    if arguments.json:
        print(json.dumps(rows))
        return
    covered = np.array([row["value"] for row in rows if row["metric"] == "coverage_80"])
    print(
        f"coverage of the 80 % interval: mean {covered.mean():.3f}, from {covered.min():.3f} to {covered.max():.3f}, ",
        end="",
    )
    print(f"{((covered >= 0.7) & (covered <= 0.9)).sum()} of {len(covered)} sets within 70 to 90 %")
    rows = [row for row in rows if row["metric"] == "mase"]
    by_system: dict[str, list[float]] = {}
    for row in rows:
        naive = next(r["value"] for r in rows if r["set"] == row["set"] and r["system"] == "seasonal naive")
        by_system.setdefault(row["system"], []).append(math.log(row["value"] / naive))
    for system, logs in by_system.items():
        print(f"{system}: {math.exp(sum(logs) / len(logs)):.3f} of seasonal naive's MASE, mean of {len(logs)} sets")


def measured(name: str, table: Path) -> list[dict[str, Any]]:
    """Scores of the simple forecast, and MASE of the ridge regression and of naive forecasts, on test windows."""
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
        intervals = fit_intervals(_certain(fit.path), fit, feed, LEVELS)
        spread = replace(intervals.spread, share=0.0)
    seconds, series = time.monotonic() - began, read(table, one)
    points: dict[str, list[np.ndarray]] = {"simple": [], "ridge": []}
    quantiles = []
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
            forecast, certain = _certain(fit.refitted.path)(inputs)
            points["simple"].append(forecast.numpy())
            quantiles.append(spread(forecast, certain, inputs["history"]).numpy())
            points["ridge"].append(fit.refitted.ridge(inputs["history"]).numpy())
    answers = {system: np.concatenate(parts) for system, parts in points.items()}
    answers |= {system: series_methods.METHODS[system](series, one)[0] for system in _NAIVE}
    case = {"task": "forecasting", "set": name, "seconds": seconds}
    found = scores(series, one, answers["simple"], np.concatenate(quantiles))
    rows = [{**case, "system": "simple", "metric": metric, "value": value} for metric, value in found.items()]
    return rows + [
        {**case, "system": system, "metric": "mase", "value": scores(series, one, answer, None)["mase"]}
        for system, answer in answers.items()
        if system != "simple"
    ]


def _certain(path: Expert) -> Forecasts:
    """A forecast with quantiles of no distance from it."""

    def forecasts(inputs: Inputs) -> tuple[tf.Tensor, tf.Tensor]:
        forecast = path(inputs)
        return forecast, tf.repeat(forecast[..., None], len(LEVELS), axis=-1)

    return forecasts


if __name__ == "__main__":
    main()
