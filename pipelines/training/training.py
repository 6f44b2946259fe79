"""One training command: raw data to a registered, exported, evaluated version of a model."""

import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from unroll import serving
from unroll.errors import UserError
from unroll.pipelines.data import records
from unroll.pipelines.registry import register
from unroll.pipelines.task import Evaluation, Row, Task
from unroll.pipelines.training import plots
from unroll.pipelines.training.config import TaskConfig
from unroll.pipelines.training.exported import Card, Exported
from unroll.pipelines.training.fit import History, fit
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.training.promotion import Promotion
from unroll.pipelines.training.tracking import Registered, Run, Tracking
from unroll.pipelines.user_code.objects import user_objects
from unroll.workspace import Workspace

_CACHE_FORMAT = 1  # raised whenever prepared data or checkpoints of an earlier version would mislead this one


@dataclass(frozen=True)
class Trained:
    """What a training command made.

    Args:
        registered: the version in the registry.
        path: its SavedModel directory.
        promoted: whether it is served from now on, as a model's first version is.
        seconds: wall time of the command.
        metrics: `{"test/accuracy": ...}`.
        tables: further figures of the test split, by title.
    """

    registered: Registered
    path: Path
    promoted: bool
    seconds: float
    metrics: Mapping[str, float]
    tables: Mapping[str, Sequence[Row]]

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "name": self.registered.name,
            "version": self.registered.version,
            "run_id": self.registered.run_id,
            "path": str(self.path),
            "seconds": round(self.seconds, 1),
            "metrics": dict(self.metrics),
        }


def train(
    task: type[Task], config: TaskConfig, data: str, name: str, workspace: Workspace, progress: Progress
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

    Returns:
        The registered version.

    Raises:
        UserError: data or configuration that cannot be used, or the same training under way already.
    """
    start = time.monotonic()
    register(task)  # a class that was passed, and is to be found by the model's card
    serving.Store(workspace.store).versions(name)  # refuses a bad name before the work, not after it
    _check_devices(config)
    settings = config.model_dump(mode="json")
    own = {one.name: one.digest() for one in user_objects(settings)}
    files = task.files(config, data)
    with progress.stage("looking at the files"):
        digest = records.digest(files)
    problem = _prepared(task, config, data, digest, workspace, progress)
    progress.line(problem.summary())
    with _run_directory(workspace, _key(task.name, name, settings, digest, own)) as directory:
        with progress.stage("opening MLflow"):
            tracking = Tracking(workspace, create=True)
        with tracking.run(name, resume=_read(directory / "run_id")) as run:
            (directory / "run_id").write_text(run.run_id)
            run.describe(settings, data, digest, {"task": task.name})
            model, history = _fit(problem, directory / "checkpoint.npz", run, progress)
            card = Card(name, task.name, settings, problem.dataset_info(), data, digest, run.run_id, {}, _module(task))
            exported = _export(problem, model, card, directory / "exported", progress)
            card, test = _evaluate(problem, exported, card, data, progress)
            with progress.stage("recording in MLflow"):
                training = {"training/seconds": history.seconds, "training/epochs": len(history.epochs)}
                run.metrics({**card.metrics, **training}, len(history.epochs), wait=True)
                run.figures({"learning_curve.png": plots.learning_curve(history.epochs, history.best, task.monitor)})
                run.figures(problem.figures(model) | test.figures)
                run.tables(test.tables)
                # a run that was killed after this has its version already
                version = next((one.version for one in tracking.versions(name) if one.run_id == run.run_id), None)
                version = version or tracking.register(name, task.name, run.run_id, exported.directory, card.metrics)
        registered = tracking.version(name, version)
        first = Promotion(tracking, workspace).promote_first(registered)
        for remark in first.remarks() if first else ():
            progress.line(remark)
        path = first.path if first else tracking.saved_model(registered)
    shutil.rmtree(directory, ignore_errors=True)
    seconds = time.monotonic() - start
    return Trained(tracking.version(name, version), path, first is not None, seconds, card.metrics, test.tables)


def _prepared(
    task: type[Task], config: TaskConfig, data: str, digest: str, workspace: Workspace, progress: Progress
) -> Task:
    directory = workspace.cache / "data" / _key(task.name, task.preparation(config), digest)
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".preparing-", dir=directory.parent) as aside:
            task.prepare(config, data, Path(aside), progress)
            if not directory.exists():  # else another command was quicker; what it wrote is the same
                os.rename(aside, directory)
                os.mkdir(aside)
    return task(config, directory)


def _fit(problem: Task, checkpoint: Path, run: Run, progress: Progress) -> tuple[keras.Model, History]:
    config = problem.config.train
    keras.utils.set_random_seed(config.seed)
    with _dtype_policy("mixed_float16" if config.mixed_precision else "float32"):
        model = problem.build()
    history = fit(problem, model, checkpoint, progress, run.metrics)
    return model, history


def _export(problem: Task, model: keras.Model, card: Card, directory: Path, progress: Progress) -> Exported:
    with progress.stage("exporting"):
        shutil.rmtree(directory, ignore_errors=True)  # of an earlier try that was killed
        if problem.config.train.mixed_precision:  # a CPU would take long over float16
            trained, model = model, problem.build()
            model.set_weights(trained.get_weights())
        servable = problem.servable(model)
        serving.export_saved_model(
            servable.module,
            servable.signatures,
            directory,
            name=card.name,
            warmup_requests=servable.warmup,
            model=model,
        )
    return Exported(directory)


def _evaluate(problem: Task, exported: Exported, card: Card, data: str, progress: Progress) -> tuple[Card, Evaluation]:
    """Scores the exported model itself and writes card and reference profile into its directory.

    Returns:
        The card with all metrics, and what the test split gave.
    """
    dataset_info = problem.dataset_info()
    scored: dict[str, Evaluation] = {}
    for split in ("validation", "test"):
        progress_of = progress.named(split)
        scored[split] = problem.evaluate(dataset_info, problem.held_out(data, split), exported.predict, progress_of)
    metrics = {f"{split}/{key}": value for split, one in scored.items() for key, value in one.metrics.items()}
    card = dataclasses.replace(card, metrics=metrics)
    with progress.stage("summarising the reference data"):
        exported.add(card.files() | problem.profile(card.name, scored["validation"]).files())
    return card, scored["test"]


def _module(task: type[Task]) -> str:
    """Where others find the task; nowhere if it was written into a notebook or a script."""
    return "" if task.__module__ == "__main__" else task.__module__


def _check_devices(config: TaskConfig) -> None:
    if config.train.mixed_precision and not tf.config.list_physical_devices("GPU"):
        raise UserError("configuration key train.mixed_precision: needs a GPU, and none is visible. Leave it out")


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps([_CACHE_FORMAT, *parts], sort_keys=True).encode()).hexdigest()[:24]


def _read(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


@contextmanager
def _run_directory(workspace: Workspace, key: str) -> Iterator[Path]:
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


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
