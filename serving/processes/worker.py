"""One process of a server among several, which its parent keeps running."""

import contextlib
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from unroll.errors import UserError
from unroll.serving.processes.leaving import leave
from unroll.serving.processes.logs import log_to_stderr
from unroll.serving.processes.orphans import end_with_parent

_log = logging.getLogger(__name__)
_spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads cannot be relied on
_FIRST_PAUSE = 1.0  # seconds before a process that ended is restarted; twice as many at each try that fails
_MAX_PAUSE = 60.0
Serve = Callable[[Callable[[Any], None]], None]
"""What a process runs; takes what is told when clients are answered."""


class Worker:
    """One process, which may be started again and again.

    Args:
        serve: what it runs.
        own: its UNIX socket, see `unroll.serving.processes.siblings`.

    Attributes:
        process: None before the first one, and between two.
        serves: whether it is known to answer clients. Not known while nobody calls `keep`.
    """

    process: BaseProcess | None = None

    def __init__(self, serve: Serve, own: Path) -> None:
        self._serve = serve
        self._own = own
        self._folder = "."
        self._problem = ""
        self._restarted = False
        self.serves = False
        self._pause = _FIRST_PAUSE
        self._not_before = 0.0

    def start(self) -> None:
        """Starts the process.

        Raises:
            OSError: the system does not let it.
        """
        self._folder = _working_folder(self._folder)
        self._own.unlink(missing_ok=True)
        self._outcome, telling = _spawn.Pipe(duplex=False)
        with telling:
            process = _spawn.Process(target=_work, args=(telling, self._serve))
            process.start()
        self.process, self._problem = process, ""

    def keep(self) -> None:
        """Starts it, and again if it has ended: after a pause that grows while that does not help."""
        if self.process is not None:
            alive = self.process.is_alive()
            self._hear(self.process)
            if not alive:
                ended, self.process, self.serves, self._restarted = self.process, None, False, True
                reason = self._problem or f"code {ended.exitcode}"
                _log.error("process %s ended (%s); it is restarted in %g s", ended.pid, reason, self._put_off())
        elif time.monotonic() >= self._not_before:
            try:
                self.start()
            except Exception as error:  # whatever it is, the others serve on
                _log.error("a process cannot be restarted: %s; it is tried again in %g s", told(error), self._put_off())

    def outcome(self) -> Any:
        """Waits until the process serves, and gives what it has to tell, or in a `str` why it cannot."""
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

    def join(self, seconds: float | None = None) -> None:
        """Waits until it has ended.

        Args:
            seconds: after which it is killed; None: it may take as long as it wants.
        """
        if self.process is not None:
            self.process.join(seconds)
            if self.process.is_alive():
                _log.warning("process %s does not stop: it is killed", self.process.pid)
                self.process.kill()
                self.process.join()

    def _put_off(self) -> float:
        """Seconds from now in which it is not started."""
        pause, self._pause = self._pause, min(2 * self._pause, _MAX_PAUSE)
        self._not_before = time.monotonic() + pause
        return pause

    def _hear(self, process: BaseProcess) -> None:
        """Takes in what a process has told since it was started."""
        with contextlib.suppress(EOFError, OSError):  # it ended, perhaps in the middle of a word
            if self._outcome.poll():
                if isinstance(said := self._outcome.recv(), str):
                    self._problem = said
                else:
                    self._pause, self.serves = _FIRST_PAUSE, True
                    place = "in place of one that ended" if self._restarted else "beside the first"
                    _log.info("process %s serves %s", process.pid, place)


def _working_folder(known: str) -> str:
    """Where this process works. None can be started where the folder was deleted, until it is made again."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        os.chdir(known)
        return known


def told(error: Exception) -> str:
    """What stands in the way, in a few words."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    return f"{type(error).__name__}: {error}"


def _work(telling: Connection, serve: Serve) -> None:
    end_with_parent()  # else a killed one leaves somebody on its ports
    parent = multiprocessing.parent_process()
    if not parent or not parent.is_alive():
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent says when to stop
    log_to_stderr(f"process {os.getpid()}: ")
    try:
        serve(telling.send)
    except UserError as error:
        telling.send(str(error))
    leave()
