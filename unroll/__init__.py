"""Train, serve and watch sequence models.

Names are imported when they are used, so that `import unroll` loads neither TensorFlow nor MLflow.
"""

import importlib
from typing import Any

_HOMES = {
    "AsyncClient": "unroll.serving.client.async_client",
    "Client": "unroll.serving.client.client",
    "ServingError": "unroll.serving.protocol.messages",
    "UserError": "unroll.errors",
}
__all__ = ["AsyncClient", "Client", "ServingError", "UserError"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'unroll' has no attribute {name!r}")
