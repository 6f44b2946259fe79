"""Scores against minutes of training: each task on its sample data, or on a file, with budgets that grow.

    python benchmarks/minutes.py                                   # forecasting and sentiment, half a minute to two
    python benchmarks/minutes.py --tasks captioning --minutes 1 3 10
    python benchmarks/minutes.py --tasks forecasting --busy 1      # a busy process a core begins in mid-run
    python benchmarks/minutes.py --tasks sentiment --minutes 3 --cells rnn lstm gru mingru tcn transformer

The score should not get worse with the minutes, beyond noise, and `seconds` should be near the budget: training and
validation, as the run tells them. With `--cells`, each is trained for all of the minutes, and other settings stay.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from unroll.pipelines.samples import sample_for
from unroll.pipelines.tasks.sentiment.sample import sample as reviews

METRICS = {
    "forecasting": "test/mase",
    "sentiment": "test/log_loss",
    "captioning": "test/exact_match",
    "language": "test/nats_per_character",
    "translation": "test/bleu",
}
_BUSY_AFTER = 0.5  # of the budget, and of what comes before training, about


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=METRICS, default=["forecasting", "sentiment"])
    parser.add_argument("--data", help="file, folder or glob instead of the sample data; for a single task")
    parser.add_argument("--minutes", type=float, nargs="+", default=[0.5, 1, 2])
    parser.add_argument("--cells", nargs="+", default=[""], help="one after the other instead of the task's default")
    parser.add_argument("--metric", help="instead of the task's, such as test/accuracy")
    parser.add_argument("--texts", type=int, default=3000, help="of the sample reviews, drawn by a fixed seed")
    parser.add_argument("--busy", type=int, default=0, help="processes that begin to compute in mid-run")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true", help="print rows, one object each")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as home:
        for task in arguments.tasks:
            data, settings = _data(task, arguments.data, arguments.texts, Path(home))
            metric = arguments.metric or METRICS[task]
            for minutes, cell in itertools.product(arguments.minutes, arguments.cells):
                chosen = [f"model.cell={cell}"] if cell else []
                given = [*settings, *arguments.set, *chosen, f"train.minutes={minutes:g}"]
                document = _train(task, data, given, Path(home), arguments.busy, 60 * minutes)
                training = document["training"]
                rows.append(
                    {
                        "task": task,
                        "set": Path(data).stem,
                        **({"cell": cell} if cell else {}),
                        "minutes": minutes,
                        "metric": metric,
                        "value": document["metrics"][metric],
                        "seconds": training["seconds"],
                        "epochs": training["epochs"],
                        "parameters": training["parameters"],
                        "seconds_a_step": training["step_seconds"],
                    }
                )
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(json.dumps(rows) if arguments.json else pd.DataFrame(rows).to_string(index=False))


def _data(task: str, data: str | None, texts: int, folder: Path) -> tuple[str, list[str]]:
    """A path and the settings that its columns need."""
    if data is not None:
        return data, []
    if task == "sentiment":
        file = folder / "reviews.csv"
        pd.read_csv(reviews(folder).path).sample(texts, random_state=0).to_csv(file, index=False)
        return str(file), []
    sample = sample_for(task, folder)
    keys = {f"{section}.{key}": value for section, keys in sample.settings.items() for key, value in keys.items()}
    return str(sample.path), [f"{key}={json.dumps(value)}" for key, value in keys.items()]


def _train(task: str, data: str, settings: list[str], home: Path, busy: int, budget: float) -> dict:
    options = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "unroll", "train", task, "--data", data, "--home", str(home / "workspace")]
    run = subprocess.Popen(
        [*command, *options, "--no-register", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    others = []
    try:
        if busy:
            time.sleep(_BUSY_AFTER * budget)
            others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
        output, _ = run.communicate()
    finally:
        for process in (run, *others):
            process.kill()
            process.wait()
    if run.returncode:
        sys.exit(f"{' '.join(command)} failed with exit code {run.returncode}")
    return json.loads(output)


if __name__ == "__main__":
    main()
