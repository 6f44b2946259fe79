"""SavedModel export, the store of versions, the model server, its clients.

Names are imported when they are used: the clients and the store need no TensorFlow.
"""

import importlib
from typing import Any

_HOMES = {
    "AsyncClient": "serving.async_client",
    "Client": "serving.client",
    "ServingError": "serving.messages",
    "Store": "serving.store",
    "UserError": "errors",
    "export_saved_model": "serving.export",
    "serve": "serving.model_server",
}
__all__ = ["AsyncClient", "Client", "ServingError", "Store", "UserError", "export_saved_model", "serve"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'serving' has no attribute {name!r}")
