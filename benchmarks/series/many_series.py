"""Memory and time of training on many series: peak resident memory, and seconds an epoch by number of windows.

    python benchmarks/series/many_series.py                             # 10,000 series of 1,000 hourly steps
    python benchmarks/series/many_series.py --series 1000 --strides 8 4 2

Every stride trains a small forecaster with `unroll train forecasting` in a process of its own. What is asked of it:
memory stays below 2 GB, and an epoch's time grows with its windows and no faster.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow import MlflowClient
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent.parent
_SETTINGS = {
    "data.series": "id",
    "data.split_rows": "[0.9, 0.05, 0.05]",
    "model.lookback": 48,
    "model.horizon": 12,
    "model.units": 16,
    "model.members": 1,
    "model.segment": 12,
    "train.epochs": 2,
    "train.batch_size": 1024,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--strides", type=int, nargs="+", default=[64, 32, 16])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "series.parquet"
        _write(data, arguments.series, arguments.steps)
        rows = [_train(data, Path(folder), arguments, stride) for stride in arguments.strides]
    if arguments.json:
        print(json.dumps(rows))
        return
    table = Table("stride", "training windows", "seconds an epoch", "windows/s", "peak MiB")
    for row in rows:
        cells = (row["stride"], row["windows"], round(row["seconds"], 1), row["windows"] / row["seconds"], row["mib"])
        table.add_row(*(f"{cell:,.0f}" if isinstance(cell, int) or cell > 100 else str(cell) for cell in cells))
    Console().print(table)


def _write(path: Path, series: int, steps: int) -> None:
    """A daily cycle with noise and a level of its own for every series, one row group each hundred."""
    rng = np.random.default_rng(0)
    time = np.datetime64("2026-01-01", "s") + np.arange(steps) * np.timedelta64(3600, "s")
    cycle = np.sin(2 * np.pi * np.arange(steps) / 24)
    schema = pa.schema([("time", pa.timestamp("s")), ("id", pa.string()), ("value", pa.float32())])
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, series, 100):
            names = [f"series-{number}" for number in range(first, min(series, first + 100))]
            level = rng.lognormal(3, 1, [len(names), 1])
            values = level * (1 + 0.3 * cycle + rng.normal(0, 0.1, [len(names), steps]))
            columns = [np.tile(time, len(names)), np.repeat(names, steps), values.astype(np.float32).ravel()]
            writer.write_table(pa.table([pa.array(column) for column in columns], schema=schema))


def _train(data: Path, folder: Path, arguments: argparse.Namespace, stride: int) -> dict[str, Any]:
    home = folder / "home"
    chosen = [f"--set={key}={value}" for key, value in {**_SETTINGS, "train.stride": stride}.items()]
    command = [sys.executable, str(ROOT / "unroll.py"), "train", "forecasting", "--json", "--home", str(home)]
    process = subprocess.Popen(
        [*command, "--data", str(data), "--name", f"stride_{stride}", *chosen], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    answer = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"unroll train ended with status {status}")
    run = json.loads(answer)["run_id"]
    seconds = MlflowClient(f"sqlite:///{home / 'mlflow.db'}").get_metric_history(run, "epoch_seconds")
    ends = int(arguments.steps * 0.9) - 48 - 12
    return {
        "system": "unroll",
        "series": arguments.series,
        "steps": arguments.steps,
        "stride": stride,
        "windows": arguments.series * (ends // stride + 1),
        "seconds": min(metric.value for metric in seconds),  # the first epoch traces the graph as well
        "mib": usage.ru_maxrss // 1024,
    }


if __name__ == "__main__":
    main()
