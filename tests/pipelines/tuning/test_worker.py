"""Which trials a process runs; the models that they would train are left out."""

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest

from unroll.pipelines.tuning import worker
from unroll.pipelines.tuning.search import Search, finished, open_study, revive
from unroll.pipelines.tuning.search_space import Floats


def search(trials: int) -> Search:
    texts = dict.fromkeys(("data", "digest", "home", "name", "parent"), "")
    space = {"train.learning_rate": Floats(0.001, 0.1, log=True)}
    own = {"train.learning_rate": 0.01}
    settings = {"train": {"seed": 0}}
    return Search("mine", (), settings, space, own, **texts, trials=trials, threads=1)


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    def trials(search: Search, *_: object) -> object:
        return lambda trial: next(one.suggest(trial, key) for key, one in search.space.items())

    monkeypatch.setitem(sys.modules, "unroll.pipelines.tuning.trial", SimpleNamespace(Trials=trials))


def run(directory: Path, trials: int, number: int = 0) -> list[optuna.trial.FrozenTrial]:
    """What has ended once a process has."""
    worker._run(search(trials), directory, number, time.time() + 1e6)
    return finished(open_study(directory))


def test_processes_one_after_the_other_and_side_by_side_draw_nothing_twice(tmp_path: Path) -> None:
    revive(open_study(tmp_path), search(3).own)
    assert len(run(tmp_path, 3)) == 3
    assert len(run(tmp_path, 5)) == 5
    tried = run(tmp_path, 7, number=1)
    assert tried[0].params == search(3).own
    assert len({one.params["train.learning_rate"] for one in tried}) == 7


def test_a_trial_that_another_process_is_at_counts(tmp_path: Path) -> None:
    revive(open_study(tmp_path), search(3).own)
    assert len(run(tmp_path, 2)) == 2
    open_study(tmp_path).ask()  # of another process
    assert len(run(tmp_path, 3)) == 2
    assert len(run(tmp_path, 4)) == 3
