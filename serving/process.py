"""One process of the server, from its command line."""

import argparse
import functools
import gc
import logging
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from serving.announcement import Ready
from serving.cores import cores
from serving.saturation import Thresholds

if TYPE_CHECKING:
    from serving.siblings import SiblingPaths
    from serving.workers import Serve

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
    thresholds: Thresholds | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT.

    With `--workers=0`, a process that was told of no others starts some where its event loop is what is full.

    Args:
        given: the flags, see `serving.flags`.
        store: what is served where they name nothing else.
        request_log: folder of the request log where they name none.
        on_ready: called once clients are answered.
        own: UNIX socket on which the server's other processes find this one; None: there are none.
        others: theirs.
        thresholds: when the loop is full; None: as is usual for the first process, never for others.

    Raises:
        UserError: what is asked for cannot be.
    """
    signal.signal(signal.SIGTERM, lambda *_: leave())  # until `serve` takes it
    from serving.model_config import wanted_models

    models = wanted_models(given, store)  # a mistake there is told before TensorFlow is loaded
    from serving import settings
    from serving.growth import GrowthParameters
    from serving.model_server import serve
    from serving.siblings import SiblingPaths

    parameters = settings.parameters(given, request_log)
    if own is not None:
        parameters = replace(
            parameters,
            siblings=SiblingPaths(own, others),
            ports=replace(parameters.ports, shared=True),
            growth=GrowthParameters(None, thresholds) if thresholds else None,
        )
    elif not given.workers and not given.grpc_socket_path and (most := cores()) > 1:
        folder = Path(tempfile.gettempdir()) / f"unroll-{secrets.token_hex(8)}"
        first, *others_to_be = (folder / str(number) for number in range(most))
        thresholds = thresholds or Thresholds()
        beside = functools.partial(_beside, given, store, request_log, thresholds)
        parameters = replace(
            parameters, siblings=SiblingPaths(first, others_to_be), growth=GrowthParameters(beside, thresholds)
        )
    # Most of what a request leaves behind goes without the collector; at Python's 700 it would look every few requests.
    gc.set_threshold(*_COLLECT)
    serve(models, parameters, on_ready)


def _beside(
    given: argparse.Namespace,
    store: Path | None,
    request_log: Path | None,
    thresholds: Thresholds,
    port: int,
    paths: "SiblingPaths",
) -> "Serve":
    """What a process beside the first runs."""
    given = argparse.Namespace(**{**vars(given), "port": port})
    own, others = paths.own, tuple(paths.others)
    return functools.partial(run, given, store, request_log, own=own, others=others, thresholds=thresholds)
