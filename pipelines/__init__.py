"""Raw data -> tf.data -> training -> evaluation -> registered, exported model."""

import importlib
from typing import Any

_HOMES = {
    "Task": "unroll.pipelines.task",
    "TaskConfig": "unroll.pipelines.training.config",
    "load_config": "unroll.pipelines.training.config",
    "register": "unroll.pipelines.task",
    "task_named": "unroll.pipelines.task",
    "train": "unroll.pipelines.training.training",
}
__all__ = ["Task", "TaskConfig", "load_config", "register", "task_named", "train"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'unroll.pipelines' has no attribute {name!r}")
