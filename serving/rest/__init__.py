"""TensorFlow Serving's REST API: `app` answers, `RestServer` listens."""

from serving.rest.door import RestParameters, app
from serving.rest.server import RestServer

__all__ = ["RestParameters", "RestServer", "app"]
