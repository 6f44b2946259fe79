"""Unroll's default forecaster beside darts' on the same series, split and test windows, with the same minutes.

Unroll is trained by `unroll train forecasting`. The peers run in an environment of their own:

    python3.11 -m venv ~/darts && ~/darts/bin/pip install 'darts[torch]'
    python benchmarks/forecasting.py --peer_python ~/darts/bin/python               # sample temperatures of two cities
    python benchmarks/forecasting.py --peer_python ~/darts/bin/python --data ETTh1.csv --time date \\
        --split_rows 8640 2880 2880 --horizon 96 --minutes 10

Seconds are those of training and validation, without reading data and without the test split; `to best` is when the
validation score was best. darts takes no missing values: for its models gaps are interpolated; they read each
channel as a series of its own, as Unroll does, z-scored by the train split. All are
scored by `unroll.pipelines.tasks.forecasting.backtest`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # else benchmarks/serving.py hides the package
from unroll.serving.engine.quiet import import_tensorflow  # noqa: E402

import_tensorflow()
import numpy as np  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Column, Table  # noqa: E402

from unroll.models.series.baselines import interpolate, last_value  # noqa: E402
from unroll.pipelines.data.series import data as series_data  # noqa: E402
from unroll.pipelines.data.series.data import SeriesData  # noqa: E402
from unroll.pipelines.data.series.section import SeriesSection  # noqa: E402
from unroll.pipelines.data.series.windows import windows  # noqa: E402
from unroll.pipelines.registry import task_named  # noqa: E402
from unroll.pipelines.tasks.forecasting.backtest import Backtest  # noqa: E402
from unroll.pipelines.tasks.forecasting.sample import sample  # noqa: E402
from unroll.pipelines.training.progress import Progress  # noqa: E402

_FIGURES = ("mse_z", "mae_z", "mase", "coverage_80")
_BASELINES = ("ridge", "seasonal_naive", "last_value")


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys: dict[str, Any] = {"split_rows": arguments.split_rows, "time": arguments.time}
        if arguments.data is None:
            found = sample(folder)
            arguments.data, keys = found.path, keys | found.settings["data"]
        keys |= {key: getattr(arguments, key) for key in ("series", "season") if getattr(arguments, key)}
        rows = [] if arguments.only_peers else _unroll(arguments, keys, folder)
        if arguments.peer_python:
            prepared = folder / "prepared"
            prepared.mkdir()
            series_data.prepare(SeriesSection(**keys), str(arguments.data), prepared, Progress())
            data = SeriesData.load(prepared)
            _write_for_peers(data, arguments, folder / "series.npz")
            rows += [_peer(system, data, arguments, folder) for system in arguments.peers]
    if arguments.json:
        print(json.dumps(rows))
        return
    table = Table(Column("system", no_wrap=True), "seconds", "to best", "MSE z", "MAE z", "MASE", "coverage 80")
    for row in rows:
        times = (row["seconds"], row["seconds_to_best"])
        cells = ["" if seconds is None else f"{seconds:.0f}" for seconds in times]
        cells += ["" if row[figure] is None else f"{row[figure]:.4f}" for figure in _FIGURES]
        table.add_row(row["system"].replace("_", " "), *cells)
    Console().print(table)


def _unroll(arguments: argparse.Namespace, keys: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """A row of the forecaster and one of each baseline."""
    settings = {f"data.{key}": value for key, value in keys.items()}
    settings |= {"model.lookback": arguments.lookback, "model.horizon": arguments.horizon}
    settings |= {"train.minutes": arguments.minutes, "train.seed": arguments.seed}
    chosen = [
        f"--set={key}={json.dumps(value) if isinstance(value, list) else value}" for key, value in settings.items()
    ]
    chosen += [f"--set={override}" for override in arguments.set]
    command = [sys.executable, "unroll.py", "train", "forecasting", "--json", "--home", str(folder / "home")]
    answer = subprocess.run(
        [*command, "--data", str(arguments.data.resolve()), *chosen], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    trained = json.loads(answer.stdout)
    metrics = trained["metrics"]
    curve = _curve(folder / "home", trained["run_id"])
    best = min(curve, key=lambda point: point[1])
    scores = {key: metrics[f"test/{key}"] for key in _FIGURES}
    rows = [{**_row("unroll", arguments, curve[-1][0], best[0], scores), "curve": curve}]
    for baseline in _BASELINES:
        scores = {key: metrics.get(f"test/{key}/{baseline}") for key in _FIGURES}
        rows.append(_row(baseline, arguments, None, None, scores))
    return rows


def _curve(home: Path, run: str) -> list[tuple[float, float]]:
    """Seconds of training and the validation score after each epoch."""
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    names = ("epoch_seconds", f"validation/{task_named('forecasting').monitor}")
    histories = [sorted(client.get_metric_history(run, name), key=lambda metric: metric.step) for name in names]
    seconds, scores = ([metric.value for metric in history] for history in histories)
    return list(zip(np.cumsum(seconds).tolist(), scores, strict=True))


def _write_for_peers(data: SeriesData, arguments: argparse.Namespace, path: Path) -> None:
    """Targets without gaps, z-scored, and the test windows by series and first step to forecast."""
    values = np.array(data.values[:, : data.targets])
    for row in range(len(data.ids)):
        part = slice(data.offsets[row], data.offsets[row + 1])
        filled = interpolate(values[None, part]).numpy()[0]
        values[part] = np.nan_to_num((filled - data.scales.mean[row]) / data.scales.std[row])
    found = []
    for batch in _test_windows(data, arguments).as_numpy_iterator():
        first = data.frequency.ordinal(data.start)[batch["series"]]
        found.append(np.stack([batch["series"], data.frequency.ordinal(batch["timestamp"]) + 1 - first], axis=1))
    origins = np.concatenate(found)
    if origins[:, 1].min() <= max(arguments.lookback, arguments.horizon):
        sys.exit(
            "error: a test window begins before a whole lookback, which darts cannot forecast. Lengthen the train split"
        )
    np.savez(
        path,
        values=values,
        offsets=data.offsets,
        windows=origins,
        lookback=arguments.lookback,
        horizon=arguments.horizon,
        levels=arguments.levels,
        **{part: np.stack(data.steps(part), axis=1) for part in ("train", "validation")},
    )


def _peer(system: str, data: SeriesData, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    output = folder / system / "forecast.npz"
    output.parent.mkdir()
    options = {"input": folder / "series.npz", "output": output, "system": system}
    options |= {"minutes": arguments.minutes, "seed": arguments.seed}
    command = [str(arguments.peer_python), str(ROOT / "benchmarks" / "peers" / "darts_forecasts.py")]
    command += [f"--{key}={value}" for key, value in options.items()]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    training = json.loads(answer.stdout.splitlines()[-1])
    with np.load(output) as arrays:
        forecast = arrays["forecast"]  # [N, H, C, 1 or Q], z-scored
    backtest = Backtest(arguments.levels, data.dataset_info["targets"], data.frequency)
    start = 0
    ids = np.array([one.encode() for one in data.ids], object)
    for batch in _test_windows(data, arguments).as_numpy_iterator():
        part = forecast[start : start + len(batch["target"])]
        start += len(part)
        raw = part * batch["std"][:, None, :, None] + batch["mean"][:, None, :, None]
        point = raw[..., raw.shape[-1] // 2]  # the median
        quantiles = np.broadcast_to(raw, (*point.shape, len(arguments.levels)))
        # scores of the same targets as Unroll's: those that a baseline can forecast
        naive = last_value(batch["history"][..., : data.targets], arguments.horizon)
        backtest.add({**batch, "series": ids[batch["series"]]}, {"model": point, "last_value": naive}, quantiles)
    scores: dict[str, float | None] = {**backtest.metrics()}
    if forecast.shape[-1] == 1:
        scores["coverage_80"] = None
    return {
        **_row(f"darts {system}", arguments, training["seconds"], training["seconds_to_best"], scores),
        "curve": training["curve"],
    }


def _row(
    system: str,
    arguments: argparse.Namespace,
    seconds: float | None,
    seconds_to_best: float | None,
    scores: dict[str, Any],
) -> dict[str, Any]:
    return {
        "system": system,
        "data": arguments.data.name,
        "lookback": arguments.lookback,
        "horizon": arguments.horizon,
        "minutes": arguments.minutes,
        "seed": arguments.seed,
        "seconds": seconds,
        "seconds_to_best": seconds_to_best,
        **{figure: scores[figure] for figure in _FIGURES},
    }


def _test_windows(data: SeriesData, arguments: argparse.Namespace):
    return windows(data, "test", lookback=arguments.lookback, horizon=arguments.horizon, batch_size=256)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer_python", type=Path, help="Python of an environment with darts; without, no peers")
    parser.add_argument("--peers", nargs="+", default=["tcn", "tcn_quantiles", "lstm"], help="also nlinear")
    parser.add_argument("--only_peers", action="store_true", help="leave Unroll out")
    parser.add_argument("--data", type=Path, help="CSV file; without, the sample temperatures")
    parser.add_argument("--time", default="time", help="column of the time")
    parser.add_argument("--series", help="column of the series id")
    parser.add_argument("--season", type=int, help="steps; of the seasonal naive forecast and of MASE")
    parser.add_argument("--split_rows", type=float, nargs=3, default=[0.7, 0.1, 0.2])
    parser.add_argument("--lookback", type=int, default=336)
    parser.add_argument("--horizon", type=int, default=24)
    parser.add_argument("--levels", type=float, nargs="+", default=[0.1, 0.5, 0.9], help="quantiles of the peers")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, for each system")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="further configuration of Unroll")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
