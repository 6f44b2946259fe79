"""Decoders and cells side by side on one set of captioned pictures, equal minutes each.

    python benchmarks/captioning.py                                   # the sample: OpenMoji's drawings
    python benchmarks/captioning.py --data emoji.parquet --set data.image=png --set data.split=split \\
        --set data.group=split --set data.size=64 --minutes 8 --jobs 2

Each is trained by `unroll train captioning` in a process of its own, with cores of its own if `--jobs` is more than
one. A run of two epochs tells how many fit into the minutes, so that each learning rate has come down when they end.
Scores are those of the exported model with its beam search; where `data.group` names a column, by its values.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
_METRICS = ("exact_match", "bleu4", "cider", "rouge_l")
_OVERHEAD = 1.1  # of later epochs over the first one's second half: validation, checkpoints


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--conditionings", nargs="+", default=["attention", "show_and_tell", "karpathy"])
    parser.add_argument("--cells", nargs="+", default=["rnn", "lstm", "gru", "tcn"])
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at the same time")
    parser.add_argument("--group", default="", help="of data.group, whose scores are shown")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    cases = [(how, cell) for how in arguments.conditionings for cell in arguments.cells]
    cores = sorted(os.sched_getaffinity(0))
    free: SimpleQueue[list[int]] = SimpleQueue()
    for job in range(arguments.jobs):
        free.put(cores[job :: arguments.jobs])

    def run(case: tuple[str, str]) -> dict[str, Any]:
        mine = free.get()
        try:
            return _case(arguments, *case, mine)
        finally:
            free.put(mine)

    with ThreadPoolExecutor(arguments.jobs) as pool:
        rows = list(pool.map(run, cases))
    if arguments.json:
        print(json.dumps(rows))
        return
    headings = [metric.replace("_", " ") for metric in _METRICS]
    table = Table("picture comes in by", "cell", "epochs", "seconds", *headings)
    for row in rows:
        scores = [f"{row[metric]:.3g}" for metric in _METRICS]
        table.add_row(row["conditioning"], row["cell"], str(row["epochs"]), f"{row['seconds']:.0f}", *scores)
    Console().print(table)


def _case(arguments: argparse.Namespace, conditioning: str, cell: str, cores: list[int]) -> dict[str, Any]:
    settings = [*arguments.settings, f"model.conditioning={conditioning}", f"model.cell={cell}"]
    with tempfile.TemporaryDirectory() as home:
        first = _train(arguments.data, [*settings, "train.epochs=2"], Path(home), cores)
        epoch = first["epochs"][-1]["epoch_seconds"] * _OVERHEAD
        epochs = max(1, int(arguments.minutes * 60 / epoch))
        done = _train(
            arguments.data, [*settings, f"train.epochs={epochs}", f"train.patience={epochs}"], Path(home), cores
        )
    suffix = f"/{arguments.group}" if arguments.group else ""
    scores = {metric: done["metrics"][f"test/{metric}{suffix}"] for metric in _METRICS}
    seconds = sum(one["epoch_seconds"] for one in done["epochs"])
    return {
        "system": "unroll",
        "conditioning": conditioning,
        "cell": cell,
        "epochs": epochs,
        "seconds": seconds,
        **scores,
    }


def _train(data: Path | None, settings: list[str], home: Path, cores: list[int]) -> dict[str, Any]:
    """What `train --json` says, and the metrics of each epoch."""
    command = [sys.executable, "-m", "unroll", "train", "captioning", "--json", "--home", str(home), "--name", "bench"]
    command += [] if data is None else ["--data", str(data.resolve())]
    command += [part for setting in settings for part in ("--set", setting)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        os.sched_setaffinity(process.pid, cores)  # before TensorFlow counts them
        said, _ = process.communicate()
    if process.returncode:
        sys.exit(f"error: {' '.join(command)} ended with code {process.returncode}")
    document = json.loads(said)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    seconds = client.get_metric_history(document["run_id"], "epoch_seconds")
    return {**document, "epochs": [{"epoch_seconds": one.value} for one in seconds]}


if __name__ == "__main__":
    main()
