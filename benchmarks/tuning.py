"""`unroll tune` with 10 trials beside 50 random ones over the same settings: a small public set of each task.

    python benchmarks/tuning.py                             # three sets, some two hours of two idle cores
    python benchmarks/tuning.py --sets emoji_groups --seeds 0 1 2
    python benchmarks/tuning.py --sets chicago --kill 4     # kill -9 after four trials, and the same command again
    python benchmarks/tuning.py --report                    # what was measured before, nothing run

Random trials are drawn by Optuna's random sampler and never pruned, are trained and scored by the same code, on the
same halves of the validation split, and their best is trained by `unroll train`. Epochs are few, so that a trial takes
half a minute. `chooser` is the validation loss of the best trial on the half that chose it, `held` on the other
half, the rest are of the test split. `worth` is how many random trials are needed for a best as good on the half that
chose, in half of all draws of so many from the 50 (more than there are: 51). Trials are kept in WORKSPACE, and a run
that was killed goes on.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from math import comb
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # else benchmarks/serving.py hides the package
import optuna  # noqa: E402
import pandas as pd  # noqa: E402
import yaml  # noqa: E402

from benchmarks.peers.environment import CACHE  # noqa: E402
from benchmarks.untuned.catalogue import SUFFIX  # noqa: E402
from unroll.pipelines.configurations import config_schema  # noqa: E402
from unroll.pipelines.training.config import load_config  # noqa: E402
from unroll.pipelines.tuning.search import CHECKS, Search, finished, open_study  # noqa: E402
from unroll.pipelines.tuning.search_space import near_own, search_space, with_values  # noqa: E402

TASKS = {"chicago": "forecasting", "emoji_groups": "sentiment", "handwritten": "captioning"}
SETTINGS: dict[str, dict[str, Any]] = {
    "chicago": {
        "data.time": "time",
        "data.targets": ["ridership"],
        "data.future_covariates": ["temp", "percip", "Bulls_Home", "Bears_Home", "Cubs_Home"],
        "model.horizon": 14,
        "model.members": 1,
        "train.epochs": 2,
    },
    "emoji_groups": {"data.split": "split", "model.members": 1, "train.epochs": 3},
    "handwritten": {"data.split": "split", "train.epochs": 3},
}
METRICS = {"forecasting": "test/mase", "sentiment": "test/log_loss", "captioning": "test/exact_match"}
RANDOM, TUNE = "random", "unroll tune"
_SEED = 1000  # of random draws: those of `unroll tune` begin with others
_PROCESS = 20  # trials of one: TensorFlow keeps something of every graph


def main() -> None:
    if sys.argv[1:2] == ["--draw"]:
        _draw(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
        return
    arguments = _arguments()
    measured = arguments.workspace / "rows.jsonl"
    if not arguments.report:
        arguments.workspace.mkdir(parents=True, exist_ok=True)
        for name in arguments.sets:
            case = _Case(name, arguments)
            for rows in (case.random(), *(case.tune(seed) for seed in arguments.seeds)):
                with measured.open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in rows)
    rows = [json.loads(line) for line in measured.read_text().splitlines()]
    last = {(row["set"], row["system"], row["seed"], row["metric"]): row for row in rows}
    print(json.dumps([*last.values()]) if arguments.json else pd.DataFrame(last.values()).to_string(index=False))


class _Case:
    """One set, on which both are measured."""

    def __init__(self, name: str, arguments: argparse.Namespace) -> None:
        self._name, self._arguments, self._task = name, arguments, TASKS[name]
        self._data = (arguments.data / self._task / f"{name}{SUFFIX[self._task]}").resolve()
        self._settings = SETTINGS[name]
        self._home = arguments.workspace.resolve() / name

    def random(self) -> list[dict[str, Any]]:
        """Fifty trials, and a training of the best."""
        folder, trials = self._home / "random", self._arguments.random_trials
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        if not (folder / "search.json").exists():
            _save(self._task, self._settings, self._data, folder, trials)
        while (done := len(finished(_random_study(folder, 0)))) < trials:
            count = min(_PROCESS, trials - done)
            draw = [sys.executable, __file__, "--draw", str(folder), str(_SEED + done), str(count)]
            told = subprocess.run(draw, cwd=ROOT, stderr=subprocess.PIPE, text=True)
            if told.returncode:
                sys.exit(f"{' '.join(draw)} failed:\n{told.stderr}")
        best = min(self._losses(folder), key=lambda one: one.value)
        file = folder / "best.yaml"
        overrides = [f"{key}={json.dumps(value)}" for key, value in self._settings.items()]
        set_ = load_config(config_schema(self._task), overrides=overrides).model_dump(mode="json", exclude_unset=True)
        file.write_text(yaml.safe_dump(with_values(set_, best.params)))
        command = self._command("train", f"{self._name}-random", ["--config", str(file)])
        document = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
        return self._rows(RANDOM, trials, best, document, time.monotonic() - began, 0)

    def tune(self, seed: int) -> list[dict[str, Any]]:
        """The command, killed in the middle if that is asked for."""
        named = f"{self._name}-{seed}"
        options = [part for key, value in self._settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        options += ["--set", f"train.seed={seed}", "--trials", str(self._arguments.trials), "--jobs", "1"]
        command = self._command("tune", named, options)
        began = time.monotonic()
        if self._arguments.kill:
            _kill_after(command, self._arguments.kill)
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if told.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{told.stderr}")
        seconds = time.monotonic() - began
        (self._home / f"{named}.txt").write_text(told.stderr)
        document = json.loads(told.stdout)
        tried = [one for log in self._logs() for one in self._losses(log) if Search.load(log).name == named]
        best = min(tried, key=lambda one: one.value)
        return self._rows(TUNE, document["tuning"]["trials"], best, document, seconds, seed)

    def _logs(self) -> list[Path]:
        return [file.parent for file in (self._home / "cache" / "runs").glob("*/search.json")]

    def _losses(self, folder: Path) -> list[optuna.trial.FrozenTrial]:
        study = open_study(folder)
        return study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])

    def _command(self, verb: str, name: str, options: Sequence[str]) -> list[str]:
        command = [sys.executable, "-m", "unroll", verb, self._task, "--data", str(self._data), "--name", name]
        return [*command, "--home", str(self._home), "--no-register", "--json", *options]

    def _rows(
        self,
        system: str,
        trials: int,
        best: optuna.trial.FrozenTrial,
        document: dict[str, Any],
        seconds: float,
        seed: int,
    ) -> list[dict[str, Any]]:
        metric = METRICS[self._task]
        random = [one.value for one in self._losses(self._home / "random")]
        scores = {
            "chooser": best.value,
            "held": statistics.fmean(best.user_attrs[CHECKS]),
            metric: document["metrics"][metric],
            "worth": worth(best.value, random),
        }
        case = {"set": self._name, "system": system, "seed": seed, "trials": trials}
        return [{**case, "metric": key, "value": one, "seconds": round(seconds)} for key, one in scores.items()]


def worth(loss: float, random: Sequence[float]) -> int:
    """How many of the random losses are drawn until, in half of all draws, one is no greater than a loss.

    Example:
        >>> worth(1.0, [1.0, 2.0, 3.0, 4.0]), worth(0.5, [1.0, 2.0])
        (2, 3)
    """
    worse, total = sum(one > loss for one in random), len(random)
    return next((n for n in range(1, total + 1) if comb(worse, n) / comb(total, n) <= 0.5), total + 1)


def _random_study(folder: Path, seed: int) -> optuna.Study:
    study = open_study(folder)
    study.sampler, study.pruner = optuna.samplers.RandomSampler(seed=seed), optuna.pruners.NopPruner()
    return study


def _save(task: str, settings: dict[str, Any], data: Path, folder: Path, trials: int) -> None:
    """What `unroll tune` would tell the processes of its trials."""
    from unroll.pipelines.data import records
    from unroll.pipelines.prepared import prepared
    from unroll.pipelines.registry import task_named
    from unroll.pipelines.training.progress import Progress
    from unroll.pipelines.training.tracking import Tracking
    from unroll.workspace import Workspace

    kind, home, name = task_named(task), folder.parent, f"{folder.parent.name}-random"
    overrides = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    config = load_config(kind.Config, overrides=overrides)
    digest = records.digest(kind.files(config, str(data)))
    workspace = Workspace(home)
    with Progress() as progress:
        problem = prepared(kind, config, str(data), digest, workspace, progress)
    with Tracking(workspace, create=True).run(name, name=f"{name} trials") as run:
        parent = run.run_id
    space, own = near_own(search_space(task, config, []), problem.config.model_dump(mode="json"))
    Search(
        task=task,
        modules=(),
        settings=config.model_dump(mode="json"),
        space=space,
        own=own,
        data=str(data),
        digest=digest,
        home=str(home),
        name=name,
        parent=parent,
        trials=trials,
        threads=max(1, os.cpu_count() or 1),
    ).save(folder)


def _draw(folder: Path, seed: int, count: int) -> None:
    from unroll.serving.engine.quiet import import_tensorflow

    import_tensorflow()
    from unroll.pipelines.tuning.trial import Trials

    search, study = Search.load(folder), _random_study(folder, seed)
    study.optimize(Trials(search, folder, time.time() + 1e9), n_trials=count)


def _kill_after(command: Sequence[str], trials: int) -> None:
    """Kills the command, and waits until the processes that it had started are gone."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(f"Trial {trials - 1}:"):
            break
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    while any(Path(f"/proc/{child}").exists() for child in children):
        time.sleep(0.1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--random-trials", type=int, default=50)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of `unroll tune`, which is run for each")
    parser.add_argument("--kill", type=int, default=0, help="trials after which `unroll tune` is killed once")
    parser.add_argument("--workspace", type=Path, default=Path("workspace") / "tuning")
    parser.add_argument("--data", type=Path, default=CACHE / "sets", help="where benchmarks/defaults.py made the sets")
    parser.add_argument("--report", action="store_true", help="only what was measured before")
    parser.add_argument("--json", action="store_true", help="print rows, one object each")
    return parser.parse_args()


if __name__ == "__main__":
    main()
