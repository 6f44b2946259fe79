"""Runs and registered models in MLflow."""

import hashlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.errors import UserError
from unroll.pipelines.training.tracking import artifacts
from unroll.pipelines.training.tracking.database import database_file, ensure_database
from unroll.pipelines.training.tracking.mlflow_model import SAVED_MODEL, write_mlflow_model
from unroll.pipelines.training.tracking.mlflow_registry import MlflowRegistry
from unroll.pipelines.training.tracking.quiet import import_mlflow
from unroll.pipelines.training.tracking.reachable import check_server
from unroll.pipelines.training.tracking.run import Run
from unroll.pipelines.training.tracking.sqlite_registry import SqliteRegistry
from unroll.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
_PREVIOUS = "unroll.previous"  # tag on a registered model: the versions an alias pointed to before
_HISTORY = 100
_TASK = "unroll.task"  # tag on a version: the task that trained it
_METRICS = "unroll.metrics"  # tag on a version: all its metrics, as JSON
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # else the pages show it as one of prompts
_MAX_DESCRIPTION = 5000  # characters, in a server's database


@dataclass(frozen=True)
class Registered:
    """A version in the registry.

    Args:
        name: of the model.
        version: its number.
        aliases: that point to it.
        task: that trained it.
        run_id: of the run that trained it.
        metrics: of its evaluation, `split/metric`.
    """

    name: str
    version: int
    aliases: tuple[str, ...]
    task: str
    run_id: str
    metrics: dict[str, float]


