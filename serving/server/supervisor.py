"""Several processes behind one port from the start on: `--workers N`.

One event loop reads requests on one core at a time, however many there are. Each process here has its own, and the
models in memory; the system gives each new connection to one of them.
"""

import argparse
import functools
import logging
import signal
import tempfile
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import cast

from unroll.errors import UserError
from unroll.serving.processes.worker import Worker, told
from unroll.serving.server.announcement import Ready
from unroll.serving.server.ports import free_port
from unroll.serving.server.process import run

_log = logging.getLogger(__name__)


def supervise(given: argparse.Namespace, on_ready: Callable[[Ready], None]) -> None:
    """Serves with `given.workers` processes until SIGTERM or SIGINT. One that ends by itself is restarted.

    Args:
        given: see `unroll.serving.server.flags`.
        on_ready: called once all of them answer.

    Raises:
        UserError: one of them cannot serve what is asked for.
    """
    given.port = given.port or free_port(given.host)
    with tempfile.TemporaryDirectory(prefix="unroll-") as folder:
        paths = [Path(folder) / str(number) for number in range(given.workers)]
        workers = []
        for path in paths:
            others = tuple(other for other in paths if other != path)
            workers.append(Worker(functools.partial(run, given, own=path, others=others), path))
        stopping = False

        def stop(number: int, frame: FrameType | None) -> None:
            nonlocal stopping
            stopping = True
            for worker in workers:
                worker.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        try:
            for worker in workers:
                if not stopping:
                    try:
                        worker.start()
                    except OSError as error:
                        raise UserError(
                            f"--workers={given.workers}: a process cannot be started ({told(error)}). Fix that, or "
                            "use --workers=1."
                        ) from None
            heard = [worker.outcome() for worker in workers if not stopping]
            if stopping:
                return
            for said in heard:
                if isinstance(said, str):
                    raise UserError(said)
            on_ready(cast(Ready, heard[0]))
            while not stopping:
                wait([worker.process.sentinel for worker in workers if worker.process], timeout=1.0)
                for worker in workers:
                    if not stopping:
                        worker.keep()
        finally:
            for worker in workers:
                worker.stop()
            for worker in workers:
                worker.join()
            if stopping:
                _log.info("stopped")
