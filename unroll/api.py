"""The Python API: what `unroll train`, `models`, `promote` and `rollback` do, for scripts and notebooks."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.configuration import Keys, configured
from unroll.errors import UserError
from unroll.python_words import python_words
from unroll.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from unroll.model import Model
    from unroll.pipelines.task import Task
    from unroll.pipelines.training.config import TaskConfig
    from unroll.pipelines.training.promotion import Moved, Promotion

_PathLike = str | os.PathLike[str]


def train(
    task: "str | type[Task]",
    data: "_PathLike | pd.DataFrame | None" = None,
    *,
    name: str | None = None,
    config: Keys = None,
    register: bool = True,
    promote: bool | None = False,
    home: _PathLike | None = None,
) -> "Model":
    """Trains a model on raw records, tracks, evaluates, exports and registers it.

    The same call goes on where a killed one stopped.

    Args:
        task: a task's name, such as `sentiment`, or a class of your own.
        data: a DataFrame, or a file, folder or glob; None: the task's sample data.
        name: of the model; None: the task's.
        config: keys, dotted (`{"model.cell": "gru"}`) or nested, or a YAML file of them.
        register: whether the model becomes a version in the registry.
        promote: whether that version is served; None: as the command does, a first version that no baseline beats.
        home: the workspace; None: `$UNROLL_HOME`, else `./workspace`.

    Raises:
        UserError: data or configuration that cannot be used, or the same training under way already.

    Example:
        >>> model = unroll.train("sentiment", "reviews.csv", name="reviews")  # doctest: +SKIP
        >>> model.metrics["test/accuracy"]  # doctest: +SKIP
        0.93
    """
    with python_words():
        from unroll.pipelines.training.preflight import check_training
        from unroll.serving.engine.quiet import import_tensorflow

        workspace, schema = Workspace(home_folder(home)), _schema(task)
        checked = check_training(
            _name(task),
            lambda base: configured(schema, config, base),
            data,
            name or _name(task),
            workspace,
            register=register,
            promote=promote,
        )
        import_tensorflow()
        kind = _task(task)
        from unroll.frames import as_files
        from unroll.model import Model
        from unroll.pipelines.training.progress import Progress
        from unroll.pipelines.training.training import train as run

        settings = checked.config
        with as_files(kind, settings, checked.data, workspace) as path, Progress() as progress:
            trained = run(
                kind, settings, path, name or kind.name, workspace, progress, register=register, promote=promote
            )
        version = trained.registered.version if trained.registered else None
        return Model(trained.path, workspace, version, keras_model=trained.model)


def load(name: str, version: int | None = None, alias: str | None = None, *, home: _PathLike | None = None) -> "Model":
    """A registered model.

    Args:
        name: of the model.
        version: its number; None with no alias: the champion, or the newest version where none was promoted.
        alias: such as `champion`, instead of a number.
        home: the workspace; None: `$UNROLL_HOME`, else `./workspace`.

    Raises:
        UserError: no such model, version or alias; says which there are.

    Example:
        >>> unroll.load("reviews", version=3).predict(["A fine film."])  # doctest: +SKIP
    """
    with python_words():
        from unroll.model import Model
        from unroll.pipelines.training.tracking import CHAMPION, Tracking

        workspace = Workspace(home_folder(home))
        tracking = Tracking(workspace)
        if version is None and alias is None:
            versions = tracking.versions(name)
            champions = [one for one in versions if CHAMPION in one.aliases]
            version = next((one.version for one in (*champions, *versions)), None)
        registered = tracking.version(name, version, alias)
        return Model(tracking.saved_model(registered), workspace, registered.version)


def models(home: _PathLike | None = None) -> "pd.DataFrame":
    """The registered models: a row a version, newest first, with name, version, aliases, task and metrics.

    Args:
        home: the workspace; None: `$UNROLL_HOME`, else `./workspace`.

    Raises:
        UserError: nothing was trained in this workspace.
    """
    with python_words():
        import pandas as pd

        from unroll.pipelines.training.tracking import Tracking

        versions = Tracking(Workspace(home_folder(home))).versions()
        rows: list[dict[str, Any]] = [
            {"name": one.name, "version": one.version, "aliases": list(one.aliases), "task": one.task, **one.metrics}
            for one in versions
        ]
        return pd.DataFrame(rows, columns=None if rows else ["name", "version", "aliases", "task"])


def promote(
    name: str,
    version: int,
    alias: str = "champion",
    *,
    verify_public_key: _PathLike | None = None,
    unsigned: bool = False,
    home: _PathLike | None = None,
) -> "Model":
    """Moves an alias to a version. The champion is put in the store, where running servers find it.

    Args:
        name: of the model.
        version: to promote.
        alias: to move; only the champion is served.
        verify_public_key: PEM file of the keys that servers ask for: refuses what they would refuse.
        unsigned: whether an unsigned version may replace a signed one.
        home: the workspace; None: `$UNROLL_HOME`, else `./workspace`.

    Raises:
        UserError: no such version, or one that servers would refuse. Nothing is changed.
    """
    with python_words():
        workspace = Workspace(home_folder(home))
        return _moved(_promotion(workspace, verify_public_key, unsigned).promote(name, version, alias), workspace)


def rollback(
    name: str,
    *,
    verify_public_key: _PathLike | None = None,
    unsigned: bool = False,
    home: _PathLike | None = None,
) -> "Model":
    """Makes the previous champion the champion again. Arguments as in `promote`.

    Raises:
        UserError: there was no champion before, or servers would refuse it. Nothing is changed.
    """
    with python_words():
        workspace = Workspace(home_folder(home))
        return _moved(_promotion(workspace, verify_public_key, unsigned).rollback(name), workspace)


def home_folder(home: _PathLike | None) -> Path:
    """The workspace's folder."""
    return Path(home if home is not None else os.environ.get("UNROLL_HOME") or "workspace")


def _schema(task: Any) -> "type[TaskConfig]":
    from unroll.pipelines.configurations import config_schema

    return config_schema(task) if isinstance(task, str) else _task(task).Config


def _name(task: "str | type[Task]") -> str:
    return task if isinstance(task, str) else task.name


def _task(task: Any) -> "type[Task]":
    from unroll.pipelines.registry import task_named
    from unroll.pipelines.task import Task

    if isinstance(task, str):
        return task_named(task)
    if isinstance(task, type) and issubclass(task, Task):
        return task
    raise UserError(f"task: expected a task's name or a subclass of unroll.pipelines.Task. Received: {task!r}")


def _promotion(workspace: Workspace, verify_public_key: _PathLike | None, unsigned: bool) -> "Promotion":
    from unroll.pipelines.training.promotion import promotion

    return promotion(workspace, Path(verify_public_key) if verify_public_key else None, unsigned)


def _moved(moved: "Moved", workspace: Workspace) -> "Model":
    from unroll.model import Model
    from unroll.pipelines.training.progress import Progress

    for remark in moved.remarks():
        Progress().line(remark)
    return Model(moved.path, workspace, moved.registered.version)
