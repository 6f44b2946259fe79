"""Several processes behind one port: `--workers N`.

One event loop reads requests on one core at a time, however many there are. Each process here has its own, and the
models in memory; the system gives each new connection to one of them.
"""

import argparse
import contextlib
import ctypes
import functools
import logging
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import cast

from errors import UserError
from serving.announcement import Ready
from serving.ports import free_port
from serving.process import leave, run

_log = logging.getLogger(__name__)
_spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads is none to rely on
_PAUSE = 1.0  # seconds before a process that ended by itself is started anew
_PARENT_DEATH_SIGNAL = 1  # of prctl
_Serve = Callable[[Callable[[Ready], None]], None]  # takes what is told when clients are answered


def serve_together(
    given: argparse.Namespace, store: Path | None, request_log: Path | None, on_ready: Callable[[Ready], None]
) -> None:
    """Serves with `given.workers` processes until SIGTERM or SIGINT. One that ends by itself is started anew.

    Args:
        given: the flags, see `serving.flags`.
        store: what is served where they name nothing else.
        request_log: folder of the request log where they name none.
        on_ready: called once all of them answer.

    Raises:
        UserError: one of them cannot serve what is asked for.
    """
    given.port = given.port or free_port(given.host)
    with tempfile.TemporaryDirectory(prefix="unroll-") as folder:
        paths = [Path(folder) / str(number) for number in range(given.workers)]
        workers: list[_Worker] = []
        stopping = False

        def stop(number: int, frame: FrameType | None) -> None:
            nonlocal stopping
            stopping = True
            for worker in workers:
                worker.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        try:
            for path in paths:
                others = tuple(other for other in paths if other != path)
                serve = functools.partial(run, given, store, request_log, own=path, others=others)
                workers.append(_Worker(serve, path))
            heard = [worker.outcome() for worker in workers]
            if stopping:
                return
            for said in heard:
                if isinstance(said, str):
                    raise UserError(said)
            on_ready(cast(Ready, heard[0]))
            while not stopping:
                wait([worker.process.sentinel for worker in workers], timeout=1.0)
                for worker in workers:
                    if not stopping and not worker.process.is_alive():
                        _log.error("process %s ended (%s); it is started anew", worker.process.pid, worker.reason())
                        time.sleep(_PAUSE)
                        if not stopping:
                            worker.start()
        finally:
            for worker in workers:
                worker.stop()
            for worker in workers:
                worker.process.join()


class _Worker:
    """One process, which may be started again and again."""

    process: BaseProcess

    def __init__(self, serve: _Serve, own: Path) -> None:
        self._serve = serve
        self._own = own
        self.start()

    def start(self) -> None:
        self._own.unlink(missing_ok=True)
        self._outcome, told = _spawn.Pipe(duplex=False)
        self.process = _spawn.Process(target=_work, args=(told, self._serve))
        self.process.start()
        told.close()

    def outcome(self) -> Ready | str:
        """Waits until the process serves, or says why it cannot."""
        try:
            return self._outcome.recv()
        except EOFError:
            self.process.join()
            return f"A process of the server ended before it could serve (code {self.process.exitcode}). See its log."

    def stop(self) -> None:
        if self.process.is_alive():
            self.process.terminate()

    def reason(self) -> str:
        """Why a process has ended that had served, or was to serve again."""
        with contextlib.suppress(EOFError):
            if self._outcome.poll() and isinstance(said := self._outcome.recv(), str):
                return said
        return f"code {self.process.exitcode}"


def _work(told: Connection, serve: _Serve) -> None:
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)  # a killed parent leaves nobody on its ports
    parent = multiprocessing.parent_process()
    if not parent or not parent.is_alive():
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent says when to stop
    from serving.server import log_to_stderr

    log_to_stderr(f"process {os.getpid()}: ")
    try:
        serve(told.send)
    except UserError as error:
        told.send(str(error))
    leave()
