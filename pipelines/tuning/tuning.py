"""A search from its command to a trained model: trials in processes of their own, then a training of the best."""

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import yaml

from unroll import plugins
from unroll.errors import UserError
from unroll.pipelines.data import records
from unroll.pipelines.prepared import cache_key, prepared
from unroll.pipelines.registry import task_named
from unroll.pipelines.terminal import rounded
from unroll.pipelines.training.config import TaskConfig
from unroll.pipelines.training.progress import Progress, Stage
from unroll.pipelines.training.tracking import Tracking, check_tracking
from unroll.pipelines.training.training import Trained, run_directory, train
from unroll.pipelines.tuning.outcome import Outcome, outcome
from unroll.pipelines.tuning.plots import figures
from unroll.pipelines.tuning.processes import Worker
from unroll.pipelines.tuning.search import DEFAULTS, REFUSED, Search, finished, open_study, revive
from unroll.pipelines.tuning.search_space import SearchSpace, near_own, with_values
from unroll.pipelines.user_code.objects import user_objects
from unroll.workspace import Workspace, write_atomically

_POLL = 0.5  # seconds
_NOTED = 10.0  # seconds between notes of how many were spent
_SPENT = "seconds.json"


@dataclass(frozen=True)
class Tuned:
    """What a search made.

    Args:
        outcome: of the search.
        file: the configuration, as YAML.
        trained: the model that was trained with it.
    """

    outcome: Outcome
    file: Path
    trained: Trained

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {**self.trained.document(), "tuning": {**self.outcome.document(), "config": str(self.file)}}


