"""Counting, against TensorFlow Serving's names, labels and buckets."""

import re

import grpc

from unroll.serving.front.metrics import Metrics, merged
from unroll.serving.protocol.call import Call

OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE
PREDICT = "/tensorflow.serving.PredictionService/Predict"


def lines(exposition: bytes) -> dict[str, float]:
    """Samples by name and labels; every line must be one, or a comment."""
    found = {}
    for line in exposition.decode().splitlines():
        if not line.startswith("# "):
            sample = re.fullmatch(r"([A-Za-z_:][A-Za-z0-9_:]*\{.*\}) (\S+)", line)
            assert sample, line
            assert sample[1] not in found
            found[sample[1]] = float(sample[2])
    return found


def test_calls_are_counted_as_tensorflow_serving_does_and_by_version() -> None:
    metrics = Metrics()
    for version, code, seconds in ((1, OK, 5e-6), (2, OK, 10e-6), (2, UNAVAILABLE, 1.0)):
        metrics.answered(Call(PREDICT, model="m", version=version), code, seconds)
    metrics.answered(Call(PREDICT, "REST", model="m", version=2, examples=3, run_seconds=0.002), OK, 1000.0)
    found = lines(metrics.exposition())
    assert found[':tensorflow:serving:request_count{model_name="m",status="OK"}'] == 3
    assert found[':tensorflow:serving:request_count{model_name="m",status="UNAVAILABLE"}'] == 1
    grpc_latency = ':tensorflow:serving:request_latency_bucket{model_name="m",API="Predict",entrypoint="GRPC"'
    assert found[grpc_latency + ',le="10"}'] == 1  # a value at the limit belongs to the next bucket
    assert found[grpc_latency + ',le="18"}'] == 2
    assert found[grpc_latency + ',le="+Inf"}'] == 2  # refusals have no latency
    rest_latency = ':tensorflow:serving:request_latency_{}{{model_name="m",API="predict",entrypoint="REST"{}}}'
    assert found[rest_latency.format("bucket", ',le="1.47476e+09"')] == 1
    assert found[rest_latency.format("sum", "")] == 1e9
    assert found[rest_latency.format("count", "")] == 1
    assert sum(name.startswith(grpc_latency) for name in found) == 34
    assert found[':tensorflow:serving:request_example_counts_bucket{model="m",le="2"}'] == 0
    assert found[':tensorflow:serving:request_example_counts_bucket{model="m",le="4"}'] == 1
    assert found[':tensorflow:serving:request_example_count_total{model="m"}'] == 3
    runtime = ':tensorflow:serving:runtime_latency_{}{{model_name="m",API="Predict",runtime="TF1"}}'
    assert found[runtime.format("sum")] == 2000
    assert found[runtime.format("count")] == 1
    assert found['unroll_requests_total{model="m",version="2",code="OK"}'] == 2
    assert found['unroll_request_latency_microseconds_count{model="m",version="2"}'] == 3


def test_batches_and_what_is_read_off() -> None:
    metrics = Metrics()
    metrics.batched("pool", [150e-6, 200e-6], [1, 2], 4)
    depth = {("m",): 7.0}
    metrics.reads("unroll_queued_requests", "gauge", "Requests that wait.", ("model",), lambda: depth)
    found = lines(metrics.exposition())
    assert found[':tensorflow:serving:batching_session:queuing_latency_bucket{thread_pool_name="pool",le="144"}'] == 0
    assert found[':tensorflow:serving:batching_session:queuing_latency_bucket{thread_pool_name="pool",le="172.8"}'] == 1
    assert found[":tensorflow:serving:batching_session:wrapped_run_count{}"] == 1
    assert found[":tensorflow:serving:batching_session:input_batch_size_sum{}"] == 3
    assert found[":tensorflow:serving:batching_session:processed_batch_size_sum{}"] == 4
    assert found['unroll_queued_requests{model="m"}'] == 7
    depth["m",] = 8.0
    assert lines(metrics.exposition())['unroll_queued_requests{model="m"}'] == 8


def test_names_that_clients_make_up_neither_break_the_format_nor_fill_the_memory() -> None:
    metrics = Metrics()
    for number in range(2_000):
        metrics.answered(Call(PREDICT, model=f'"\\\n\x85{number}'), UNAVAILABLE, 0.0)
    counts = [value for name, value in lines_of(metrics) if name.startswith(":tensorflow:serving:request_count")]
    assert sum(counts) == 2_000
    assert len(counts) < 1100
    for version in range(2_000):
        metrics.answered(Call(PREDICT, model="m", version=version), OK, 0.0)
    found = dict(lines_of(metrics))
    assert found[':tensorflow:serving:request_count{model_name="(other)",status="OK"}'] == 2_000
    for method in ("Classify", "Regress", "MultiInference"):
        metrics.answered(Call(PREDICT.replace("Predict", method), model="late"), OK, 0.0)
    late = dict(lines_of(metrics))
    others = ':tensorflow:serving:request_latency_count{model_name="(other)",API="",entrypoint="GRPC"}'
    assert (late[others], len(late) - len(found)) == (2_003, 0)
    assert 'unroll_requests_total{model="m",version="1999",code="OK"}' in found
    assert 'unroll_requests_total{model="m",version="0",code="OK"}' not in found


def lines_of(metrics: Metrics) -> list[tuple[str, float]]:
    samples = [line for line in metrics.exposition().decode().split("\n") if line and line[0] != "#"]
    return [(name, float(value)) for name, _, value in (line.rpartition(" ") for line in samples)]


def test_processes_add_up() -> None:
    one, other = Metrics(), Metrics()
    for metrics, calls in ((one, 2), (other, 3)):
        for _ in range(calls):
            metrics.answered(Call(PREDICT, model="m", version=1), OK, 0.5)
    other.answered(Call(PREDICT, model="n", version=1), OK, 0.5)
    both = merged([one.exposition(), other.exposition()])
    found = lines(both)
    assert found[':tensorflow:serving:request_count{model_name="m",status="OK"}'] == 5
    assert found[':tensorflow:serving:request_count{model_name="n",status="OK"}'] == 1
    assert found['unroll_request_latency_microseconds_sum{model="m",version="1"}'] == 2.5e6
    assert both.count(b"# TYPE :tensorflow:serving:request_count ") == 1
    alone = merged([one.exposition()])
    assert alone == one.exposition()
