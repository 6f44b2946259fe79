"""What a server counts after traffic that is known."""

import asyncio
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests.batching_fixtures import batching, hold, index
from tests.rest_fixtures import Rest
from tests.serving_fixtures import start_server, until
from unroll.serving.front.metrics import Metrics
from unroll.serving.protocol import protos, tensors
from unroll.serving.versions.store import Store

PREDICTION = "/tensorflow.serving.PredictionService/"
SERVING = ":tensorflow:serving:"
BATCHING = """max_batch_size { value: 8 } num_batch_threads { value: 1 } allowed_batch_sizes: 4 allowed_batch_sizes: 8
batch_timeout_micros { value: 0 } thread_pool_name { value: "pool" }"""
Counts = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Served:
    """A server in a process of its own, asked by both endpoints."""

    def __init__(self, store: Store, batching_file: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            rest_port = free.getsockname()[1]
        self.process = start_server(
            *("-m", "unroll", "serve", "--port", "0", "--rest_api_port", str(rest_port), "--store", str(store.root)),
            *("--enable_batching", "--batching_parameters_file", str(batching_file)),
        )
        self.channel = grpc.insecure_channel(self.process.address)
        self.url = f"http://127.0.0.1:{rest_port}"

    def exposition(self) -> str:
        with urllib.request.urlopen(f"{self.url}/monitoring/prometheus/metrics", timeout=30) as answer:
            return answer.read().decode()

    def count(self, name: str, **labels: str) -> float:
        return counts(self.exposition()).get((name, frozenset(labels.items())), 0)

    def ask(self, path: str, body: bytes | None = None) -> int:
        try:
            with urllib.request.urlopen(f"{self.url}/v1/models/{path}", body, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def call(self, method: str, request: Any, timeout: float = 30) -> Any:
        return self.channel.unary_unary(PREDICTION + method).future(request.SerializeToString(), timeout=timeout)


@pytest.fixture(scope="module")
def served(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    file = tmp_path_factory.mktemp("batching") / "batching.config"
    file.write_text(BATCHING)
    serving = Served(store, file)
    yield serving
    serving.channel.close()
    assert serving.process.stop() == 0


def counts(exposition: str) -> Counts:
    """Samples by name and labels, as this test reads them."""
    found = {}
    for name, labels, value in re.findall(r"^([^#{]+)\{(.*)\} (\S+)$", exposition, re.MULTILINE):
        found[name, frozenset(re.findall(r'(\w+)="([^"]*)"', labels))] = float(value)
    return found


def predicting(*texts: str, signature: str = "", alias: str = "text") -> Any:
    request = protos.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "sample", signature
    request.inputs[alias].MergeFromString(tensors.encode(tensors.from_python(list(texts))))
    return request


def examples(request: Any, count: int) -> Any:
    for _ in range(count):
        request.input.example_list.examples.add()
    return request


def test_traffic_is_counted_under_tensorflow_servings_names(served: Served) -> None:
    before = counts(served.exposition())
    for rows in (1, 3, 5):
        served.call("Predict", predicting(*["good"] * rows)).result()
    assert served.call("Predict", predicting("good", signature="none")).code() is grpc.StatusCode.FAILED_PRECONDITION
    classification = examples(protos.ClassificationRequest(), 3)
    classification.model_spec.name, classification.model_spec.signature_name = "sample", "classify"
    served.call("Classify", classification).result()
    inference = examples(protos.MultiInferenceRequest(), 2)
    task = inference.tasks.add(method_name="tensorflow/serving/classify")
    task.model_spec.name, task.model_spec.signature_name = "sample", "classify"
    served.call("MultiInference", inference).result()
    assert served.ask("sample:predict", b'{"instances": ["good", "bad"]}') == 200
    assert served.ask("sample:predict", b'{"signature_name": "none", "instances": ["good"]}') == 400
    assert served.ask("sample/metadata") == 200
    assert served.ask("nobody:predict", b'{"instances": ["good"]}') == 404

    after = counts(served.exposition())

    def grown(name: str, **labels: str) -> float:
        key = name, frozenset(labels.items())
        return after.get(key, 0) - before.get(key, 0)

    # What REST asks for itself, to learn the signature, is nobody's request.
    requests = f"{SERVING}request_count"
    assert grown(requests, model_name="sample", status="OK") == 7
    assert grown(requests, model_name="sample", status="FAILED_PRECONDITION") == 1
    assert grown(requests, model_name="sample", status="INVALID_ARGUMENT") == 1
    assert grown(requests, model_name="nobody", status="NOT_FOUND") == 1
    assert sum(after[key] - before.get(key, 0) for key in after if key[0] == requests) == 10
    latency = f"{SERVING}request_latency_count"
    assert grown(latency, model_name="sample", API="Predict", entrypoint="GRPC") == 3
    assert grown(latency, model_name="sample", API="predict", entrypoint="REST") == 1
    runtime = f"{SERVING}runtime_latency"
    assert grown(f"{runtime}_count", model_name="sample", API="Predict", runtime="TF1") == 4
    assert grown(f"{runtime}_count", model_name="sample", API="Classify", runtime="TF1") == 1
    assert 0 < grown(f"{runtime}_sum", model_name="sample", API="Predict", runtime="TF1") < 60e6
    assert grown(f"{SERVING}request_example_counts_count", model="sample") == 2
    assert grown(f"{SERVING}request_example_counts_bucket", model="sample", le="4") == 2
    assert grown(f"{SERVING}request_example_counts_bucket", model="sample", le="2") == 0
    assert grown(f"{SERVING}request_example_count_total", model="sample") == 5
    session = f"{SERVING}batching_session:"
    assert grown(f"{session}wrapped_run_count") == 6
    assert grown(f"{session}queuing_latency_count", thread_pool_name="pool") == 6
    assert grown(f"{session}input_batch_size_sum") == 1 + 3 + 5 + 3 + 2 + 2
    assert grown(f"{session}processed_batch_size_sum") == 4 + 4 + 8 + 4 + 4 + 4
    assert after["unroll_loaded_versions", frozenset({("model", "sample"), ("version", "1")})] == 1


def test_who_waits_and_who_gave_up_why(served: Served, tmp_path: Path) -> None:
    release = tmp_path / "release"
    requests = f"{SERVING}request_count"
    holding = served.call("Predict", predicting(str(release), signature="hold", alias="path"))
    until(Path(f"{release}.running").exists)
    assert served.count("unroll_queued_requests", model="sample") == 0
    waiting = [served.call("Predict", predicting("good")) for _ in range(3)]
    until(lambda: served.count("unroll_queued_requests", model="sample") == 3)
    assert waiting[0].cancel()
    until(lambda: served.count(requests, model_name="sample", status="CANCELLED") == 1)
    late = served.call("Predict", predicting("good"), timeout=0.3)
    assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    until(lambda: served.count(requests, model_name="sample", status="DEADLINE_EXCEEDED") == 1)
    assert served.count(requests, model_name="sample", status="CANCELLED") == 1
    assert served.count("unroll_queued_requests", model="sample") == 2
    release.touch()
    for call in (holding, *waiting[1:]):
        call.result()
    assert served.count("unroll_queued_requests", model="sample") == 0


def test_prometheus_own_parser_reads_the_same(served: Served) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    served.call("Predict", predicting("good")).result()
    exposition = served.exposition()
    families = list(parser.text_string_to_metric_families(exposition))
    read = {
        (sample.name.removesuffix("_total"), frozenset(sample.labels.items())): sample.value  # it adds some
        for family in families
        for sample in family.samples
    }
    assert read == {
        (name.removesuffix("_total"), labels): count for (name, labels), count in counts(exposition).items()
    }
    types = {family.name: family.type for family in families}
    assert types[f"{SERVING}request_latency"] == "histogram"
    assert types["unroll_queued_requests"] == "gauge"


def test_examples_of_regress_and_a_refusal_of_rest_alone(rest: Rest) -> None:
    def count(name: str, **labels: str) -> float:
        return counts(rest.metrics.exposition().decode()).get((name, frozenset(labels.items())), 0)

    regressed = f"{SERVING}request_example_count_total"
    before = count(regressed, model="types")
    body = {"signature_name": "regress", "examples": [{"x": 1.0}, {"x": 2.0}]}
    assert rest.ask("POST", "/v1/models/types:regress", body).status == 200
    assert count(regressed, model="types") == before + 2
    assert count(f"{SERVING}runtime_latency_count", model_name="types", API="Regress", runtime="TF1")
    assert rest.predict({"instances": [1]}, "unseen").status == 404
    assert count(f"{SERVING}request_count", model_name="unseen", status="NOT_FOUND") == 1


async def test_a_batch_is_counted_with_the_time_that_each_request_waited(engine: Any) -> None:
    metrics = Metrics()
    started = time.monotonic()
    async with batching(engine, metrics, num_batch_threads=1, thread_pool_name="pool", max_batch_size=16) as (
        gated,
        submit,
    ):
        running = await hold(gated, submit)
        together = [submit("pick", index(*rows)) for rows in ((0,), (1,), (2, 1, 0))]
        cancelled = submit("pick", index(0))
        cancelled.cancel()
        await asyncio.sleep(0.05)
        gated.open.set()
        await asyncio.gather(running, *together)
        await submit("double", np.float32(1))
    passed = (time.monotonic() - started) * 1e6
    found = counts(metrics.exposition().decode())
    session = f"{SERVING}batching_session:"
    pool = frozenset({("thread_pool_name", "pool")})
    assert found[f"{session}wrapped_run_count", frozenset()] == 3
    assert found[f"{session}queuing_latency_count", pool] == 5
    assert 3 * 50_000 <= found[f"{session}queuing_latency_sum", pool] <= 5 * passed
    assert found[f"{session}queuing_latency_bucket", pool | {("le", "41018.6")}] <= 2
    assert found[f"{session}input_batch_size_sum", frozenset()] == 1 + 5 + 1
    assert found[f"{session}input_batch_size_count", frozenset()] == 5
    assert found[f"{session}processed_batch_size_bucket", frozenset({("le", "8")})] == 3
    assert found[f"{session}processed_batch_size_bucket", frozenset({("le", "4")})] == 2
