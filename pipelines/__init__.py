"""Raw data -> tf.data -> training -> evaluation -> registered, exported model."""

import importlib
from typing import Any

_HOMES = {
    "Baselines": "scoring.comparison",
    "Category": "data.columns",
    "Label": "data.targets",
    "Losses": "scoring.comparison",
    "Number": "data.columns",
    "RecordSection": "data.sections",
    "RecordTask": "record_task",
    "Section": "training.config",
    "Task": "task",
    "TaskConfig": "training.config",
    "Value": "data.targets",
    "Words": "data.columns",
    "load_config": "training.config",
    "register": "registry",
    "task_named": "registry",
    "train": "training.training",
}
__all__ = [
    "Baselines",
    "Category",
    "Label",
    "Losses",
    "Number",
    "RecordSection",
    "RecordTask",
    "Section",
    "Task",
    "TaskConfig",
    "Value",
    "Words",
    "load_config",
    "register",
    "task_named",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'unroll.pipelines' has no attribute {name!r}")
