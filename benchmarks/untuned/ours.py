"""A set trained by `unroll train` with nothing but its columns named, and what the exported model answers.

    python -m benchmarks.untuned.ours TASK SET TABLE WORKSPACE MINUTES OUTPUT [KEY=VALUE]...

Its last line is a JSON object: seconds, whether it was `trained`, and whether its summary said that a baseline is
better (`worse`). All that the run said is in WORKSPACE/said.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import unroll
from benchmarks.untuned import scores
from benchmarks.untuned.series_sets import SETS, SeriesSet
from benchmarks.untuned.series_windows import Series, read

ROOT = Path(__file__).resolve().parents[2]
_ASKED = 256  # records of a request


def main() -> None:
    task, name, table, home, minutes, output, *extra = sys.argv[1:]
    trained = train(task, name, Path(table), Path(home), float(minutes), extra)
    said = Path(home) / "said" / f"{task}-{name}.txt"
    said.parent.mkdir(parents=True, exist_ok=True)
    said.write_text("\n".join([*trained.said, json.dumps(trained.document, indent=1)]))
    if trained.document:
        np.savez(output, **answers(task, name, Path(table), Path(home), trained.document["version"]))
    worse = _beaten((trained.document or {}).get("comparison", {}))
    print(json.dumps({"seconds": trained.seconds, "trained": trained.document is not None, "worse": worse}))


def _beaten(comparison: dict[str, Any]) -> bool:
    """Whether a baseline's better figure stood in the summary, beyond its interval or within."""
    level = comparison.get("level", False) and (comparison["low"] or 0) + (comparison["high"] or 0) > 0
    return bool(comparison.get("below") or level)


@dataclass(frozen=True)
class Trained:
    """A run of `unroll train`.

    Args:
        seconds: of the whole command.
        document: what `--json` printed; None: it was refused or failed.
        said: the lines of its progress and summary, or the error.
    """

    seconds: float
    document: dict[str, Any] | None
    said: list[str]


def train(task: str, name: str, table: Path, home: Path, minutes: float, extra: list[str]) -> Trained:
    """Trains with defaults.

    Args:
        task: of Unroll.
        name: of the set, and of the model.
        table: with the records.
        home: the workspace.
        minutes: of training at most.
        extra: further settings, `key=value`; none is the default.
    """
    settings = {**_named(task, name, table), "train.minutes": minutes}
    command = [sys.executable, "-m", "unroll", "train", task, "--json", "--home", str(home), "--name", name]
    command += ["--data", str(table)]
    for key, value in settings.items():
        command.append(f"--set={key}={value if isinstance(value, str) else json.dumps(value)}")
    command += [f"--set={one}" for one in extra]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    seconds = time.monotonic() - began
    said = done.stderr.splitlines()
    return Trained(seconds, json.loads(done.stdout) if done.returncode == 0 else None, said)


def _named(task: str, name: str, table: Path) -> dict[str, Any]:
    """The data's columns, and of series how many steps are asked for where it isn't the default."""
    if task != "forecasting":
        return {"data.split": "split"}
    one = SETS[name]
    columns = pd.read_csv(table, nrows=0).columns
    settings: dict[str, Any] = {"data.time": "time" if "time" in columns else None, "data.targets": list(one.targets)}
    if "series" in columns:
        settings["data.series"] = "series"
    for key, value in (("past_covariates", one.past), ("future_covariates", one.future)):
        if value:
            settings[f"data.{key}"] = list(value)
    return {**settings, "model.horizon": one.horizon}


def answers(task: str, name: str, table: Path, home: Path, version: int) -> dict[str, np.ndarray]:
    """What the model answers for a set's test part.

    Returns:
        `points` and `quantiles` (those of LEVELS) of windows; `probabilities` and `classes` of texts; or `captions`.
    """
    model = unroll.load(name, version, home=home)
    if task == "forecasting":
        return _forecasts(model, read(table, SETS[name]), SETS[name])
    column = "text" if task == "sentiment" else "image"
    records = scores.read(table)
    asked = records[column][records.split == "test"].tolist()
    parts = [model.predict({column: asked[start : start + _ASKED]}) for start in range(0, len(asked), _ASKED)]
    if task == "captioning":
        return {"captions": np.concatenate([part["caption"] for part in parts]).astype(str)}
    classes = json.loads(model.predict({}, "describe")["json"].item())["labels"]
    return {"probabilities": np.concatenate([part["probabilities"] for part in parts]), "classes": np.array(classes)}


def _forecasts(model: "unroll.Model", all_series: list[Series], one: SeriesSet) -> dict[str, np.ndarray]:
    about = json.loads(model.predict({}, "describe")["json"].item())
    levels = [about["quantiles"].index(level) for level in (0.1, 0.5, 0.9)]
    lookback, points, quantiles = about["lookback"], [], []
    for series in all_series:
        for start in range(0, len(series.origins), _ASKED):
            origins = series.origins[start : start + _ASKED]
            inputs: dict[str, Any] = {
                "history": np.stack([_history(series.values[:origin], lookback) for origin in origins])
            }
            if one.future:
                ahead = [series.values[origin : origin + one.horizon, -len(one.future) :] for origin in origins]
                inputs["future"] = np.stack(ahead).astype(np.float32)
            if series.times is not None:
                inputs["timestamp"] = series.times[origins - 1].as_unit("s").asi8
            answer = model.predict(inputs)
            points.append(answer["forecast"])
            quantiles.append(answer["quantiles"][..., levels])
    return {"points": np.concatenate(points), "quantiles": np.concatenate(quantiles)}


def _history(values: np.ndarray, lookback: int) -> np.ndarray:
    """The newest steps, with missing ones before a history that is shorter."""
    newest = values[-lookback:]
    return np.pad(newest, ((lookback - len(newest), 0), (0, 0)), constant_values=np.nan).astype(np.float32)


if __name__ == "__main__":
    main()
