"""Defaults on data that nobody tuned on: Unroll beside simple methods on small sets that packages ship.

    python benchmarks/defaults.py                          # all sets: an hour and more; goes on when killed
    python benchmarks/defaults.py --task forecasting --sets beer,chicago
    python benchmarks/defaults.py --report                 # what was measured before, nothing run

Unroll is trained by `unroll train` with nothing but the columns named (of series also how many steps are asked for) and
at most --minutes, and asked through its exported model. All are scored by the same code on the same part, which no
method may learn from: the last fifth of series; of texts and pictures two tenths by a hash. What lies before it, each
uses as it likes. Rows are appended to WORKSPACE/rows.jsonl as they come; Unroll's count for the revision and the
minutes that they were measured with, the methods' for good.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # else benchmarks/serving.py hides the package
import numpy as np  # noqa: E402
from rich.console import Console  # noqa: E402

from benchmarks.peers.environment import CACHE  # noqa: E402
from benchmarks.untuned import packages, record_methods, series_methods, series_sets  # noqa: E402
from benchmarks.untuned.catalogue import METHODS, SETS, SUFFIX  # noqa: E402
from benchmarks.untuned.report import TOLD, report  # noqa: E402
from benchmarks.untuned.rows import OURS, Rows  # noqa: E402
from benchmarks.untuned.scores import read, scores  # noqa: E402


def main() -> None:
    arguments = _arguments()
    arguments.workspace = arguments.workspace.resolve()
    rows = Rows(arguments.workspace / "rows.jsonl")
    if not arguments.report:
        run = _Run(arguments, rows)
        for task, name, system in _chosen(arguments):
            run(task, name, system)
    named = {(task, name) for task, name, _ in _chosen(arguments)}
    found = [row for row in rows if (row["task"], row["set"]) in named]
    if arguments.json:
        print(json.dumps(found))
        return
    report(found, Console(width=150))


class _Run:
    """Measures one system on one set, unless it is measured."""

    def __init__(self, arguments: argparse.Namespace, rows: Rows) -> None:
        self._arguments, self._rows = arguments, rows
        self._python = packages.python(arguments.cache)
        self._folders = [str(packages.npm(arguments.cache)), str(packages.debian(arguments.cache))]
        self._of = {"revision": _revision(), "minutes": arguments.minutes, "settings": arguments.set}

    def __call__(self, task: str, name: str, system: str) -> None:
        of = self._of if system == OURS else {}
        if self._rows.done(task, name, system, of):
            return
        table = self._table(task, name)
        if table is None:
            return
        print(f"{task} {name}: {system}", file=sys.stderr)
        metrics, seconds = (self._ours if system == OURS else self._method)(task, name, system, table)
        case = {"task": task, "set": name, "system": system}
        found = [{**case, "metric": metric, "value": value, "seconds": seconds} for metric, value in metrics.items()]
        measured = {**of, "at": time.time()}
        self._rows.add([{**row, **measured} for row in found])

    def _table(self, task: str, name: str) -> Path | None:
        """Made once of the packages; None where they do not have it."""
        file = self._arguments.data / task / f"{name}{SUFFIX[task]}"
        if not file.exists():
            made = [str(self._python), "-m", "benchmarks.untuned.make", task, name, str(file.resolve()), *self._folders]
            done = subprocess.run(made, cwd=ROOT, capture_output=True, text=True)
            if done.returncode:
                print(f"skipped {task} {name}: {(done.stderr.splitlines() or [''])[-1]}", file=sys.stderr)
                return None
        return file.resolve()

    def _ours(self, task: str, name: str, system: str, table: Path) -> tuple[dict[str, float], float]:
        home = self._arguments.workspace
        command = [sys.executable, "-m", "benchmarks.untuned.ours", task, name, str(table), str(home)]
        output = home / "answers" / f"{task}-{name}.npz"
        output.parent.mkdir(parents=True, exist_ok=True)
        command += [str(self._arguments.minutes), str(output), *self._arguments.set]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            return {"failed": 1.0}, 0.0
        said = json.loads(done.stdout.splitlines()[-1])
        if not said["trained"]:
            return {"failed": 1.0}, said["seconds"]
        return {**self._scores(task, name, table, output), TOLD: float(said["worse"])}, said["seconds"]

    def _method(self, task: str, name: str, system: str, table: Path) -> tuple[dict[str, float], float]:
        began = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if task != "forecasting":
                answers = record_methods.METHODS[system](read(table))
            elif system in series_methods.METHODS:
                answers = series_methods.forecasts(system, table, series_sets.SETS[name])
            else:
                return self._statistical(name, system, table, began)
        seconds = time.monotonic() - began
        return scores(task, name, table, answers), seconds

    def _statistical(self, name: str, system: str, table: Path, began: float) -> tuple[dict[str, float], float]:
        output = self._arguments.workspace / "answers" / f"forecasting-{name}-{system}.npz"
        output.parent.mkdir(parents=True, exist_ok=True)
        command = [str(self._python), "-m", "benchmarks.untuned.series_methods", system, name, str(table), str(output)]
        try:
            subprocess.run(command, cwd=ROOT, check=True, timeout=60 * self._arguments.minutes)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            how = "took too long" if isinstance(error, subprocess.TimeoutExpired) else "failed"
            print(f"{name}: {system} {how}", file=sys.stderr)
            return {"failed": 1.0}, time.monotonic() - began
        seconds = time.monotonic() - began
        return self._scores("forecasting", name, table, output), seconds

    def _scores(self, task: str, name: str, table: Path, output: Path) -> dict[str, float]:
        with np.load(output) as answers:
            return scores(task, name, table, answers)


def _chosen(arguments: argparse.Namespace) -> Iterator[tuple[str, str, str]]:
    """All of one system before the next, the quick ones first: what was measured can be read early."""
    chosen = set(arguments.sets.split(",")) if arguments.sets else None
    for task in arguments.task:
        for system in arguments.systems or METHODS[task]:
            for name in SETS[task]:
                if system in METHODS[task] and (chosen is None or name in chosen):
                    yield task, name, system


def _revision() -> str:
    told = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return told.stdout.strip() or "unknown"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--sets", help="names, with commas between; all unless given")
    methods = ", ".join(dict.fromkeys(system for systems in METHODS.values() for system in systems))
    parser.add_argument("--systems", nargs="+", help=f"some of: {methods}")
    parser.add_argument("--minutes", type=float, default=3.0, help="of training, and of ETS and AutoARIMA, at most")
    parser.add_argument("--set", action="append", default=[], help="of unroll train; then it is no default any more")
    parser.add_argument("--workspace", type=Path, default=Path("workspace") / "defaults")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where packages are installed")
    parser.add_argument("--data", type=Path, default=CACHE / "sets", help="where sets are made")
    parser.add_argument("--report", action="store_true", help="only what was measured before")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    known = {name for task in arguments.task for name in SETS[task]}
    if unknown := set(arguments.sets.split(",") if arguments.sets else ()) - known:
        parser.error(f"--sets: no set {', '.join(sorted(unknown))}. There are: {', '.join(sorted(known))}")
    return arguments


if __name__ == "__main__":
    main()
