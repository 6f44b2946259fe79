"""TensorFlow Serving's REST API: `app` answers, `RestServer` listens."""

from unroll.serving.rest.door import RestParameters, app
from unroll.serving.rest.peers import ConnectionLimits
from unroll.serving.rest.server import RestServer

__all__ = ["ConnectionLimits", "RestParameters", "RestServer", "app"]
