"""Scoring an exported model on further data."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unroll import plugins
from unroll.errors import UserError
from unroll.pipelines.configurations import config_schema
from unroll.pipelines.registry import task_named
from unroll.pipelines.task import Evaluation, Task
from unroll.pipelines.training.card import Card
from unroll.pipelines.training.config import TaskConfig, load_config
from unroll.pipelines.training.progress import Progress

if TYPE_CHECKING:
    from unroll.pipelines.training.exported import Exported


def check_evaluable(card: Card, overrides: Sequence[str]) -> None:
    """Returns if a model can be scored with these keys, as far as that can be told without TensorFlow.

    Args:
        card: of the model.
        overrides: as `evaluate` takes them.

    Raises:
        UserError: it was imported, or a key is unknown, not of `data` or out of range.
    """
    if card.task == "imported":
        raise UserError(f"{card.name}: was imported, and no task knows how to score it. Score it where it was trained")
    if foreign := [override for override in overrides if not override.startswith("data.")]:
        raise UserError(f"--set: only data.* keys apply to an evaluation. Received: {foreign[0]!r}")
    if card.task in plugins.built_in():  # of others, the class has to be asked
        load_config(config_schema(card.task), overrides=overrides, base=card.config)


def evaluate(directory: Path, data: str, overrides: Sequence[str], progress: Progress) -> Evaluation:
    """Scores a SavedModel on all records of some labelled data.

    Args:
        directory: of the SavedModel, with the card that `unroll train` wrote.
        data: file, folder or glob.
        overrides: `data.key=value` where the columns are named differently from the training data's.
        progress: where to show it.

    Returns:
        Metrics, figures and tables.

    Raises:
        UserError: data that cannot be read, or labels that the model does not know.
    """
    from unroll.pipelines.training.exported import Exported

    card = Card.load(directory)
    check_evaluable(card, overrides)
    task = task_named(card.task, card.module)
    config = load_config(task.Config, overrides=overrides, base=card.config)
    return score(task, config, card, Exported(directory), data, progress)


def score(
    task: type[Task], config: TaskConfig, card: Card, exported: "Exported", data: str, progress: Progress
) -> Evaluation:
    """Scores an exported model on all records of some labelled data.

    Args:
        task: of the model.
        config: an instance of `task.Config`, whose section `data` names the columns.
        card: of the model.
        exported: the model.
        data: file, folder or glob.
        progress: where to show it.

    Raises:
        UserError: data that cannot be read, or labels that the model does not know.
    """
    task.data_files(data)
    return task.evaluate(
        card.dataset_info,
        task.records(config, card.dataset_info, data, progress),
        exported.predict,
        progress,
    )
