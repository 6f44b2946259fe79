"""A server whose event loop is full starts a process beside itself, which its clients do not notice."""

import contextlib
import functools
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

from serving import protos, tensors
from serving.cores import cores
from serving.ports import free_port
from tests.serving.test_server_process_workers import answered_by, answers_everywhere, children, is_alive, reload, score
from tests.serving_fixtures import Server, start_server, until

pytestmark = pytest.mark.skipif(cores() < 2, reason="a second process needs a core")
CLIENTS = 4  # of each door
PREDICT = "/tensorflow.serving.PredictionService/Predict"
CALLS = re.compile(rb':tensorflow:serving:request_count\{model_name="m",status="OK"\} (\d+)')
BUSY = re.compile(rb'unroll_event_loop_busy_ratio\{process="(\d+)"\} ([\d.]+)')
STARTED = re.compile(r"the event loop is full while [\d.]+ cores are idle: process (\d+) is started beside it")


@pytest.fixture(scope="module")
def folder(light_exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("growth")
    shutil.copytree(light_exports[1], folder / "m" / "1")
    shutil.copytree(light_exports[2], folder / "other" / "2")
    return folder


def start_growing(folder: Path, *flags: str) -> Server:
    rest_port = free_port()
    program = ("-m", "tests.serving.growing_server", "--port=0", f"--rest_api_port={rest_port}")
    model = ("--model_name=m", f"--model_base_path={folder / 'm'}")
    server = start_server(*program, *model, *flags)
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
        yield functools.partial(predict, message)


class Traffic:
    """Clients of both doors that keep their connections, and ask again and again. None of them tries a call twice."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.answers = 0
        self.failures: list[Exception] = []
        self._over = threading.Event()
        asking = (self._by_grpc, self._by_rest)
        self._threads = [threading.Thread(target=ask) for ask in asking for _ in range(CLIENTS)]

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
            while not self._over.wait(0.01):
                try:
                    assert predict(timeout=30).outputs["score"].float_val == [1.0]
                    self.answers += 1
                except Exception as error:
                    self.failures.append(error)

    def _by_rest(self) -> None:
        body = json.dumps({"instances": ["a"]})
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.server.rest_port, timeout=30)) as client:
            while not self._over.wait(0.01):
                try:
                    client.request("POST", "/v1/models/m:predict", body)
                    assert json.loads(client.getresponse().read()) == {"predictions": [1.0]}
                    self.answers += 1
                except Exception as error:
                    self.failures.append(error)


@pytest.fixture(scope="module")
def growing(folder: Path) -> Iterator[Server]:
    running = start_growing(folder, f"--request_log={folder / 'log'}")
    yield running
    running.process.kill()
    running.process.wait()


def metrics(server: Server) -> bytes:
    return server.rest("GET", "/monitoring/prometheus/metrics").body


def test_a_full_server_grows_and_no_call_fails(growing: Server, folder: Path) -> None:
    first = growing.process.pid
    assert not children(first)  # nobody has asked anything
    with Traffic(growing) as traffic:
        beside = int(until(lambda: STARTED.search(growing.text))[1])
        assert children(first) == {beside}
        until(lambda: answered_by(folder, "m")[beside] > 100)
        before = answered_by(folder, "m")
        until(lambda: answered_by(folder, "m")[first] > before[first] + 20)  # the first goes on to answer
        busy = until(lambda: len(found := dict(BUSY.findall(metrics(growing)))) == 2 and found)
        assert set(map(int, busy)) == {first, beside}
        assert all(0 <= float(share) <= 1 for share in busy.values())
    assert not traffic.failures
    served = int(CALLS.search(metrics(growing))[1])  # type: ignore[index]
    assert served == traffic.answers
    assert growing.text.count("is started beside it") <= cores() - 1


def test_a_reload_reaches_both_and_a_killed_process_comes_back_with_it(growing: Server, folder: Path) -> None:
    (killed,) = children(growing.process.pid)
    models = "".join(
        f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" }}'
        for name in ("m", "other")
    )
    reload(growing, f"model_config_list {{ {models} }}")
    answers_everywhere(growing, "other", 2.0)
    os.kill(killed, signal.SIGKILL)
    until(lambda: f"process {killed} ended (code -9); it is started anew" in growing.text)
    new = until(lambda: children(growing.process.pid) - {killed}).pop()

    def new_one_answers() -> bool:
        assert score(growing, "other") == 2.0
        return new in answered_by(folder, "other")

    until(new_one_answers)


def test_sigterm_ends_both_well(growing: Server) -> None:
    pids = children(growing.process.pid)
    assert pids
    assert growing.stop() == 0
    assert not any(map(is_alive, pids))
    assert "Traceback" not in growing.text


def test_a_process_that_cannot_serve_is_said_once_and_a_killed_parent_leaves_nobody(folder: Path) -> None:
    batching = folder / "batching.pbtxt"
    batching.write_text("max_batch_size { value: 8 }")
    server = start_growing(folder, f"--batching_parameters_file={batching}")
    try:
        batching.unlink()  # so that no other process can read it
        with connected(server) as one, connected(server) as other:
            one(timeout=30), other(timeout=30)
            until(lambda: "there can be no process beside this one" in server.text)
            assert str(batching) in server.text
            batching.write_text("max_batch_size { value: 8 }")
            assert server.text.count("there can be no process") == 1
            pids = until(
                lambda: (
                    "m: version 1 is served" in server.text.partition("there can be no")[2]
                    and children(server.process.pid)
                )
            )
            server.process.kill()
        until(lambda: not any(map(is_alive, pids)))
    finally:
        server.process.kill()
        server.process.wait()
