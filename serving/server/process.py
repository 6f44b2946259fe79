"""One process of the server, from its command line."""

import argparse
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from unroll.serving.server.announcement import Ready

_log = logging.getLogger(__name__)
_COLLECT = (20_000, 20, 20)  # new objects, and collections of a younger generation, before the next collection


def leave(code: int = 0) -> NoReturn:
    """Ends the process without Python's own farewell: a thread that is in TensorFlow meanwhile would crash it."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def run(
    given: argparse.Namespace,
    store: Path | None,
    request_log: Path | None,
    on_ready: Callable[[Ready], None],
    own: Path | None = None,
    others: tuple[Path, ...] = (),
) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        given: the flags, see `unroll.serving.server.flags`.
        store: what is served where they name nothing else.
        request_log: folder of the request log where they name none.
        on_ready: called once clients are answered.
        own: UNIX socket on which the server's other processes find this one; None: there are none.
        others: theirs.

    Raises:
        UserError: what is asked for cannot be.
    """
    signal.signal(signal.SIGTERM, lambda *_: leave())  # until `serve` takes it
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's, which a server does not use, spin while it starts
    from unroll.serving.versions.model_config import wanted_models

    models = wanted_models(given, store)  # a mistake there is told before TensorFlow is loaded
    from unroll.serving.server import settings
    from unroll.serving.server.model_server import serve
    from unroll.serving.server.siblings import SiblingPaths

    parameters = settings.parameters(given, request_log)
    if own is not None:
        parameters = replace(
            parameters, siblings=SiblingPaths(own, others), ports=replace(parameters.ports, shared=True)
        )
    # Most of what a request leaves behind goes without the collector; at Python's 700 it would look every few requests.
    gc.set_threshold(*_COLLECT)
    serve(models, parameters, on_ready)
    _log.info("stopped")
