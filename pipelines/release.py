"""From a trained Keras model to a version: exported, scored through its export, recorded and registered."""

import dataclasses
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import keras

from unroll import serving
from unroll.pipelines.scoring import plots
from unroll.pipelines.scoring.comparison import compare
from unroll.pipelines.task import Evaluation, Task
from unroll.pipelines.training.card import BASELINE, Card
from unroll.pipelines.training.exported import Exported
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.training.promotion import Promotion
from unroll.pipelines.training.tracking import Registered, Run, Tracking
from unroll.workspace import Workspace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KERAS_FILE = "model.keras"
_FINE_TUNING = 0.1  # of the training's learning rate


@dataclass(frozen=True)
class Scored:
    """An exported model that was scored on its validation and test splits.

    Args:
        exported: its directory, with card and reference profile.
        card: with all metrics.
        test: what the test split gave.
    """

    exported: Exported
    card: Card
    test: Evaluation


@dataclass(frozen=True)
class Released:
    """Where a model is.

    Args:
        registered: the version in the registry; None where it was not to be registered.
        path: its SavedModel directory.
        promoted: whether it is served from now on.
    """

    registered: Registered | None
    path: Path
    promoted: bool


def portable(problem: Task, model: keras.Model) -> keras.Model:
    """The model in float32, compiled for fine-tuning: at a tenth of the training's learning rate, which is constant."""
    if model.compute_dtype == "float16":  # which takes a CPU long
        trained, model = model, problem.build()
        model.set_weights(trained.get_weights())
    problem.compile(model, keras.optimizers.Adam(_FINE_TUNING * problem.config.train.learning_rate))
    return model


def load_keras(file: Path) -> keras.Model:
    """A model that `record` kept; not compiled where its loss or metrics cannot be read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")  # which is a new one
        try:
            return keras.saving.load_model(file)
        except (TypeError, ValueError):
            return keras.saving.load_model(file, compile=False)


def export(problem: Task, model: keras.Model, card: Card, data: str, directory: Path, progress: Progress) -> Scored:
    """Writes a model as a SavedModel and scores that on the validation and test splits.

    Args:
        problem: on the prepared data set.
        model: trained, float32.
        card: of the model; its metrics are those of an earlier one, if any.
        data: file, folder or glob of the raw records.
        directory: to write; what is in it is deleted.
        progress: where to show it.

    Raises:
        UserError: the graph cannot be exported, or not be scored.
    """
    with progress.stage("exporting"):
        shutil.rmtree(directory, ignore_errors=True)  # of an earlier try that was killed
        servable = problem.servable(model)
        serving.export_saved_model(
            servable.module,
            servable.signatures,
            directory,
            name=card.name,
            warmup_requests=servable.warmup,
            model=servable.network or model,
        )
    for line in servable.said:
        progress.line(line)
    exported, dataset_info = Exported(directory), problem.dataset_info()
    scored: dict[str, Evaluation] = {}
    answering = {"validation": servable.predict_validation or exported.predict, "test": exported.predict}
    for split, predict in answering.items():
        scored[split] = problem.evaluate(dataset_info, problem.held_out(data, split), predict, progress.named(split))
    metrics = {f"{split}/{key}": value for split, one in scored.items() for key, value in one.metrics.items()}
    with progress.stage("fitting baselines"):
        baselines = problem.baselines(scored, progress)
    losses = scored["test"].losses
    compared = compare(losses.beside(baselines.losses)) if losses else None
    card = dataclasses.replace(
        card,
        dataset_info=dataset_info,  # with what was decided on the validation split
        metrics=metrics | {f"{BASELINE}{key}": value for key, value in baselines.metrics.items()},
        chance=scored["validation"].chance,
        notes=[f"On the {split} split: {note}" for split, one in scored.items() for note in one.notes],
        comparison=compared.document() if compared else {},
    )
    for line in card.warnings():
        progress.line(line, "bold red" if card.held_back else "yellow")
    with progress.stage("summarising the reference data"):
        exported.add(card.files() | problem.profile(card.name, scored["validation"]).files())
    return Scored(exported, card, scored["test"])


def record(
    run: Run, scored: Scored, model: keras.Model, figures: "Mapping[str, Figure]", monitor: str, progress: Progress
) -> None:
    """Keeps with a run its plots and tables, and the Keras model itself."""
    epochs = scored.card.epochs
    if epochs:
        run.figures({"learning_curve.png": plots.learning_curve(epochs, scored.card.best_epoch, monitor)})
    run.figures({**figures, **scored.test.figures})
    run.tables(scored.test.tables)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / KERAS_FILE
        try:
            model.save(file)
        except Exception as error:  # whatever a layer of the user's own provokes
            progress.line(f"The Keras model cannot be saved, so a later `unroll.load` has no `.keras`: {error}")
        else:
            run.keep(file)


def release(
    tracking: Tracking,
    workspace: Workspace,
    scored: Scored,
    progress: Progress,
    *,
    register: bool = True,
    promote: bool | None = None,
) -> Released:
    """Makes a version of an exported model, and has it served where that was asked for.

    Args:
        tracking: the registry.
        workspace: where the store is.
        scored: the model; its directory is of no further use after this.
        progress: where to tell what else a promotion did.
        register: whether it becomes a version; else it is moved to the workspace's exports.
        promote: whether the version is served; None: if its model has none that is, and nothing holds it back.
    """
    card, directory = scored.card, scored.exported.directory
    curves = card.epochs[0] if card.epochs else ()
    if not register:
        tracking.record_scores(card.run_id, card.metrics, curves)
        path = workspace.exports / card.name / card.run_id
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(path, ignore_errors=True)  # of a command that was killed after this
        return Released(None, Path(shutil.move(directory, path)), False)
    with progress.stage("registering"):
        # a run that was killed after this has its version already
        version = next((one.version for one in tracking.versions(card.name) if one.run_id == card.run_id), None)
        version = version or tracking.register(card.name, card.task, card.run_id, directory, card.metrics, curves)
        registered = tracking.version(card.name, version)
    promotion = Promotion(tracking, workspace)
    moved = None
    if promote:
        moved = promotion.promote(card.name, version)
    elif promote is None and not card.held_back:
        moved = promotion.promote_first(registered)
    for remark in moved.remarks() if moved else ():
        progress.line(remark)
    path = moved.path if moved else tracking.saved_model(registered)
    return Released(tracking.version(card.name, version), path, moved is not None)
