"""SavedModel export, the store of versions, the model server, the client.

Names are imported when they are used: the client and the store need no TensorFlow.
"""

import importlib
from typing import Any

_HOMES = {
    "Client": "serving.client",
    "ServingError": "serving.client",
    "Store": "serving.store",
    "export_saved_model": "serving.export",
    "serve": "serving.server",
}
__all__ = ["Client", "ServingError", "Store", "export_saved_model", "serve"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'serving' has no attribute {name!r}")
