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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import processes
from benchmarks.harness.connections import CONNECTIONS
from benchmarks.harness.saved_models import NAME, json_body, predict_body
from benchmarks.harness.trailers import OK
from benchmarks.peers import environment
from unroll.serving.engine.cores import cores
from unroll.serving.server.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "benchmarks" / "peers"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "NONE", "MLFLOW_TRACKING_URI": "", "NO_COLOR": "1"}
UNROLL, OTHER, REAL = "unroll", "other checkout", "TensorFlow Serving"
_BOTH = {"grpc": PREDICT, "http": f"/v1/models/{NAME}:predict"}
PATHS: dict[str, dict[str, str]] = {
    UNROLL: _BOTH,
    OTHER: _BOTH,
    REAL: _BOTH,
    "mlflow": {"http": "/invocations"},
    "LitServe": {"http": "/predict"},
    "naive": {"grpc": PREDICT},
}
"""By system and protocol, the method or URL that predicts."""
INSTALLED = (UNROLL, "mlflow", "LitServe", "naive")
"""Systems that need no path."""
BODIES: dict[str, Callable[[dict[str, Any]], bytes]] = {"grpc": predict_body, "http": json_body}
# As one tunes it for small recurrent models: batches of whatever waits, ops in one thread each, a batch a core.
_BATCHING = """max_batch_size {{ value: 1024 }}
batch_timeout_micros {{ value: 0 }}
max_enqueued_batches {{ value: 1000000 }}
num_batch_threads {{ value: {cores} }}
"""


@dataclass(frozen=True)
class Endpoint:
    """Where a server is asked.

    Args:
        protocol: `grpc` or `http`.
        port: on this machine.
        path: of the method or URL that predicts.
    """

    protocol: str
    port: int
    path: str

    def answers(self, body: bytes, timeout: float = 60.0) -> bool:
        """Whether a request is answered without failure."""
        kind = CONNECTIONS[self.protocol]
        try:
            connection = kind(self.port, timeout)
        except OSError:
            return False
        deadline = time.monotonic() + timeout
        outcome = None
        with connection.socket, select.epoll() as poll:
            poll.register(connection.socket, select.EPOLLIN)
            connection.call(kind.encode(self.path, body))
            while outcome is None and time.monotonic() < deadline:
                poll.poll(0.1)
                outcome = connection.receive()
        return outcome == OK


@dataclass
class System:
    """A running server.

    Args:
        endpoints: by protocol.
        process: heads the server's processes.
        log: what they print.
    """

    endpoints: dict[str, Endpoint]
    process: subprocess.Popen[bytes]
    log: Path

    def wait(self, bodies: Mapping[str, bytes], seconds: float = 300.0) -> float:
        """Waits until every endpoint has answered.

        Args:
            bodies: a request, by protocol.
            seconds: after which the benchmark ends.

        Returns:
            Seconds from this call to the first answer of the first endpoint.
        """
        start, first = time.perf_counter(), 0.0
        for endpoint in self.endpoints.values():
            while not endpoint.answers(bodies[endpoint.protocol]):
                if self.process.poll() is not None or time.perf_counter() > start + seconds:
                    arguments = self.process.args
                    assert isinstance(arguments, list)
                    sys.exit(f"{shlex.join(map(str, arguments))}\n{self.log.read_text()}")
                time.sleep(0.005)
            first = first or time.perf_counter() - start
        return first

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


@dataclass(frozen=True)
class Installed:
    """Where systems are that a machine may or may not have.

    Args:
        peers: where the peers' environments are kept.
        tensorflow_model_server: its binary.
        other_checkout: another state of this project.
    """

    peers: Path = environment.CACHE
    tensorflow_model_server: Path | None = None
    other_checkout: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of those among them that were named."""
        given = {OTHER: self.other_checkout, REAL: self.tensorflow_model_server}
        return tuple(name for name, path in given.items() if path)


def start(
    name: str, saved_model: Path, scratch: Path, installed: Installed = Installed(), flags: tuple[str, ...] = ()
) -> System:
    """Starts a server and returns at once.

    Args:
        name: one of `PATHS`.
        saved_model: what it serves, as `NAME`.
        scratch: an existing directory for its files; may be used for it again.
        installed: where the systems are.
        flags: for `unroll serve`, of this checkout and the other.
    """
    ports = {protocol: free_port() for protocol in PATHS[name]}
    root = installed.other_checkout.resolve() if name == OTHER and installed.other_checkout else ROOT
    if name in (UNROLL, OTHER):
        command = _unroll(saved_model, scratch, ports, flags)
    elif name == REAL:
        command = _tensorflow_model_server(installed.tensorflow_model_server, saved_model, scratch, ports)
    else:
        python = str(environment.python(installed.peers))
        served = str(saved_model.resolve())
        command = {
            "mlflow": lambda: _mlflow(python, saved_model, scratch, ports["http"]),
            "LitServe": lambda: [python, str(PEERS / "litserve_server.py"), served, str(ports["http"])],
            "naive": lambda: [python, str(PEERS / "naive_server.py"), served, str(ports["grpc"])],
        }[name]()
    log = scratch / f"{name}.log"
    endpoints = {protocol: Endpoint(protocol, port, PATHS[name][protocol]) for protocol, port in ports.items()}
    return System(endpoints, launch(command, log, root), log)


def launch(command: list[str], log: Path, root: Path = ROOT) -> subprocess.Popen[bytes]:
    """Runs a command in the background, at the head of a process group.

    Args:
        command: program and arguments.
        log: what it prints.
        root: the checkout in which it runs, and whose modules it finds first.
    """
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"  # mlflow looks for uvicorn there
    with log.open("w") as output:
        return subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **QUIET, "PATH": path},
            cwd=root,
            start_new_session=True,
        )


def _unroll(saved_model: Path, scratch: Path, ports: dict[str, int], flags: tuple[str, ...]) -> list[str]:
    home = scratch / "home"
    if not (home / "store").exists():
        shutil.copytree(saved_model, home / "store" / NAME / "1")
    served = [sys.executable, "-m", "unroll", "serve", "--home", str(home)]
    return [*served, "--port", str(ports["grpc"]), "--rest_api_port", str(ports["http"]), *flags]


def _tensorflow_model_server(binary: Path | None, saved_model: Path, scratch: Path, ports: dict[str, int]) -> list[str]:
    assert binary
    versions, batching = scratch / NAME, scratch / "batching_parameters.txt"
    if not versions.exists():
        shutil.copytree(saved_model, versions / "1")
        batching.write_text(_BATCHING.format(cores=cores()))
    return [
        str(binary.resolve()),
        f"--port={ports['grpc']}",
        f"--rest_api_port={ports['http']}",
        f"--model_name={NAME}",
        f"--model_base_path={versions.resolve()}",
        "--enable_batching=true",
        f"--batching_parameters_file={batching.resolve()}",
        "--tensorflow_intra_op_parallelism=1",
        "--grpc_max_threads=256",
    ]


def _mlflow(python: str, saved_model: Path, scratch: Path, port: int) -> list[str]:
    packed = scratch / "pyfunc"
    if not packed.exists():
        pack = [python, str(PEERS / "mlflow_model.py"), str(saved_model.resolve()), str(packed)]
        subprocess.run(pack, check=True, cwd=scratch, env={**os.environ, **QUIET}, capture_output=True)
    served = [python, "-m", "mlflow", "models", "serve", "-m", str(packed), "-p", str(port)]
    return [*served, "--env-manager", "local", "--host", "127.0.0.1"]
