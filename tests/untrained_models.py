"""Models of tasks that were not trained but have weights that say something: cheap, and good enough to export."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from unroll import serving
from unroll.pipelines.registry import task_named
from unroll.pipelines.task import Task
from unroll.pipelines.training.exported import Exported
from unroll.pipelines.training.progress import Progress


def prepared(task: str, table: pd.DataFrame, config: Mapping[str, Any], folder: Path) -> Task:
    """A task on its data set, which is prepared in `folder/prepared`."""
    kind, data, directory = task_named(task), folder / "data.csv", folder / "prepared"
    table.to_csv(data, index=False)
    directory.mkdir()
    section = kind.Config.model_validate(config)
    kind.prepare(section, str(data), directory, Progress())
    return kind(section, directory)


def untrained(task: Task) -> keras.Model:
    """A task's model with weights off those that it begins with, some of which are zeros."""
    keras.utils.set_random_seed(3)
    model, rng = task.build(), np.random.default_rng(0)
    model.set_weights([weight + 0.1 * rng.normal(size=weight.shape) for weight in model.get_weights()])
    return model


def export(task: Task, model: keras.Model, directory: Path, name: str = "m") -> Exported:
    """A task's model as the SavedModel that training writes."""
    servable = task.servable(model)
    called = servable.network or model
    serving.export_saved_model(
        servable.module, servable.signatures, directory, name=name, warmup_requests=servable.warmup, model=called
    )
    return Exported(directory)
