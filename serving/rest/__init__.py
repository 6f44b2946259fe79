"""TensorFlow Serving's REST API: `app` answers, `RestServer` listens."""

from serving.rest.connections import ConnectionLimits
from serving.rest.door import RestParameters, app
from serving.rest.server import RestServer

__all__ = ["ConnectionLimits", "RestParameters", "RestServer", "app"]
