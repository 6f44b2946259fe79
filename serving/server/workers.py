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

from unroll.errors import UserError
from unroll.serving.server.announcement import Ready
from unroll.serving.server.ports import free_port
from unroll.serving.server.process import leave, run

_log = logging.getLogger(__name__)
_spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads is none to rely on
_FIRST_PAUSE = (
    1.0  # seconds before a process that ended by itself is started anew; twice as many at each try that fails
)
_MAX_PAUSE = 60.0
_PARENT_DEATH_SIGNAL = 1  # of prctl
_Serve = Callable[[Callable[[Ready], None]], None]  # takes what is told when clients are answered


def serve_together(
    given: argparse.Namespace, store: Path | None, request_log: Path | None, on_ready: Callable[[Ready], None]
) -> None:
    """Serves with `given.workers` processes until SIGTERM or SIGINT. One that ends by itself is started anew.

    Args:
        given: the flags, see `unroll.serving.server.flags`.
        store: what is served where they name nothing else.
        request_log: folder of the request log where they name none.
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
            workers.append(_Worker(functools.partial(run, given, store, request_log, own=path, others=others), path))
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
                            f"--workers={given.workers}: a process cannot be started ({_told(error)}). Mend that, or "
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


class _Worker:
    """One process, which may be started again and again.

    Args:
        serve: what it runs.
        own: its UNIX socket, see `unroll.serving.server.siblings`.

    Attributes:
        process: None before the first one, and between two.
    """

    process: BaseProcess | None = None

    def __init__(self, serve: _Serve, own: Path) -> None:
        self._serve = serve
        self._own = own
        self._folder = "."
        self._problem = ""
        self._pause = _FIRST_PAUSE
        self._not_before = 0.0

    def start(self) -> None:
        """Starts the process.

        Raises:
            OSError: the system does not let it.
        """
        self._folder = _working_folder(self._folder)
        self._own.unlink(missing_ok=True)
        self._outcome, told = _spawn.Pipe(duplex=False)
        with told:
            process = _spawn.Process(target=_work, args=(told, self._serve))
            process.start()
        self.process, self._problem = process, ""

    def keep(self) -> None:
        """Starts it anew if it has ended, after a pause that grows while that does not help."""
        if self.process is not None:
            alive = self.process.is_alive()
            self._hear(self.process)
            if not alive:
                ended, self.process = self.process, None
                reason = self._problem or f"code {ended.exitcode}"
                _log.error("process %s ended (%s); it is started anew in %g s", ended.pid, reason, self._put_off())
        elif time.monotonic() >= self._not_before:
            try:
                self.start()
            except Exception as error:  # whatever it is, the others serve on
                _log.error(
                    "a process cannot be started anew: %s; it is tried again in %g s", _told(error), self._put_off()
                )

    def outcome(self) -> Ready | str:
        """Waits until the process serves, or says why it cannot."""
        assert self.process is not None
        try:
            return self._outcome.recv()
        except EOFError:
            self.process.join()
            return f"A process of the server ended before it could serve (code {self.process.exitcode}). See its log."

    def stop(self) -> None:
        """Has it let requests in flight finish, and end."""
        if self.process is not None and self.process.is_alive():
            self.process.terminate()

    def join(self) -> None:
        """Waits until it has ended."""
        if self.process is not None:
            self.process.join()

    def _put_off(self) -> float:
        """Seconds from now in which it is not started."""
        pause, self._pause = self._pause, min(2 * self._pause, _MAX_PAUSE)
        self._not_before = time.monotonic() + pause
        return pause

    def _hear(self, process: BaseProcess) -> None:
        """Takes in what a process has told that was started anew."""
        with contextlib.suppress(EOFError, OSError):  # it ended, perhaps in the middle of a word
            if self._outcome.poll():
                if isinstance(said := self._outcome.recv(), str):
                    self._problem = said
                else:
                    self._pause = _FIRST_PAUSE
                    _log.info("process %s serves in place of one that ended", process.pid)


def _working_folder(known: str) -> str:
    """Where this process works. A process cannot be started where the folder was deleted, but where it is made anew."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        os.chdir(known)
        return known


def _told(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    return f"{type(error).__name__}: {error}"


def _work(told: Connection, serve: _Serve) -> None:
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)  # a killed parent leaves nobody on its ports
    parent = multiprocessing.parent_process()
    if not parent or not parent.is_alive():
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent says when to stop
    from unroll.serving.server.logs import log_to_stderr

    log_to_stderr(f"process {os.getpid()}: ")
    try:
        serve(told.send)
    except UserError as error:
        told.send(str(error))
    leave()
