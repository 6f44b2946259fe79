"""`unroll import`: a model that was trained elsewhere becomes a version."""

import dataclasses
import hashlib
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unroll import serving
from unroll.errors import UserError
from unroll.pipelines.importing.keras_file import export_keras_file
from unroll.pipelines.importing.warmup_requests import made_up
from unroll.pipelines.training.card import Card
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.training.promotion import Promotion
from unroll.pipelines.training.tracking import Registered, Tracking, check_tracking
from unroll.serving.engine.graph_session import read_meta_graph
from unroll.serving.engine.load_error import LoadError
from unroll.serving.engine.session_engine import SessionEngine
from unroll.serving.export import ops_of
from unroll.serving.files import regular_files
from unroll.serving.versions import warmup
from unroll.serving.versions.store import SIGNATURE
from unroll.workspace import Workspace

TASK = "imported"
_FOREIGN = re.compile(r"PyFunc|^(Read|Write)File$|^MatchingFiles$|^ImmutableConst$")


@dataclass(frozen=True)
class Imported:
    """What was made of a model's file.

    Args:
        registered: the version in the registry.
        path: its SavedModel directory.
        promoted: whether it is served from now on.
        signatures: what it can be asked.
        remarks: what a person should know, a line each.
    """

    registered: Registered
    path: Path
    promoted: bool
    signatures: Sequence[str]
    remarks: Sequence[str]

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "name": self.registered.name,
            "version": self.registered.version,
            "path": str(self.path),
            "promoted": self.promoted,
            "signatures": list(self.signatures),
            "remarks": list(self.remarks),
        }


def import_model(
    name: str,
    path: Path,
    workspace: Workspace,
    progress: Progress,
    *,
    requests: Path | None = None,
    promote: bool = True,
) -> Imported:
    """Checks, warms up and registers a SavedModel, or a `.keras` file, which is exported first.

    Args:
        name: to register the model under.
        path: a SavedModel's directory, or what `model.save` wrote.
        workspace: where it is registered.
        progress: where to show it.
        requests: warmup requests, TensorFlow Serving's file; None: those of the directory, or made up from the
            signatures.
        promote: whether a first version is served at once.

    Returns:
        The version.

    Raises:
        UserError: what cannot be served, and why. Nothing is registered.
    """
    serving.Store(workspace.store).versions(name)  # refuses a bad name before the work
    check_tracking(workspace.tracking_uri, name)
    workspace.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".importing-", dir=workspace.cache) as aside:
        directory = Path(aside) / "saved_model"
        with progress.stage("checking the model"):
            remarks = _bring(path, directory, name)
            signatures, more = _warmed(path, directory, name, requests)
        with progress.stage("recording in MLflow"):
            tracking = Tracking(workspace, create=True)
            with tracking.run(name) as run:
                card = _card(path, directory, name, run.run_id)
                run.describe({}, str(path), card.digest, {"task": card.task})
                version = tracking.register(name, card.task, run.run_id, directory, card.metrics)
        registered = tracking.version(name, version)
        first = Promotion(tracking, workspace).promote_first(registered) if promote else None
        served = first.path if first else tracking.saved_model(registered)
        moved = list(first.remarks()) if first else []
    return Imported(tracking.version(name, version), served, first is not None, signatures, [*remarks, *more, *moved])


def _bring(path: Path, directory: Path, name: str) -> list[str]:
    """Puts the SavedModel into `directory`, if it may be loaded."""
    if path.is_file() and path.suffix == ".keras":
        export_keras_file(path, directory, name)
        warmup.file(directory).unlink()  # it holds no record
        return []
    if not (path / "saved_model.pb").is_file():
        raise UserError(
            f"{path}: is neither a SavedModel's folder (with saved_model.pb) nor a .keras file. Write one with "
            "model.export(FOLDER) or model.save('model.keras')"
        )
    try:
        regular_files.check_tree(path)
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}. Remove it; nothing was imported") from None
    try:
        ops = ops_of(read_meta_graph(path, ("serve",)))
    except LoadError as error:
        raise UserError(f"{path}: cannot be loaded ({error}). {error.remedy}") from None
    if cudnn := sorted(op for op in ops if "Cudnn" in op):
        raise UserError(
            f"{path}: holds {', '.join(cudnn)}, which no CPU can run. Import the .keras file of the model, or export "
            "it again with use_cudnn=False in its layers"
        )
    if foreign := sorted(filter(_FOREIGN.search, ops)):
        raise UserError(f"{path}: holds {', '.join(foreign)}, which reaches beyond the model. Export it without")
    shutil.copytree(path, directory, ignore=shutil.ignore_patterns(SIGNATURE))
    if (path / SIGNATURE).exists():
        return [f"{SIGNATURE} was left behind, since a card was added: sign the version again"]
    return []


def _warmed(path: Path, directory: Path, name: str, requests: Path | None) -> tuple[list[str], list[str]]:
    """The signatures, and remarks; the model has answered its warmup requests as a server would have it."""
    file = warmup.file(directory)
    file.parent.mkdir(exist_ok=True)
    if requests is not None:
        try:
            shutil.copyfile(requests, file)
        except OSError as error:
            raise UserError(f"--warmup {requests}: cannot be read ({error.strerror}). Name another") from None
    try:
        engine = SessionEngine(directory)
    except LoadError as error:
        raise UserError(f"{path}: cannot be loaded ({error}). {error.remedy}") from None
    try:
        engine.prepare()
        if not engine.signatures:
            raise UserError(f"{path}: has no signature that can be served. Export it with one, such as serving_default")
        remarks = []
        if not file.exists():
            made, left_out = made_up(engine)
            methods = {one.name: one.method for one in engine.signatures.values()}
            if made:
                warmup.write(file, name, methods, made)
            remarks = [
                f"signature {one}: no warmup request could be made up, so its first request will take longer. Give "
                "some with --warmup"
                for one in left_out
            ]
        ran = warmup.replay(engine, directory)
        if requests is not None and not ran:
            raise UserError(f"--warmup {requests}: holds no request. Name a TFRecord file of PredictionLogs")
        return sorted(engine.signatures), remarks
    except LoadError as error:
        raise UserError(f"{requests or path}: {error}. {error.remedy}") from None
    finally:
        engine.close()


def _card(path: Path, directory: Path, name: str, run_id: str) -> Card:
    """The card of a model of ours goes on, under its new name; another gets one."""
    extra = directory / "assets.extra"
    if (extra / "unroll.json").exists():
        card = dataclasses.replace(Card.load(directory), name=name, run_id=run_id)
    else:
        digest = hashlib.sha256((directory / "saved_model.pb").read_bytes()).hexdigest()
        card = Card(name, TASK, {}, {}, str(path), digest, run_id, {})
    files = card.files()
    if card.task == TASK:
        about = f"# {name}\n\nImported from `{path}`, trained elsewhere. MLflow run {run_id}.\n"
        files["model_card.md"] = about.encode()
    for file, content in files.items():
        (extra / file).write_bytes(content)
    return card
