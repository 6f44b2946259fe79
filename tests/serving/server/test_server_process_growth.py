"""A server whose event loop is full starts a process beside itself, which its clients do not notice."""

import contextlib
import functools
import gc
import http.client
import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.serving.server.test_server_process_workers import (
    answered_by,
    answers_everywhere,
    children,
    counted,
    is_alive,
    reload,
    score,
)
from tests.serving_fixtures import Server, start_server, until
from unroll.serving.engine.cores import cores
from unroll.serving.processes.growth import GrowthParameters
from unroll.serving.protocol import protos, tensors
from unroll.serving.server import flags, model_server
from unroll.serving.server.parameters import ServerParameters
from unroll.serving.server.ports import free_port
from unroll.serving.server.process import run

needs_cores = pytest.mark.skipif(cores() < 2, reason="a second process needs a core")
GRPC_CLIENTS = 16  # none of whose connections the system gives to the second process once in 65536 times
REST_CLIENTS = 4
PREDICT = "/tensorflow.serving.PredictionService/Predict"
BUSY = re.compile(rb'unroll_event_loop_busy_ratio\{process="(\d+)"\} ([\d.]+)')
SECONDS = 300  # on a machine that has other things to do


@pytest.fixture(scope="module")
def folder(light_exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("growth")
    shutil.copytree(light_exports[1], folder / "m" / "1")
    shutil.copytree(light_exports[2], folder / "other" / "2")
    return folder


def start_growing(folder: Path, *flags: str) -> Server:
    rest_port = free_port()
    program = ("-m", "tests.serving.server.growing_server", "--port=0", f"--rest_api_port={rest_port}")
    server = start_server(*program, "--model_name=m", f"--model_base_path={folder / 'm'}", *flags)
    server.rest_port = rest_port
    assert server.port, server.text
    return server


@contextlib.contextmanager
def connected(server: Server) -> Iterator[Any]:
    """Asks the model on a connection that no other channel of this process has."""
    request = protos.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["text"].MergeFromString(tensors.encode(tensors.from_python(["a"])))
    message = request.SerializeToString()
    with grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        predict = channel.unary_unary(PREDICT, response_deserializer=protos.PredictResponse.FromString)
        yield functools.partial(predict, message, timeout=SECONDS)


class Traffic:
    """Clients of both endpoints that keep their connections and ask on and on. None of them tries a call twice."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.answers = 0
        self.failures: list[Exception] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        asking = [self._by_grpc] * GRPC_CLIENTS + [self._by_rest] * REST_CLIENTS
        self._threads = [threading.Thread(target=ask) for ask in asking]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _by_grpc(self) -> None:
        with connected(self.server) as predict:
            self._ask(lambda: list(predict().outputs["score"].float_val))

    def _by_rest(self) -> None:
        body = json.dumps({"instances": ["a"]})
        connection = http.client.HTTPConnection("127.0.0.1", self.server.rest_port, timeout=SECONDS)

        def predict() -> Any:
            connection.request("POST", "/v1/models/m:predict", body)
            return json.loads(connection.getresponse().read())["predictions"]

        with contextlib.closing(connection):
            self._ask(predict)

    def _ask(self, predict: Any) -> None:
        while not self._over.wait(0.05):
            try:
                assert predict() == [1.0]
                with self._lock:
                    self.answers += 1
            except Exception as error:
                self.failures.append(error)


@pytest.fixture(scope="module")
def growing(folder: Path) -> Iterator[Server]:
    running = start_growing(folder, f"--request_log={folder / 'log'}")
    assert not children(running.process.pid)  # nobody has asked anything
    yield running
    running.process.kill()
    running.process.wait()


def grown(server: Server) -> int:
    """Has it grown, and returns the process beside the first."""
    with connected(server) as one, connected(server) as other:
        one(), other()
        (pid,) = until(lambda: len(found := children(server.process.pid)) == 1 and found, SECONDS)
        until(lambda: f"process {pid} serves" in server.text, SECONDS)
    return pid


@needs_cores
def test_a_full_server_grows_and_no_call_fails(growing: Server, folder: Path) -> None:
    first = growing.process.pid
    with Traffic(growing) as traffic:
        until(lambda: re.search(r"is full while [\d.]+ cores are idle: another process is started", growing.text))
        (beside,) = until(lambda: children(first), SECONDS)
        until(lambda: f"process {beside} serves beside the first" in growing.text, SECONDS)
        until(lambda: answered_by(folder, "m")[beside] > 100, SECONDS)  # of connections that nobody closed
        before = answered_by(folder, "m")
        until(lambda: answered_by(folder, "m")[first] > before[first] + 20, SECONDS)  # it goes on to answer
    assert not traffic.failures
    until(lambda: counted(growing) == traffic.answers)  # where no process is too slow to tell
    assert growing.text.count("another process is started") == 1
    metrics = growing.rest("GET", "/monitoring/prometheus/metrics").body
    busy = {int(process): float(share) for process, share in BUSY.findall(metrics)}
    assert busy.keys() <= {first, beside}
    assert all(0 <= share <= 1 for share in busy.values())


@needs_cores
def test_a_reload_reaches_both_and_a_killed_process_comes_back_with_it(growing: Server, folder: Path) -> None:
    killed = grown(growing)
    models = "".join(
        f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" }}'
        for name in ("m", "other")
    )
    reload(growing, f"model_config_list {{ {models} }}")
    answers_everywhere(growing, "other", 2.0)
    os.kill(killed, signal.SIGKILL)
    until(lambda: f"process {killed} ended (code -9); it is restarted" in growing.text)
    new = until(lambda: children(growing.process.pid) - {killed}, SECONDS).pop()
    until(lambda: f"process {new} serves in place of one that ended" in growing.text, SECONDS)

    def new_one_answers() -> bool:
        assert score(growing, "other") == 2.0
        return new in answered_by(folder, "other")

    until(new_one_answers, SECONDS)


@needs_cores
def test_sigterm_ends_both_well(growing: Server) -> None:
    pid = grown(growing)
    assert growing.stop() == 0
    assert not is_alive(pid)
    assert f"process {pid}: stopping: " in growing.text
    assert "Traceback" not in growing.text


@needs_cores
@pytest.mark.slow
def test_a_killed_parent_leaves_nobody_and_a_process_that_cannot_serve_is_tried_again(folder: Path) -> None:
    batching = folder / "batching.pbtxt"
    batching.write_text("max_batch_size { value: 8 }")
    server = start_growing(folder, f"--batching_parameters_file={batching}")
    try:
        batching.unlink()  # so that no other process can read it
        with connected(server) as one, connected(server) as other:
            one(), other()
            said = rf"process \d+ ended \(.*{re.escape(str(batching))}.*\); it is restarted in 1 s"
            until(lambda: re.search(said, server.text), SECONDS)
            one(), other()
            batching.write_text("max_batch_size { value: 8 }")
            until(lambda: re.search(r"process \d+ serves in place of one that ended", server.text), SECONDS)
            pids = children(server.process.pid)
            assert len(pids) == 1
            server.process.kill()
        until(lambda: not any(map(is_alive, pids)), SECONDS)
    finally:
        server.process.kill()
        server.process.wait()


@pytest.mark.parametrize(
    ("given", "most"),
    [
        ((), cores() - 1),
        (("--workers=1",), 0),
        (("--grpc_socket_path={folder}/socket",), 0),
    ],
)
def test_who_grows_and_how_far(
    folder: Path, given: tuple[str, ...], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[ServerParameters] = []
    monkeypatch.setattr(model_server, "serve", lambda models, parameters, on_ready: served.append(parameters))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(gc, "set_threshold", lambda *_: None)
    base = f"--model_base_path={folder / 'm'}"
    run(flags.parse([base, *(flag.format(folder=folder) for flag in given)], "server"), lambda _: None)
    (parameters,) = served
    if most:
        assert isinstance(parameters.growth, GrowthParameters)
        assert parameters.siblings
        assert len(parameters.siblings.others) == most
        assert not parameters.siblings.own.parent.exists()  # before it is needed
    else:
        assert parameters.growth is None
        assert parameters.siblings is None
    assert not parameters.ports.shared  # so that no other server takes the port
