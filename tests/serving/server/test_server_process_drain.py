"""SIGTERM while requests are on their way; a newer server where one listens; the request log's files."""

import socket as stdlib_socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.serving_fixtures import Server, start_model_server, until
from unroll.serving.client.client import Client, ServingError
from unroll.serving.protocol import protos
from unroll.serving.versions.store import Store

FILE_BYTES = 2000


@pytest.fixture(scope="module")
def folder(exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drain")
    Store(folder).put("sample", 1, exports[1])
    return folder


@pytest.fixture(scope="module")
def draining(folder: Path) -> Iterator[Server]:
    running = start_model_server(
        "--model_name=sample",
        f"--model_base_path={folder / 'sample'}",
        f"--request_log={folder / 'log'}",
        f"--request_log_file_bytes={FILE_BYTES}",
        f"--grpc_socket_path={folder / 'grpc.sock'}",
        "--num_batch_threads=2",
    )
    assert running.port, running.text
    yield running
    running.process.kill()
    running.process.wait()


def predictions(folder: Path) -> dict[str, protos.PredictionLog]:
    """What is logged, by request id; all files but the newest are full and none is much larger."""
    import tensorflow as tf

    found = {}
    for file in (folder / "log" / "sample").glob("*.tfrecord"):
        ids = [line.split("\t")[2] for line in file.with_suffix(".tsv").read_text().splitlines()]
        records = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
        found.update(zip(ids, map(protos.PredictionLog.FromString, records), strict=True))
    return found


def test_requests_of_both_endpoints_are_logged_alike_in_files_of_the_size_asked_for(
    draining: Server, folder: Path
) -> None:
    with Client(draining.address, model="sample") as client:
        for number in range(20):
            client.predict({"text": [f"{number:0500}"]}, request_id=f"grpc-{number}")
            body = {"signature_name": "serving_default", "instances": [f"{number:0500}"]}
            reply = draining.rest("POST", "/v1/models/sample:predict", body, x_request_id=f"rest-{number}")
            assert (reply.status, reply.headers["x-request-id"]) == (200, f"rest-{number}")
        example = {"examples": [{"text": "good"}], "signature_name": "classify"}
        draining.rest("POST", "/v1/models/sample:classify", example, x_request_id="rest-classify")
        client.classify(["good"], request_id="grpc-classify")
    until(lambda: sum(len(one.read_text().splitlines()) for one in (folder / "log" / "sample").glob("*.tsv")) == 42)
    logs = predictions(folder)
    assert len(logs) == 42
    for number in range(20):
        by_grpc, by_rest = (logs[f"{endpoint}-{number}"].predict_log for endpoint in ("grpc", "rest"))
        assert by_rest.request.inputs["text"].string_val == [f"{number:0500}".encode()]
        assert by_rest.request.inputs == by_grpc.request.inputs
        assert by_rest.response == by_grpc.response
        assert logs[f"rest-{number}"].log_metadata.model_spec == logs[f"grpc-{number}"].log_metadata.model_spec
    by_grpc, by_rest = (logs[f"{endpoint}-classify"].classify_log for endpoint in ("grpc", "rest"))
    assert by_rest.request.input == by_grpc.request.input
    assert by_rest.response == by_grpc.response
    sizes = sorted(one.stat().st_size for one in (folder / "log" / "sample").glob("*.tfrecord"))
    assert len(sizes) > 10
    assert all(FILE_BYTES <= size < FILE_BYTES + 1500 for size in sizes[1:])


def test_a_newer_server_takes_a_unix_socket_over(folder: Path, start: Callable[..., Server]) -> None:
    socket = folder / "taken.sock"
    flags = (f"--model_base_path={folder / 'sample'}", f"--grpc_socket_path={socket}")
    with closing(stdlib_socket.socket(stdlib_socket.AF_UNIX)) as stale:
        stale.bind(str(socket))
    old = start("-m", "unroll.serving.server", "--port=0", "--model_name=old", *flags)
    new = start("-m", "unroll.serving.server", "--port=0", "--model_name=new", *flags)
    assert f"--grpc_socket_path {socket}: taken over from an older server, which is gone" in old.text
    assert f"--grpc_socket_path {socket}: taken over from an older server, which still runs" in new.text
    for ended in (False, True):  # the older server's end leaves the newer one its socket
        with Client(f"unix:{socket}", model="new") as client:
            assert client.status() == {1: "AVAILABLE"}, ended
        if not ended:
            with Client(old.address, model="old") as client:
                assert client.status() == {1: "AVAILABLE"}
            assert old.stop() == 0
    assert new.stop() == 0
    assert not socket.exists()


def refusal(server: Server) -> ServingError | None:
    """Why a server does not answer, or None where it does."""
    try:
        with Client(server.address, model="sample", timeout=0.5) as late:
            late.status()
    except ServingError as error:
        return error
    return None


def test_sigterm_lets_requests_of_both_endpoints_finish(draining: Server, folder: Path) -> None:
    paths = [folder / "by_grpc", folder / "by_rest"]
    told: list[int] = []

    def watch() -> None:
        with grpc.insecure_channel(draining.address) as channel:
            watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="sample"))
            for answer in watching:
                told.append(answer.status)  # noqa: PERF401  read while it grows

    def by_grpc(path: Path) -> list[str]:
        with Client(draining.address, model="sample", timeout=60) as client:
            return client.predict({"path": [str(path)]}, signature="hold")["held"].tolist()

    def by_rest(path: Path) -> list[str]:
        body = {"signature_name": "hold", "inputs": {"path": [str(path)]}}
        return draining.rest("POST", "/v1/models/sample:predict", body).json["outputs"]

    with ThreadPoolExecutor(3) as threads:
        watching = threads.submit(watch)
        until(lambda: told)
        asked = []
        for ask, path in zip((by_grpc, by_rest), paths, strict=True):  # in turn, lest both run as one batch
            asked.append(threads.submit(ask, path))
            until(lambda path=path: Path(f"{path}.running").exists())
        draining.process.terminate()
        watching.result(30)
        assert told == [1, 2]  # SERVING, NOT_SERVING, and the stream ends
        refused = until(lambda: refusal(draining))  # what was under way when clients were told is still answered
        assert refused.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        assert draining.process.poll() is None
        for path in paths:
            path.write_text("")
        assert [answer.result(60) for answer in asked] == [[str(path)] for path in paths]
    assert draining.process.wait(60) == 0
    assert "Traceback" not in draining.text
    assert "stopping: calls in flight (2) may take 30 seconds" in draining.text
    assert "cut off" not in draining.text
    until(lambda: draining.text.endswith("INFO stopped\n"))
    assert not (folder / "grpc.sock").exists()
    logged = [one.predict_log.request.inputs["path"].string_val[:1] for one in predictions(folder).values()]
    assert sum(map(len, logged)) == 2


def test_a_run_that_does_not_end_is_cancelled_with_its_client(folder: Path) -> None:
    flags = ("--model_name=sample", f"--model_base_path={folder / 'sample'}", "--drain_seconds=0.5")
    hanging = start_model_server(*flags, "--num_batch_threads=1")
    path = folder / "never"

    def ask() -> None:
        with Client(hanging.address, model="sample", timeout=60) as client:
            client.predict({"path": [str(path)]}, signature="hold")

    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(ask)
        until(lambda: Path(f"{path}.running").exists())
        hanging.process.terminate()
        with pytest.raises(ServingError):
            asked.result(60)
        assert hanging.process.wait(60) == 0
    assert "Traceback" not in hanging.text
    assert "still runs" in hanging.text
    assert "calls in flight (1) are cut off after 0.5 seconds" in hanging.text
    until(lambda: hanging.text.endswith("INFO stopped\n"))
