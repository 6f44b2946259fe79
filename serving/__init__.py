"""SavedModel export, the store of versions, the model server, its clients.

Names are imported when they are used: the clients and the store need no TensorFlow.
"""

import importlib
from typing import Any

_HOMES = {
    "AsyncClient": "unroll.serving.client.async_client",
    "Client": "unroll.serving.client.client",
    "ServingError": "unroll.serving.protocol.messages",
    "Store": "unroll.serving.versions.store",
    "UserError": "unroll.errors",
    "export_saved_model": "unroll.serving.export",
    "serve": "unroll.serving.server.model_server",
}
__all__ = ["AsyncClient", "Client", "ServingError", "Store", "UserError", "export_saved_model", "serve"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'unroll.serving' has no attribute {name!r}")
