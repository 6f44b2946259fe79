"""Whether MLflow answers, and whether it can keep files: asked before a training, which may take hours."""

import os
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from unroll.errors import UserError
from unroll.pipelines.training.tracking import artifacts
from unroll.pipelines.training.tracking.database import database_file
from unroll.pipelines.training.tracking.quiet import import_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SECONDS = 20  # that a server, and a store, have to answer
_IMPATIENT = {  # MLflow would else ask for four minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "AWS_MAX_ATTEMPTS": "1",
}
_MAX_REASON = 200  # characters
_PROBE = ".unroll-probe"
_REFUSED = re.compile(r"error code (40[13])\b|\b(40[13]) Client Error|\b(PERMISSION_DENIED|UNAUTHENTICATED)\b")
_OTHER = re.compile(r"error code [1-4]\d\d\b|nsupported URI|valid JSON")
_CREDENTIALS = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
_UNSET = "or unset MLFLOW_TRACKING_URI to use the workspace's own database"


def check_tracking(tracking_uri: str, experiment: str) -> None:
    """Refuses to go on where what a training makes could not be kept.

    Args:
        tracking_uri: of MLflow's server or database. Of a file of SQLite, the folder beside it is looked at alone.
        experiment: that the run will be in; it is not made.

    Raises:
        UserError: names the server or the store, and what it said.
    """
    database = database_file(tracking_uri)
    if database is not None:
        _check_folder(artifacts.folder(database))
        return
    location = _asked(tracking_uri, lambda client: _location(client, experiment))
    if location and (problem := _within_seconds(lambda: _write(location, tracking_uri))):
        raise UserError(
            f"MLflow's artifact store {_without_password(location)}, which its tracking server "
            f"{_without_password(tracking_uri)} names, cannot be written to ({_reason(problem)}). Have the server "
            f"keep artifacts where it may write (mlflow server --artifacts-destination ...), or give this machine what "
            f"the store asks for, such as its credentials, {_UNSET}"
        )


def check_server(tracking_uri: str) -> None:
    """Refuses a tracking server that does not answer.

    Raises:
        UserError: names the server, and what it said.
    """
    if urlsplit(tracking_uri).scheme in ("http", "https"):
        _asked(tracking_uri, lambda client: client.search_experiments(max_results=1))


def _location(client: "MlflowClient", experiment: str) -> str | None:
    """Where files of an experiment will be; of one that is yet to be made, beside those of the server's first one."""
    known = client.get_experiment_by_name(experiment) or next(iter(client.search_experiments(max_results=1)), None)
    return known.artifact_location if known else None


def _write(location: str, tracking_uri: str) -> None:
    """Writes a small file to a store, and removes it."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(location, tracking_uri=tracking_uri)
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"{uuid.uuid4().hex}.txt"
        file.write_text("unroll train asks whether files can be kept here\n")
        repository.log_artifact(str(file), _PROBE)
    with suppress(Exception):  # some stores cannot
        repository.delete_artifacts(_PROBE)


def _asked(tracking_uri: str, ask: "Callable[[MlflowClient], Any]") -> Any:
    answer: list[Any] = []
    mlflow = import_mlflow()
    problem = _within_seconds(lambda: answer.append(ask(mlflow.MlflowClient(tracking_uri, registry_uri=tracking_uri))))
    if problem is None:
        return answer[0]
    server, reason = f"MLflow: the tracking server {_without_password(tracking_uri)}", _reason(problem)
    if _REFUSED.search(str(problem)):
        raise UserError(f"{server} refuses the credentials ({reason}). {_CREDENTIALS}, {_UNSET}")
    if _OTHER.search(str(problem)):
        raise UserError(f"{server} is not MLflow's ({reason}). Correct it, {_UNSET}")
    raise UserError(f"{server} does not answer ({reason}). Start it, {_UNSET}")


def _within_seconds(ask: Callable[[], Any]) -> BaseException | None:
    """What went wrong; a call that takes too long is left behind, as some libraries of stores ask for minutes."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            ask()
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=run, daemon=True)
    with _impatient():
        thread.start()
        thread.join(_SECONDS)
    if thread.is_alive():
        return TimeoutError(f"nothing came within {_SECONDS} seconds")
    return problems[0] if problems else None


@contextmanager
def _impatient() -> Iterator[None]:
    set_here = {key: value for key, value in _IMPATIENT.items() if key not in os.environ}
    os.environ.update(set_here)
    try:
        yield
    finally:
        for key in set_here:
            os.environ.pop(key, None)


def _check_folder(folder: Path) -> None:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        problem = "cannot be written to" if there.is_dir() else "is not a folder"
        raise UserError(
            f"{there}: {problem}, and MLflow's artifacts, plots and models, are to be kept in {folder}. Fix that, or "
            "name another --home"
        )


def _reason(problem: BaseException) -> str:
    said = " ".join(str(problem).split()) or type(problem).__name__
    if system := re.search(r"""(?:\[Errno -?\d+\]|Error\(-?\d+,) ?'?([^'")\]]+)""", said):
        return system[1]
    return said if len(said) <= _MAX_REASON else f"{said[:_MAX_REASON]} ..."


def _without_password(uri: str) -> str:
    return re.sub(r"(?<=://)[^/@]*@", "", uri)
