"""How often does the drift report cry wolf over series, and what does it miss?

The forecaster is the seasonal naive one with intervals from its training errors, the reference its answers on the
validation split; windows of requests are drawn from the test split, clean and damaged. Without --data the series is
made up: a daily and a weekly cycle, slow wander and noise, three years of hours.

    python benchmarks/drift/series.py
    python benchmarks/drift/series.py --data ETTh1.csv --time date --split_rows 8640 2880 2880

A made-up series is newly drawn for each of --references, since a rate holds over references, not for one. "as
texts" treats the records as a text's are: as if each were drawn for itself.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

from unroll.monitoring import Comparison, NumericFeature, ReferenceProfile, SeriesFeature, compare
from unroll.monitoring.variables import take

Tensors = dict[str, np.ndarray]


def made_up(hours: int, rng: np.random.Generator) -> np.ndarray:
    at = np.arange(hours)[:, None]
    cycles = 3 * np.sin(2 * np.pi * at / 24) + np.sin(2 * np.pi * at / 168)
    wander, noise = np.zeros((hours, 2)), rng.normal(size=(2, hours, 2))
    for hour in range(1, hours):
        wander[hour] = 0.98 * wander[hour - 1] + 0.2 * noise[0, hour]
    return (20 + cycles * [1, 2] + wander + 0.5 * noise[1]).astype(np.float32)


class Naive:
    """Seasonal naive forecasts with the 10 % and 90 % quantiles of their errors on the training split."""

    def __init__(self, train: np.ndarray, season: int, horizon: int) -> None:
        self.season, self.horizon = season, horizon
        self.errors = np.nanquantile(train[season:] - train[:-season], [0.1, 0.9], axis=0).T

    def __call__(self, history: np.ndarray) -> Tensors:
        steps = history.shape[1] - self.season + np.arange(self.horizon) % self.season
        forecast = np.nan_to_num(history[:, steps], nan=float(np.nanmean(history)))
        return {"forecast": forecast, "quantiles": forecast[..., None] + self.errors}


def windows(values: np.ndarray, lookback: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    rows = np.lib.stride_tricks.sliding_window_view(values, lookback + horizon, axis=0).transpose(0, 2, 1)
    return rows[:, :lookback], rows[:, lookback:]


def damages(train: np.ndarray, rng: np.random.Generator) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What goes wrong with a stream of values `(time, channels)`."""
    mean, std = np.nanmean(train, axis=0), np.nanstd(train, axis=0)
    return {
        "level up by one deviation": lambda v: v + std,
        "level up by three": lambda v: v + 3 * std,
        "scale x 2": lambda v: mean + 2 * (v - mean),
        "20 % gaps": lambda v: np.where(rng.random(v.shape) < 0.2, np.nan, v).astype(np.float32),
        "lost season": lambda v: (v[rng.permutation(len(v))]).astype(np.float32),
        "stuck sensor": lambda v: np.repeat(v[:1], len(v), axis=0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a CSV of one series, a channel a column")
    parser.add_argument("--time", default="date", help="its column of times, which is left out")
    parser.add_argument("--split_rows", type=int, nargs=3, default=[8640, 2880, 14400], help="rows of train, val, test")
    parser.add_argument("--season", type=int, default=24)
    parser.add_argument("--lookback", type=int, default=336)
    parser.add_argument("--horizon", type=int, default=96)
    parser.add_argument("--sizes", type=int, nargs="+", default=[30, 55])
    parser.add_argument("--windows", type=int, default=400)
    parser.add_argument("--references", type=int, default=20, help="made-up series")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    rng = np.random.default_rng(0)
    lookback, horizon = arguments.lookback, arguments.horizon
    train_rows, val_rows, test_rows = arguments.split_rows
    references = 1 if arguments.data else arguments.references
    results: dict[tuple[str, str, int], list[Comparison]] = {}

    def ask(key: tuple[str, str, int], profile: ReferenceProfile, values: Tensors, picked: np.ndarray) -> None:
        window = {name: take(value, picked) for name, value in values.items()}
        results.setdefault(key, []).append(compare(profile, window, [str(row) for row in picked]))

    for _ in track(range(references), "references", console=Console(stderr=True), transient=True):
        if arguments.data:
            values = pd.read_csv(arguments.data).drop(columns=arguments.time).to_numpy(np.float32)
        else:
            values = made_up(sum(arguments.split_rows), rng)
        train, val = values[:train_rows], values[train_rows - lookback : train_rows + val_rows]
        test = values[train_rows + val_rows - lookback : train_rows + val_rows + test_rows]
        forecaster = Naive(train, arguments.season, horizon)
        names = tuple(f"channel {number}" for number in range(values.shape[1]))
        feature = SeriesFeature(names, arguments.season, lookback, 0, 1, seconds=3600)

        def tensors(series: np.ndarray, forecaster: Naive = forecaster) -> tuple[Tensors, Tensors]:
            history, actual = windows(series, lookback, horizon)
            return {"history": history, "actual": actual}, forecaster(history)

        inputs, outputs = tensors(val)
        profile = ReferenceProfile.build([feature], inputs, outputs, model="naive")
        reference = profile.measure(inputs, outputs)
        numbers = [NumericFeature(name) for name in reference]
        as_texts = ReferenceProfile.build(numbers, {}, reference, model="naive")  # type: ignore[arg-type]
        clean = profile.measure(*tensors(test))
        count = len(test) - lookback - horizon
        damaged = damages(train, rng)
        for size in arguments.sizes:
            for start in rng.integers(0, count - size, arguments.windows // references):
                run = np.arange(start, start + size)[::-1]
                ask(("clean", "consecutive, as texts", size), as_texts, clean, run)
                ask(("clean", "consecutive", size), profile, clean, run)
                ask(("clean", "scattered", size), profile, clean, rng.permutation(count)[:size])
            for name, damage in damaged.items():
                for start in rng.integers(0, count - size, max(arguments.windows // references // 8, 1)):
                    part = damage(test[start : start + size + lookback + horizon - 1])
                    ask((name, "consecutive", size), profile, profile.measure(*tensors(part)), np.arange(size)[::-1])

    rows = []
    for (stream, drawn, size), compared in sorted(results.items(), key=lambda item: item[0][0] != "clean"):
        found = Counter(one.name.split("/")[1] for result in compared for one in result.features if one.drift)
        rows.append(
            {
                "system": "unroll",
                "stream": stream,
                "drawn": drawn,
                "requests": size,
                "windows": len(compared),
                "rate": float(np.mean([result.drift for result in compared])),
                "features": [name for name, _ in found.most_common(3)],
            }
        )
    if arguments.json:
        print(json.dumps(rows))
        return
    out = Table("windows of", "drawn", "requests", "windows", "alarms", "most telling")
    for row in rows:
        cells = (row["stream"], row["drawn"], str(row["requests"]), str(row["windows"]))
        out.add_row(*cells, f"{row['rate']:.1%}", ", ".join(row["features"]))
    Console(width=120).print(out)


if __name__ == "__main__":
    main()