class Tracking:
    """MLflow on a workspace: its own SQLite database, or the server that `$MLFLOW_TRACKING_URI` names.

    Args:
        workspace: where the database and the artifacts are.
        create: makes the database where there is none.

    Raises:
        UserError: there is no database to read, or the server does not answer.
    """

    def __init__(self, workspace: Workspace, create: bool = False):
        self._workspace = workspace
        database = database_file(workspace.tracking_uri)
        if database is not None:
            if not create and not database.exists():
                raise UserError(
                    f"{workspace.home}: no model was trained here. Name the workspace with --home, or train one: "
                    "unroll train TASK"
                )
            ensure_database(database, artifacts.ROOT)
        else:
            check_server(workspace.tracking_uri)
        self._sqlite = SqliteRegistry.open(database) if database is not None else None

    @cached_property
    def _mlflow(self) -> Any:
        """The module, connected. To import it takes seconds: what `_sqlite` knows is asked without."""
        mlflow = import_mlflow()
        named = {key: os.environ.get(key) for key in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")}
        mlflow.set_registry_uri(self._workspace.tracking_uri)
        mlflow.set_tracking_uri(self._workspace.tracking_uri)
        for key, before in named.items():
            if before is None:  # MLflow sets it, which would name the database of every later workspace
                os.environ.pop(key, None)
        return mlflow

    @cached_property
    def _client(self) -> "MlflowClient":
        return self._mlflow.MlflowClient()

    @cached_property
    def _registry(self) -> SqliteRegistry | MlflowRegistry:
        return self._sqlite or MlflowRegistry(self._client)

    @contextmanager
    def run(
        self, experiment: str, resume: str | None = None, *, name: str | None = None, parent: str | None = None
    ) -> Iterator[Run]:
        """A run that is recorded, or one that goes on.

        Args:
            experiment: made if absent.
            resume: id of an interrupted run, or None.
            name: of a new run; one that MLflow makes up for None.
            parent: id of the run that a new one stands under.
        """
        from mlflow.exceptions import MlflowException

        mlflow = self._mlflow
        with self._reachable():
            known = self._client.get_experiment_by_name(experiment)
            if known is not None and known.lifecycle_stage == "deleted":
                self._client.restore_experiment(known.experiment_id)
            if known is None:
                in_file = database_file(self._workspace.tracking_uri) is not None
                location = f"{artifacts.ROOT}{experiment}" if in_file else None
                try:
                    self._client.create_experiment(experiment, location, _EXPERIMENT_TAGS)
                except MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":  # else another command was quicker
                        raise
            mlflow.set_experiment(experiment)
            if resume and not self._exists(resume):
                resume = None
            active = mlflow.start_run(run_id=resume, run_name=None if resume else name, parent_run_id=parent)
        with active:
            yield Run(mlflow, active.info.run_id)
            mlflow.flush_async_logging()

    def register(
        self,
        name: str,
        task: str,
        run_id: str,
        saved_model: Path,
        metrics: Mapping[str, float],
        curves: Collection[str] = (),
    ) -> int:
        """Records a SavedModel directory as the next version of a model, with its card as description.

        Args:
            name: of the model.
            task: that trained it.
            run_id: of the run that trained it.
            saved_model: the directory.
            metrics: of its evaluation, `split/metric`; the run has them too.
            curves: metrics that the run has of each epoch, and that stay as they are there.

        Returns:
            The version's number.
        """
        from mlflow.entities import LoggedModelOutput
        from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

        mlflow, client = self._mlflow, self._client
        tags = {_TASK: task}
        logged = mlflow.initialize_logged_model(name=name, source_run_id=run_id, model_type=task, tags=tags)
        client.log_model_artifacts(logged.model_id, str(saved_model), SAVED_MODEL)
        with tempfile.TemporaryDirectory() as described:
            write_mlflow_model(saved_model, Path(described), run_id=run_id, model_id=logged.model_id)
            client.log_model_artifacts(logged.model_id, described)
        mlflow.finalize_logged_model(logged.model_id, "READY")
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        self.record_scores(run_id, metrics, curves, logged.model_id)
        with redirect_stderr(io.StringIO()):  # where MLflow announces it, through the progress bars
            version = mlflow.register_model(
                f"models:/{logged.model_id}", name, tags={**tags, _METRICS: json.dumps(dict(metrics))}
            )
        card = saved_model / "assets.extra" / "model_card.md"
        if card.exists():
            text = card.read_text()[:_MAX_DESCRIPTION]
            client.update_model_version(name, version.version, text)
            client.set_tag(run_id, MLFLOW_RUN_NOTE, text)
        return int(version.version)

    def record_scores(
        self, run_id: str, metrics: Mapping[str, float], curves: Collection[str], model_id: str | None = None
    ) -> None:
        """Records what an exported model scored as single values of its run.

        Args:
            run_id: of the run.
            metrics: `split/metric`.
            curves: metrics that the run has of each epoch, and that stay as they are there.
            model_id: MLflow's record of the model, which has them too.
        """
        scores = {key: value for key, value in metrics.items() if key not in curves}
        self._mlflow.log_metrics(scores, run_id=run_id, model_id=model_id)

    def versions(self, name: str | None = None) -> list[Registered]:
        """Registered versions, newest first; of all models for None."""
        with self._reachable():
            models = [model for model in self._registry.models() if name in (None, model.name)]
            return [
                self._describe(version, model.aliases)
                for model in models
                for version in self._registry.versions(model.name)
            ]

    def version(self, name: str, version: int | None = None, alias: str | None = None) -> Registered:
        """One registered version.

        Args:
            name: of the model.
            version: its number, or None.
            alias: such as `champion`, where no number is given; with neither, the champion.

        Raises:
            UserError: no such model, version or alias; says which there are.
        """
        found = self.versions(name)
        if not found:
            known = sorted({one.name for one in self.versions()})
            hint = f"There is: {', '.join(known)}" if known else "Train one with `unroll train TASK`"
            raise UserError(f"no model is registered as {name!r} in {self._workspace.home}. {hint}")
        if version is not None:
            matches = [one for one in found if one.version == version]
            wanted = f"version {version}"
        else:
            matches = [one for one in found if (alias or CHAMPION) in one.aliases]
            wanted = f"alias {alias or CHAMPION!r}"
        if not matches:
            there = ", ".join(f"{one.version} {' '.join(one.aliases)}".strip() for one in found)
            raise UserError(f"model {name!r} has no {wanted}. It has versions: {there}")
        return matches[0]

    def saved_model(self, registered: Registered) -> Path:
        """A version's SavedModel directory; one that a tracking server keeps is copied into the cache."""
        with self._reachable():
            uri = self._registry.files(registered.name, registered.version)
            path = artifacts.local_path(uri, self._workspace.tracking_uri)
            if path is not None:
                saved_model = _saved_model(path)
                if not (saved_model / "saved_model.pb").exists():
                    raise UserError(
                        f"{saved_model}: version {registered.version} of {registered.name!r} was registered with these "
                        "files, and they are missing. Put them back, or train again"
                    )
                return saved_model
            server = hashlib.sha256(self._workspace.tracking_uri.encode()).hexdigest()[:12]
            copy = self._workspace.cache / "registry" / server / registered.name / str(registered.version)
            if not copy.exists():
                from mlflow.artifacts import download_artifacts

                copy.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(prefix=".downloading-", dir=copy.parent) as aside:
                    os.rename(download_artifacts(artifact_uri=uri, dst_path=aside), copy)
            return _saved_model(copy)

    def kept(self, run_id: str, name: str) -> Path | None:
        """A file or folder that a run keeps; None if it has none of that name. One of a server is copied."""
        from mlflow.exceptions import MlflowException

        with self._reachable():
            try:
                there = [file.path for file in self._client.list_artifacts(run_id)]
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # of a run that was deleted
                    raise
                return None
            return Path(self._client.download_artifacts(run_id, name)) if name in there else None

    def history(self, name: str, alias: str = CHAMPION) -> list[int]:
        """The versions that an alias pointed to before, the last one last."""
        with self._reachable():
            (tags,) = (model.tags for model in self._registry.models() if model.name == name)
        tag = tags.get(f"{_PREVIOUS}.{alias}", "")
        return [int(version) for version in tag.split(",") if version]

    def point(self, registered: Registered, alias: str, history: Sequence[int]) -> None:
        """Moves an alias to a version.

        Args:
            registered: the version.
            alias: the alias.
            history: where the alias pointed before, the last one last.
        """
        tag = ",".join(map(str, history[-_HISTORY:]))
        # which names an alias may have is for MLflow to say
        registry = self._registry if alias == CHAMPION else MlflowRegistry(self._client)
        with self._reachable():
            registry.point(registered.name, alias, registered.version, {f"{_PREVIOUS}.{alias}": tag})

    def _describe(self, version: Any, aliases: Mapping[str, Any]) -> Registered:
        return Registered(
            name=version.name,
            version=int(version.version),
            aliases=tuple(sorted(alias for alias, number in aliases.items() if int(number) == int(version.version))),
            task=version.tags.get(_TASK, ""),
            run_id=version.run_id or "",
            metrics=_metrics(version.tags),
        )

    def _exists(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_run(run_id).info.lifecycle_stage == "active"
        except MlflowException:
            return False

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            mlflow = sys.modules.get("mlflow.exceptions")
            if mlflow is None or not isinstance(error, mlflow.MlflowException):
                raise
            if error.error_code == "INVALID_PARAMETER_VALUE":
                raise UserError(f"MLflow refuses it: {error.message.splitlines()[0]}") from None
            if "Max retries" not in str(error) and "Connection" not in str(error):
                raise
            raise UserError(
                f"the tracking server {self._workspace.tracking_uri} does not answer. "
                "Start it, or unset MLFLOW_TRACKING_URI to use the workspace's own database"
            ) from None


def _saved_model(files: Path) -> Path:
    """The SavedModel among a version's files; earlier releases registered nothing else."""
    return files / SAVED_MODEL if (files / SAVED_MODEL).exists() else files


def _metrics(tags: Mapping[str, str]) -> dict[str, float]:
    """A version's metrics; earlier releases had a tag for each."""
    if _METRICS in tags:
        return dict(json.loads(tags[_METRICS]))
    prefix = "metric."
    return {key.removeprefix(prefix): float(value) for key, value in tags.items() if key.startswith(prefix)}
