"""A real server process, through its clients, its store, its signals and its files."""

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest

from tests.conftest import ROOT, unroll
from tests.serving_fixtures import SERVE, Server, suggested, until
from unroll.serving.client.client import Client, ServingError
from unroll.serving.versions.store import Store


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with Client(server.address, model="sample") as one:
        yield one


def test_concurrent_requests_get_the_answers_they_get_alone(client: Client) -> None:
    texts = [["x" * ((7 * row + number) % 900) for row in range(1 + number % 4)] for number in range(200)]
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda batch: client.predict({"text": batch}), texts))
    for batch, answer in zip(texts, answers, strict=True):
        np.testing.assert_array_equal(answer["score"], [len(text) for text in batch])
        np.testing.assert_array_equal(answer["probabilities"][:, 1], [-len(text) for text in batch])


def test_a_bad_request_does_not_fail_those_that_run_with_it(client: Client) -> None:
    def ask(index: int) -> float | grpc.StatusCode:
        try:
            return client.predict({"index": [index]}, signature="pick")["picked"][0]
        except ServingError as error:
            return error.code

    wanted = {0: 10.0, 1: 20.0, 2: 30.0, 3: grpc.StatusCode.INVALID_ARGUMENT}
    indices = [number % 4 for number in range(128)]
    with ThreadPoolExecutor(32) as threads:
        assert list(threads.map(ask, indices)) == [wanted[index] for index in indices]


