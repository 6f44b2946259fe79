"""TensorFlow Serving's REST API: `RestApplication` answers, `RestServer` listens."""

from unroll.serving.rest.application import RestApplication, RestParameters
from unroll.serving.rest.peers import ConnectionLimits
from unroll.serving.rest.server import RestServer

__all__ = ["ConnectionLimits", "RestApplication", "RestParameters", "RestServer"]