def tune(
    task: str,
    config: TaskConfig,
    space: SearchSpace,
    data: str,
    name: str,
    workspace: Workspace,
    progress: Progress,
    *,
    minutes: float,
    trials: int | None = None,
    jobs: int | None = None,
    register: bool = True,
    promote: bool | None = None,
) -> Tuned:
    """Searches settings on the validation split, then trains with the best; the test split is scored once, at the end.

    The first trial takes the configuration as it is. Half of the validation split chooses, the other half tells how
    much of the gain holds; where none does, the configuration is trained as it is. A search that was killed goes on
    when it is asked for again, and so does one that had ended, with further minutes.

    Args:
        task: its name.
        config: what is searched from.
        space: keys and the values that each may take.
        data: file, folder or glob of raw records.
        name: to register the model under.
        workspace: where everything is written; the configuration goes to `tuned/<name>.yaml`.
        progress: where to show it.
        minutes: of the search; the training of the best comes on top.
        trials: after which the search ends earlier; None: no limit.
        jobs: processes; None: one for two cores.
        register: as of a training.
        promote: as of a training.

    Raises:
        UserError: data or configuration that cannot be used, no time for one model, or the same search under way.
    """
    kind = task_named(task)
    if not plugins.modules_of(task):
        raise UserError(f"unroll tune {task}: the task must be in a module, which the search's processes can import")
    settings = config.model_dump(mode="json")
    with progress.stage("asking MLflow"):
        check_tracking(workspace.tracking_uri, name)
    with progress.stage("looking at the files"):
        digest = records.digest(kind.files(config, data))
    problem = prepared(kind, config, data, digest, workspace, progress)
    progress.line(problem.summary())
    space, values = near_own(space, problem.config.model_dump(mode="json"))
    own = {one.name: one.digest() for one in user_objects(settings)}
    with run_directory(workspace, cache_key("tune", task, name, settings, digest, own, repr(space))) as directory:
        study = open_study(directory)
        known = finished(study)
        revived = revive(study, values)
        if known or revived:
            interrupted = f", and {revived} that {'was' if revived == 1 else 'were'} interrupted" if revived else ""
            progress.line(f"Going on with a search of {len(known)} trials{interrupted}.")
        tracking = Tracking(workspace, create=True)
        with tracking.run(name, resume=study.user_attrs.get("run_id"), name=f"{name} tuning") as run:
            study.set_user_attr("run_id", run.run_id)
            run.describe(settings, data, digest, {"task": task, "unroll.search": json.dumps(list(space))})
        left = sys.maxsize if trials is None else max(1, trials - len(known))
        jobs = min(jobs or max(1, (os.cpu_count() or 1) // 2), left)
        Search(
            task=task,
            modules=tuple(plugins.named()),
            settings=settings,
            space=space,
            own=values,
            data=data,
            digest=digest,
            home=str(workspace.home),
            name=name,
            parent=run.run_id,
            trials=trials,
            threads=max(1, (os.cpu_count() or 1) // jobs),
        ).save(directory)
        _search(study, directory, minutes * 60, jobs, progress)
        found = outcome(finished(study))
        for line in found.lines():
            progress.line(line)
        chosen = with_values(config.model_dump(mode="json", exclude_unset=True), found.values if found.holds else {})
        file = _write(chosen, name, found, workspace)
        with tracking.run(name, resume=run.run_id) as run:
            run.figures(figures(study))
            run.keep(file)
            run.metrics({"validation/loss": found.chosen[0], "validation/loss_of_defaults": found.chosen[1]}, wait=True)
        best = kind.Config.model_validate(with_values(settings, found.values if found.holds else {}))
        trained = train(kind, best, data, name, workspace, progress, register=register, promote=promote)
        (directory / _SPENT).unlink(missing_ok=True)
    return Tuned(found, file, trained)


def _search(study: optuna.Study, directory: Path, seconds: float, jobs: int, progress: Progress) -> None:
    """Has processes run trials until the seconds are spent, those of a search that was killed among them."""
    spent_file = directory / _SPENT
    before = json.loads(spent_file.read_bytes()) if spent_file.exists() else 0.0
    begin = noted = time.time()
    ends = begin + seconds - before
    workers = [Worker(directory, number, ends) for number in range(jobs)]
    told = {one.number for one in finished(study)}
    try:
        with progress.stage("searching", total=seconds) as stage:
            stage.advance(before)
            while any([worker.is_running() for worker in workers]):  # noqa: C419  # each is looked at
                time.sleep(_POLL)
                stage.advance(_POLL)
                if time.time() >= noted + _NOTED:
                    noted = time.time()
                    write_atomically(spent_file, json.dumps(before + noted - begin).encode())
                _tell(study, told, stage, progress)
            _tell(study, told, stage, progress)
    except KeyboardInterrupt:
        progress.line("Interrupted. The same command goes on from here.")
        raise
    finally:
        for worker in workers:
            worker.stop()
        write_atomically(spent_file, json.dumps(before + time.time() - begin).encode())


def _tell(study: optuna.Study, told: set[int], stage: Stage, progress: Progress) -> None:
    """A line for each trial that has ended since."""
    ended = finished(study)
    complete = [one.value for one in ended if one.value is not None and one.state == optuna.trial.TrialState.COMPLETE]
    for one in ended:
        if one.number in told:
            continue
        told.add(one.number)
        pruned = one.state == optuna.trial.TrialState.PRUNED
        refused = one.user_attrs.get(REFUSED)
        result = (
            (f"refused ({refused})" if refused else "pruned")
            if pruned
            else f"validation loss {rounded(one.value or 0.0)}"
        )
        lowest = not pruned and one.value == min(complete) and complete.count(one.value) == 1
        best = " (best so far)" if lowest and len(complete) > 1 else ""
        settings = "the defaults" if one.user_attrs.get(DEFAULTS) else _settings(one.params)
        progress.line(f"Trial {one.number}: {result}{best}, {settings}")
    if complete:
        stage.say(f"{len(ended)} trials, best validation loss {rounded(min(complete))}")


def _settings(values: dict[str, Any]) -> str:
    return ", ".join(f"{key}={rounded(one) if isinstance(one, float) else one}" for key, one in values.items())


def _write(chosen: dict[str, Any], name: str, found: Outcome, workspace: Workspace) -> Path:
    file = workspace.home / "tuned" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    comments = "".join(f"# {line}\n" for line in found.lines())
    write_atomically(file, (comments + yaml.safe_dump(chosen, sort_keys=False)).encode())
    return file