def test_a_deadline_ends_the_call_and_the_server_goes_on(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "go"
    with Client(client.address, model="sample") as hasty:
        hasty.metadata()
        hasty.timeout = 0.3
        with pytest.raises(ServingError, match=r"no answer from .* within 0\.3 seconds") as late:
            hasty.predict({"path": [str(path)]}, signature="hold")
    assert late.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    path.write_text("")
    assert client.predict({"text": ["good"]})["label"] == ["positive"]


def test_the_request_log_holds_what_was_asked_and_answered(server: Server, client: Client) -> None:
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    answer = client.predict({"text": ["logged ☃"]}, request_id="logged-1")
    client.classify(["logged"], request_id="logged-2")
    folder = Path(re.search(r"Request log: (\S+)", "".join(server.output))[1]) / "sample"  # type: ignore[index]

    def lines() -> list[list[str]]:
        text = "".join(path.read_text() for path in sorted(folder.glob("*.tsv")))
        return [line.split("\t") for line in text.splitlines()]

    until(lambda: any(line[2] == "logged-2" for line in lines()), 20)
    (path,) = folder.glob("*.tfrecord")
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{6}Z-\d+", path.stem)
    assert path.stat().st_mode & 0o777 == path.with_suffix(".tsv").stat().st_mode & 0o777 == 0o600
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    logs = dict(
        zip(
            [line[2] for line in lines()],
            map(prediction_log_pb2.PredictionLog.FromString, records),
            strict=True,
        )
    )
    time_ns, version, _, method = next(line for line in lines() if line[2] == "logged-1")
    assert (version, method) == ("1", "Predict")
    assert abs(time.time_ns() - int(time_ns)) < 600e9
    log = logs["logged-1"]
    assert log.log_metadata.model_spec.version.value == 1
    assert log.log_metadata.timestamp_secs == int(time_ns) // 10**9
    assert log.predict_log.request.inputs["text"].string_val[0].decode() == "logged ☃"
    assert log.predict_log.response.outputs["score"].float_val[0] == answer["score"][0]
    assert logs["logged-2"].classify_log.response.result.classifications[0].classes[1].label == "logged"


def test_swaps_fail_no_request_and_damage_does_not_replace_what_works(
    exports: dict[int, Path], server: Server, store: Store, tmp_path: Path
) -> None:
    store.put("swapped", 1, exports[1])
    until(lambda: any("swapped: version 1 is served" in line for line in server.output))
    seen: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        with Client(server.address, model="swapped", timeout=30) as client:
            while not stop.is_set():
                answer = client.predict({"text": ["good"]})
                assert answer["score"][0] == {1: 4, 2: 1004}[answer.version]
                seen.append(answer.version)

    with ThreadPoolExecutor(8) as threads:
        asking = [threads.submit(ask) for _ in range(8)]
        try:
            until(lambda: 1 in seen)
            store.put("swapped", 2, exports[2])
            until(lambda: 2 in seen)
            with Client(server.address, model="swapped") as client:
                until(lambda: client.status() == {1: "END", 2: "AVAILABLE"})

                damaged = tmp_path / "damaged"
                shutil.copytree(exports[1], damaged)
                (damaged / "saved_model.pb").write_bytes(b"not a graph")
                store.put("swapped", 3, damaged)
                until(lambda: client.status().get(3) == "END")
                assert client.status()[2] == "AVAILABLE"

                store.serve("swapped", 1, exports[1])  # roll back: 2 and 3 are withdrawn
                del seen[:]
                until(lambda: 1 in seen)
                until(lambda: client.status()[2] == "END")
        finally:
            stop.set()
        for future in asking:
            future.result()
    damage = f"{store.root / 'swapped' / '3'}: cannot be loaded"
    reports = [line for line in server.output if damage in line]
    assert len(reports) == 1, "".join(server.output)
    assert "Copy the version there again" in reports[0]


def test_a_port_in_use_is_named(server: Server, store: Store) -> None:
    done = unroll("serve", "--store", store.root, "--port", server.port, "--rest_api_port", 0, check=2)
    assert done.stderr.startswith(f"error: --port {server.port}: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_store_without_a_model(tmp_path: Path) -> None:
    done = unroll(*SERVE[2:], "--store", tmp_path / "store", check=2)
    assert done.stderr.startswith(f"error: {tmp_path / 'store'}: ")
    assert "unroll train" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_store_with_a_damaged_model_only(
    exports: dict[int, Path], start: Callable[..., Server], tmp_path: Path
) -> None:
    version = tmp_path / "store" / "sample" / "7"
    shutil.copytree(exports[1], version)
    next((version / "variables").glob("*.data-*")).write_bytes(b"cut")
    server = start(*SERVE, "--store", str(tmp_path / "store"))
    assert server.process.wait(60) == 2
    said = [line for line in server.output if line.startswith("error:")]
    assert len(said) == 1, "".join(server.output)
    assert str(version) in said[0]
    assert "Traceback" not in "".join(server.output)


def test_serve_says_how_to_ask_a_model_of_texts(server: Server) -> None:
    said = ["unroll", "predict", "sample", "--input", "TEXT_OR_FILE", "--server", server.address]
    assert suggested(server) == said


def test_unroll_predict_prints_one_json_document(server: Server, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("bad\nneither\n")
    texts = ("--input", "good", "--input", str(tmp_path / "texts.txt"))
    command = [sys.executable, "-m", "unroll", "predict", "sample", *texts, "--server", server.address, "--json"]
    answer = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout)
    assert (answer["model"], answer["version"]) == ("sample", 1)
    assert answer["predictions"][1] == {
        "text": "bad",
        "label": "negative",
        "score": 3.0,
        "probabilities": [3.0, -3.0],
    }
    assert [row["label"] for row in answer["predictions"]] == ["positive", "negative", "unknown"]


def test_unroll_predict_says_what_is_wrong(server: Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{free.getsockname()[1]}"
    for arguments, said in (
        (("sample", "--input", "a", "--server", nobody), f"no server answers at {nobody}. Start one with"),
        (
            ("m", "--input", "a", "--server", server.address),
            f"m at {server.address}: Servable not found for request: Latest(m). The server has no model of this name: "
            "check it, or have the model served.",
        ),
        (("sample", "--server", server.address), "Nothing to ask"),
        *(
            (
                ("sample", "--input", "a", "--server", address),
                "expected the host:port of the server's gRPC port, as in",
            )
            for address in ("127.0.0.1:x", "")
        ),
    ):
        done = unroll("predict", *arguments, check=2)
        assert done.stderr.startswith("error: ")
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_client_converts_numbers_and_keeps_its_own_request_id(client: Client) -> None:
    answer = client.predict({"a": [[1, 2.5]], "b": [3]}, signature="sums", request_id="numbers-1")
    assert (answer["sum"].tolist(), answer["sum"].dtype, answer.version) == ([6.5], np.float32, 1)
    assert answer.request_id == "numbers-1"
    assert client.classify(["good", {"text": b"bad"}])[1] == [("negative", 3.0), ("bad", -3.0)]
    assert client.metadata()["sums"].inputs["a"].shape == (None, 2)
    assert client.status() == {1: "AVAILABLE"}
    with pytest.raises(ServingError, match=r"FAILED_PRECONDITION.*request id numbers-2"):
        client.predict({"text": ["a"]}, signature="s", request_id="numbers-2")
