"""One training command: raw data to a registered, exported, evaluated version of a model."""

import fcntl
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import keras

from unroll import serving
from unroll.errors import UserError
from unroll.pipelines.data import records
from unroll.pipelines.prepared import cache_key, prepared
from unroll.pipelines.registry import register as register_task
from unroll.pipelines.release import export, portable, record, release
from unroll.pipelines.task import Row, Task
from unroll.pipelines.training.card import Card
from unroll.pipelines.training.computing.precision import chosen_precision, precision
from unroll.pipelines.training.config import TaskConfig
from unroll.pipelines.training.fit import History, fit
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.training.tracking import Registered, Run, Tracking, check_tracking, run_name
from unroll.pipelines.user_code.objects import user_objects
from unroll.workspace import Workspace


@dataclass(frozen=True)
class Trained:
    """What a training made.

    Args:
        card: of the model.
        model: the trained Keras model.
        registered: the version in the registry; None where it was not to be registered.
        path: its SavedModel directory.
        promoted: whether it is served from now on.
        seconds: wall time.
        tables: further figures of the test split, by title.
    """

    card: Card
    model: keras.Model
    registered: Registered | None
    path: Path
    promoted: bool
    seconds: float
    tables: Mapping[str, Sequence[Row]]

    @property
    def title(self) -> str:
        """The model's name, with the version if it has one."""
        return f"{self.card.name} version {self.registered.version}" if self.registered else self.card.name

    def advice(self, home: Path) -> Iterator[str]:
        """What a person may do next, a line each."""
        if self.card.length:
            yield f"{self.card.length_in_words} The whole command took {self.seconds:,.0f} s."
        yield from self.card.notes
        yield from self.card.warnings()
        if self.promoted:
            yield f"It is the champion. Serve it: unroll serve --home {home}"
        elif self.registered is None:
            yield "Not registered, so it is not served."
        else:
            command = f"unroll promote {self.card.name} {self.registered.version} --home {home}"
            all_the_same = " all the same" * self.card.held_back
            at_once = " (`unroll train --promote` does so at once)" * self.card.held_back
            yield f"Not served yet. To serve it{all_the_same}: {command}{at_once}"

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "name": self.card.name,
            "version": self.registered.version if self.registered else None,
            "run_id": self.card.run_id,
            "path": str(self.path),
            "seconds": round(self.seconds, 1),
            "metrics": dict(self.card.metrics),
            "training": dict(self.card.length),
            "promoted": self.promoted,
            "chance": self.card.chance,
            "comparison": dict(self.card.comparison),
        }


def train(
    task: type[Task],
    config: TaskConfig,
    data: str,
    name: str,
    workspace: Workspace,
    progress: Progress,
    *,
    register: bool = True,
    promote: bool | None = None,
) -> Trained:
    """Prepares the data, trains, exports, evaluates and registers a model.

    A run that was killed goes on from its last epoch when the same command is given again: its
    checkpoint is kept under a key of task, name, configuration and the data's digest.

    Args:
        task: the kind of problem.
        config: an instance of `task.Config`.
        data: file, folder or glob of raw records.
        name: to register the model under.
        workspace: where everything is written.
        progress: where to show it.
        register: whether it becomes a version of the model; else it is only kept with its run.
        promote: whether the version is served; None: if the model has none that is, and nothing holds it back.

    Returns:
        What was made.

    Raises:
        UserError: data or configuration that cannot be used, or the same training under way already.
    """
    start = time.monotonic()
    register_task(task)  # a class that was passed, and is to be found by the model's card
    serving.Store(workspace.store).versions(name)  # refuses a bad name before the work, not after it
    chosen_precision(config.train)
    settings = config.model_dump(mode="json")
    own = {one.name: one.digest() for one in user_objects(settings)}
    with progress.stage("asking MLflow"):
        check_tracking(workspace.tracking_uri, name)
    files = task.files(config, data)
    with progress.stage("looking at the files"):
        digest = records.digest(files)
    problem = prepared(task, config, data, digest, workspace, progress)
    progress.line(problem.summary())
    with run_directory(workspace, cache_key(task.name, name, settings, digest, own)) as directory:
        with progress.stage("opening MLflow"):
            tracking = Tracking(workspace, create=True)
        called = run_name(name, config, datetime.now())
        with tracking.run(name, resume=_read(directory / "run_id"), name=called) as run:
            (directory / "run_id").write_text(run.run_id)
            run.describe(settings, data, digest, {"task": task.name})
            model, history = _fit(problem, directory / "checkpoint.npz", run, progress)
            card = Card(
                name,
                task.name,
                settings,
                problem.dataset_info(),
                data,
                digest,
                run.run_id,
                {},
                _module(task),
                epochs=history.epochs,
                best_epoch=history.best,
                length={**history.length(), "parameters": model.count_params(), "ended": history.ended},
            )
            figures = problem.figures(model)
            model = portable(problem, model)
            scored = export(problem, model, card, data, directory / "exported", progress)
            with progress.stage("recording in MLflow"):
                training = {f"training/{key}": value for key, value in history.length().items()}
                run.metrics(training, wait=True)
                record(run, scored, model, figures, task.monitor, progress)
        released = release(tracking, workspace, scored, progress, register=register, promote=promote)
    shutil.rmtree(directory, ignore_errors=True)
    seconds = time.monotonic() - start
    return Trained(
        scored.card, model, released.registered, released.path, released.promoted, seconds, scored.test.tables
    )


def _fit(problem: Task, checkpoint: Path, run: Run, progress: Progress) -> tuple[keras.Model, History]:
    config = problem.config.train
    keras.utils.set_random_seed(config.seed)
    with precision(config):
        model = problem.build()
        history = fit(problem, model, checkpoint, progress, run.metrics)
    return model, history


def _module(task: type[Task]) -> str:
    """Where others find the task; nowhere if it was written into a notebook or a script."""
    return "" if task.__module__ == "__main__" else task.__module__


def _read(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


@contextmanager
def run_directory(workspace: Workspace, key: str) -> Iterator[Path]:
    """A directory that only one command uses at a time and that outlives a kill."""
    directory = workspace.cache / "runs" / key
    directory.mkdir(parents=True, exist_ok=True)
    with (directory.parent / f"{key}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"this very training is under way in another process ({lock.name} is locked). "
                "Wait for it, or change the configuration or the name"
            ) from None
        yield directory
