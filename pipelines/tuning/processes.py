"""The processes that run a search's trials, seen from the one that starts them."""

import os
import subprocess
import sys
from pathlib import Path

import unroll
from unroll.errors import UserError
from unroll.pipelines.tuning.worker import LEFT

_USER_ERROR = 2  # exit code
_SHOWN = 4000  # characters


class Worker:
    """A process that runs trials, and a fresh one after it while there is more to do.

    Args:
        directory: of the search.
        number: tells it from others.
        ends: Unix time after which no trial begins or goes on.
    """

    def __init__(self, directory: Path, number: int, ends: float):
        root = str(Path(unroll.__file__).parents[1])
        places = [place for place in (os.environ.get("PYTHONPATH"), root) if place]
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
        # -P: nothing in the working directory can stand for an installed package
        module = "unroll.pipelines.tuning.worker"
        self._command = [sys.executable, "-P", "-m", module, str(directory), str(number), repr(ends)]
        self._log = directory / f"worker-{number}.log"
        self._process = self._start()

    def is_running(self) -> bool:
        """Whether trials are run.

        Raises:
            UserError: what a person did wrong, as it was told there.
            RuntimeError: it ended by any other error, with what it said.
        """
        code = self._process.poll()
        if code == LEFT:
            self._process = self._start()
        elif code:
            said = self._log.read_text(errors="replace").strip()
            if code == _USER_ERROR:
                raise UserError(said.rpartition("error: ")[2])
            raise RuntimeError(f"a process of the search ended with code {code}. It said:\n{said[-_SHOWN:]}")
        return code in (None, LEFT)

    def stop(self) -> None:
        """Ends it, whatever it is at."""
        self._process.terminate()
        self._process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment)
