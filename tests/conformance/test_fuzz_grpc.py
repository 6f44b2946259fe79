"""Requests that no client means: never a crash, a hang, INTERNAL or UNKNOWN. `benchmarks/fuzz.py` sends more."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis import classification_pb2, predict_pb2, prediction_service_pb2_grpc

from tests.conformance import fuzz
from tests.serving_fixtures import Server


@pytest.fixture(scope="module")
def served(half_plus_two: Path, channel: grpc.Channel) -> grpc.Channel:
    return channel


def test_drawn_and_mutated_requests(served: grpc.Channel, server: Server) -> None:
    codes, offenders = fuzz.run(served, 400)
    assert not offenders, offenders[0]
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"} <= codes.keys()
    assert server.process.poll() is None


TENSORS = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([1, 3, 7, 9]) | st.integers(0, 30),
        "sizes": st.lists(st.integers(0, 4) | st.integers(-(2**63), 2**63 - 1), max_size=4),
        "content": st.binary(max_size=40),
        "floats": st.lists(st.floats(width=32), max_size=6),
        "ints": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6),
        "strings": st.lists(st.binary(max_size=10), max_size=6),
    }
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    signature=st.sampled_from(list(fuzz.MODELS["sample"])),
    tensors=st.lists(TENSORS, min_size=2, max_size=2),
    output_filter=st.lists(st.sampled_from(["sum", "score", "label"]) | st.text(max_size=5), max_size=2),
)
def test_any_tensors(served: grpc.Channel, signature: str, tensors: list[dict], output_filter: list[str]) -> None:
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.name = "sample"
    request.model_spec.signature_name = signature
    for name, drawn in zip(fuzz.MODELS["sample"][signature], tensors, strict=False):
        tensor = request.inputs[name]
        tensor.dtype, tensor.tensor_content = drawn["dtype"], drawn["content"]
        for size in drawn["sizes"]:
            tensor.tensor_shape.dim.add().size = size
        tensor.float_val.extend(drawn["floats"])
        tensor.int64_val.extend(drawn["ints"])
        tensor.string_val.extend(drawn["strings"])
    _answered(prediction_service_pb2_grpc.PredictionServiceStub(served).Predict, request)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    signature=st.sampled_from(["classify_x_to_y", "classify_both", "regress_x_to_y", "serving_default"]),
    name=st.sampled_from(["x", "x2"]) | st.text(max_size=5),
    values=st.lists(st.floats(width=32), max_size=3) | st.lists(st.binary(max_size=9), max_size=3),
    times=st.integers(0, 3),
)
def test_any_examples(served: grpc.Channel, signature: str, name: str, values: list, times: int) -> None:
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "half_plus_two"
    request.model_spec.signature_name = signature
    for _ in range(times):
        feature = request.input.example_list.examples.add().features.feature[name]
        if values and isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        else:
            feature.float_list.value.extend(values)
    _answered(prediction_service_pb2_grpc.PredictionServiceStub(served).Classify, request)


def _answered(method: Any, request: Any) -> None:
    call = method.future(request, timeout=60)
    assert call.code() not in fuzz.BAD, call.details()
