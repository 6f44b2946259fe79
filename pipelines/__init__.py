"""Raw data -> tf.data -> training -> evaluation -> registered, exported model."""

import importlib
from typing import Any

_HOMES = {
    "Task": "pipelines.task",
    "TaskConfig": "pipelines.config",
    "load_config": "pipelines.config",
    "register": "pipelines.task",
    "task_named": "pipelines.task",
    "train": "pipelines.training",
}
__all__ = ["Task", "TaskConfig", "load_config", "register", "task_named", "train"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pipelines' has no attribute {name!r}")
