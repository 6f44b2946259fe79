"""What the processes of one search have in common: what is searched, and the study that holds the trials."""

import dataclasses
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from unroll.pipelines.tuning.near_best import NearBest
from unroll.pipelines.tuning.search_space import Choice, Dimension, Floats, Integers, SearchSpace, Sizes
from unroll.workspace import write_atomically

DEFAULTS = "defaults"
"""Attribute of the trial that takes the configuration as it is."""
CHECKS = "checks"
"""Attribute of a complete trial: its loss on each block on which nothing is chosen."""
REFUSED = "refused"
"""Attribute of a pruned trial whose values cannot be trained with: why not."""

_BEGUN = "begun as"  # attribute: number of the trial that had these values first
_FILE = "search.json"
_JOURNAL = "trials.log"
_NEAR_TRIALS = 16  # drawn near the best so far, before all that were seen propose the next
_UNPRUNED_TRIALS = 4  # before the worse half is pruned
_KINDS: dict[str, type[Dimension]] = {kind.__name__: kind for kind in (Choice, Sizes, Integers, Floats)}


@dataclass(frozen=True)
class Search:
    """What every process of a search is told; kept as JSON in its folder.

    Args:
        task: the task's name.
        modules: to import for it, as `--import` names them.
        settings: the configuration that is searched from, every key of it.
        space: keys and the values that each may take.
        own: those of the defaults, of keys whose range holds them.
        data: file, folder or glob of raw records.
        digest: of the data files.
        home: the workspace's folder.
        name: of the model, and of MLflow's experiment.
        parent: MLflow's run under which those of the trials stand.
        trials: after which the search ends; None: when the time is up.
        threads: of each process.
    """

    task: str
    modules: tuple[str, ...]
    settings: Mapping[str, Any]
    space: SearchSpace
    own: Mapping[str, Any]
    data: str
    digest: str
    home: str
    name: str
    parent: str
    trials: int | None
    threads: int

    def save(self, directory: Path) -> None:
        space = {key: [type(one).__name__, dataclasses.asdict(one)] for key, one in self.space.items()}
        document = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)} | {"space": space}
        write_atomically(directory / _FILE, json.dumps(document).encode())

    @classmethod
    def load(cls, directory: Path) -> "Search":
        document = json.loads((directory / _FILE).read_bytes())
        space = {key: _KINDS[kind](**_tuples(values)) for key, (kind, values) in document["space"].items()}
        return cls(**{**document, "space": space, "modules": tuple(document["modules"])})


def open_study(directory: Path) -> optuna.Study:
    """The study of a folder, made where there is none; several processes may have it open.

    A trial is pruned after an epoch in which it is worse than the median of the others was (Golovin et al. 2017,
    section 3.2.2).

    Args:
        directory: of the search.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        study_name="search",
        storage=JournalStorage(JournalFileBackend(str(directory / _JOURNAL))),
        sampler=sampler(0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED_TRIALS),
        load_if_exists=True,
    )


def sampler(*seeds: int) -> optuna.samplers.BaseSampler:
    """What draws the next settings; the same ones wherever seeds and earlier trials are the same.

    The first trials are drawn near the best so far, the others by the tree-structured Parzen estimator (Bergstra et al.
    2011), the settings together.

    Args:
        seeds: that differ wherever other settings are to be drawn.
    """
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    with warnings.catch_warnings(category=optuna.exceptions.ExperimentalWarning, action="ignore"):
        # in groups, since the trial of the defaults has no value of keys whose range holds none of theirs
        later = optuna.samplers.TPESampler(n_startup_trials=_NEAR_TRIALS, multivariate=True, group=True, seed=seed)
    return NearBest(seed, _NEAR_TRIALS, later)


def revive(study: optuna.Study, own: Mapping[str, Any]) -> int:
    """Has what killed processes were at tried again, first the defaults; how many trials those are.

    Args:
        study: of no process that runs.
        own: values of the defaults.
    """
    trials = study.get_trials(deepcopy=False)
    dead = [one for one in trials if one.state == TrialState.RUNNING]
    if not trials:
        study.enqueue_trial(dict(own), user_attrs={DEFAULTS: True})
    for one in dead:
        study.tell(one.number, state=TrialState.FAIL)
        drawn = {**one.system_attrs.get("fixed_params", {}), **one.params}  # the former where it had not yet begun
        study.enqueue_trial(drawn, user_attrs=one.user_attrs)
    return len(dead)


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that are complete or were pruned, in their order."""
    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED])


def under_way(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that other processes are at."""
    return study.get_trials(deepcopy=False, states=[TrialState.RUNNING])


def checkpoint(directory: Path, trial: optuna.Trial) -> Path:
    """Where a trial is kept while it is trained, so that one that was killed goes on, as another trial."""
    number = trial.user_attrs.get(_BEGUN)
    if number is None:
        number = trial.number
        trial.set_user_attr(_BEGUN, number)
    return directory / f"trial-{number}.npz"


def seconds_of(trials: list[FrozenTrial]) -> float:
    """How long the longest complete trial took; 0 if there is none."""
    complete = (one.duration for one in trials if one.state == TrialState.COMPLETE)
    return max((one.total_seconds() for one in complete if one), default=0.0)


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
