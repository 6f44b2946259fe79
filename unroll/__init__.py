"""Train, serve and watch sequence models.

Names are imported when they are used, so that `import unroll` loads neither TensorFlow nor MLflow.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

import unroll.models as _layers

_HOMES = {
    "AsyncClient": "unroll.serving.client.async_client",
    "Client": "unroll.serving.client.client",
    "Model": "unroll.model",
    "ServingError": "unroll.serving.protocol.messages",
    "UserError": "unroll.errors",
    "load": "unroll.api",
    "promote": "unroll.api",
    "rollback": "unroll.api",
    "train": "unroll.api",
}
__all__ = [
    "AsyncClient",
    "Client",
    "Model",
    "ServingError",
    "UserError",
    "load",
    "models",
    "promote",
    "rollback",
    "train",
]


class _Models(ModuleType):
    """The package of layers and models, which called lists the registered ones: `unroll.models()`."""

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return importlib.import_module("unroll.api").models(*arguments, **keywords)


sys.modules["unroll.models"].__class__ = _Models
models = _layers


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'unroll' has no attribute {name!r}")
