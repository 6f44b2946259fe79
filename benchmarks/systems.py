"""The servers that the benchmarks compare, each a process of its own with one SavedModel."""

import contextlib
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes
from benchmarks.connections import CONNECTIONS
from benchmarks.peers import environment
from benchmarks.saved_models import NAME
from benchmarks.trailers import OK
from serving.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / "peers"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "NONE", "MLFLOW_TRACKING_URI": "", "NO_COLOR": "1"}
DOORS = {
    "unroll": ("grpc", PREDICT),
    "mlflow": ("http", "/invocations"),
    "LitServe": ("http", "/predict"),
    "naive": ("grpc", PREDICT),
}
"""Protocol and path by system."""


@dataclass
class System:
    """A running server.

    Args:
        protocol: `grpc` or `http`.
        path: of the method or URL that predicts.
        port: on this machine.
        process: heads the server's processes.
        log: what they print.
    """

    protocol: str
    path: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def answers(self, body: bytes, timeout: float = 60.0) -> bool:
        """Whether a request is answered without failure."""
        kind = CONNECTIONS[self.protocol]
        try:
            connection = kind(self.port, timeout)
        except OSError:
            return False
        give_up = time.monotonic() + timeout
        outcome = None
        with connection.socket, select.epoll() as poll:
            poll.register(connection.socket, select.EPOLLIN)
            connection.call(kind.encode(self.path, body))
            while outcome is None and time.monotonic() < give_up:
                poll.poll(0.1)
                outcome = connection.receive()
        return outcome == OK

    def wait(self, body: bytes, seconds: float = 300.0) -> float:
        """Waits for the first answer.

        Returns:
            Seconds since this call.
        """
        start = time.perf_counter()
        while not self.answers(body):
            if self.process.poll() is not None or time.perf_counter() > start + seconds:
                arguments = self.process.args
                assert isinstance(arguments, list)
                sys.exit(f"{shlex.join(map(str, arguments))}\n{self.log.read_text()}")
            time.sleep(0.005)
        return time.perf_counter() - start

    def pause(self) -> None:
        """Suspends the server and its descendants."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets them run on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for pid in processes.tree(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        """Ends the server and its descendants."""
        self.resume()
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(30)
            except (subprocess.TimeoutExpired, ProcessLookupError):
                continue


def start(
    name: str, saved_model: Path, scratch: Path, peers: Path = environment.CACHE, flags: tuple[str, ...] = ()
) -> System:
    """Starts a server and returns at once.

    Args:
        name: one of `DOORS`.
        saved_model: what it serves, as `NAME`.
        scratch: an existing directory for its files; may be used for it again.
        peers: where the peers' environments are kept.
        flags: for `unroll serve`.
    """
    port = free_port()
    python = sys.executable if name == "unroll" else str(environment.python(peers))
    command = {
        "unroll": lambda: _unroll(saved_model, scratch, port, flags),
        "mlflow": lambda: _mlflow(python, saved_model, scratch, port),
        "LitServe": lambda: [str(PEERS / "litserve_server.py"), str(saved_model.resolve()), str(port)],
        "naive": lambda: [str(PEERS / "naive_server.py"), str(saved_model.resolve()), str(port)],
    }[name]()
    log = scratch / f"{name}.log"
    return System(*DOORS[name], port, launch([python, *command], log), log)


def launch(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Runs a command in the background, at the head of a process group."""
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"  # mlflow looks for uvicorn there
    with log.open("w") as output:
        return subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **QUIET, "PATH": path},
            cwd=ROOT,
            start_new_session=True,
        )


def _unroll(saved_model: Path, scratch: Path, port: int, flags: tuple[str, ...]) -> list[str]:
    home = scratch / "home"
    if not (home / "store").exists():
        shutil.copytree(saved_model, home / "store" / NAME / "1")
    return ["-m", "unroll", "serve", "--home", str(home), "--port", str(port), "--rest_api_port", "0", *flags]


def _mlflow(python: str, saved_model: Path, scratch: Path, port: int) -> list[str]:
    packed = scratch / "pyfunc"
    if not packed.exists():
        pack = [python, str(PEERS / "mlflow_model.py"), str(saved_model.resolve()), str(packed)]
        subprocess.run(pack, check=True, cwd=scratch, env={**os.environ, **QUIET}, capture_output=True)
    served = ["-m", "mlflow", "models", "serve", "-m", str(packed), "-p", str(port)]
    return [*served, "--env-manager", "local", "--host", "127.0.0.1"]
