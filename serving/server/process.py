"""One process of the server, from its command line."""

import argparse
import functools
import gc
import logging
import os
import secrets
import signal
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from unroll.serving.processes.leaving import leave
from unroll.serving.processes.saturation import Thresholds
from unroll.serving.server.announcement import Ready

if TYPE_CHECKING:
    from unroll.serving.processes.siblings import SiblingPaths
    from unroll.serving.processes.worker import Serve
    from unroll.serving.server.parameters import ServerParameters

_log = logging.getLogger(__name__)
_COLLECT = (20_000, 20, 20)  # new objects, and collections of a younger generation, before the next collection


def run(
    given: argparse.Namespace,
    on_ready: Callable[[Ready], None],
    own: Path | None = None,
    others: tuple[Path, ...] = (),
    thresholds: Thresholds | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT.

    Where `--workers` is not given, a process that was told of no others starts some once its event loop is full.

    Args:
        given: see `unroll.serving.server.flags`.
        on_ready: called once clients are answered.
        own: UNIX socket on which the server's other processes find this one; None: there are none.
        others: theirs.
        thresholds: when the event loop is full; None: those of `Thresholds`.

    Raises:
        UserError: what is asked for cannot be.
    """
    signal.signal(signal.SIGTERM, lambda *_: leave())  # until `serve` takes it
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's, which a server does not use, spin while it starts
    from unroll.serving.versions.model_config import wanted_models

    models = wanted_models(given)  # a mistake there is told before TensorFlow is loaded
    from unroll.serving.processes.siblings import SiblingPaths
    from unroll.serving.server import settings
    from unroll.serving.server.model_server import serve

    parameters = settings.parameters(given)
    if own is not None:
        parameters = replace(
            parameters, siblings=SiblingPaths(own, others), ports=replace(parameters.ports, shared=True)
        )
    elif given.workers is None and not given.grpc_socket_path:
        parameters = _growing(parameters, thresholds or Thresholds(), given)
    # Most of what a request leaves behind goes without the collector; at Python's 700 it would look every few requests.
    gc.set_threshold(*_COLLECT)
    serve(models, parameters, on_ready)
    _log.info("stopped")


def _growing(parameters: "ServerParameters", thresholds: Thresholds, given: argparse.Namespace) -> "ServerParameters":
    """For a server that may have a process for each core."""
    from unroll.serving.engine.cores import cores
    from unroll.serving.processes.growth import GrowthParameters
    from unroll.serving.processes.siblings import SiblingPaths

    folder = Path(tempfile.gettempdir()) / f"unroll-{secrets.token_hex(8)}"  # is made once it is needed
    own, *others = (folder / str(number) for number in range(cores()))
    if not others:
        return parameters
    growth = GrowthParameters(functools.partial(_beside, given), thresholds)
    return replace(parameters, siblings=SiblingPaths(own, others), growth=growth)


def _beside(given: argparse.Namespace, port: int, paths: "SiblingPaths") -> "Serve":
    """What a process beside the first runs."""
    given = argparse.Namespace(**{**vars(given), "port": port})
    return functools.partial(run, given, own=paths.own, others=tuple(paths.others))
