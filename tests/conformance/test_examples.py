"""Classify, Regress and MultiInference in the eyes of TensorFlow Serving's own client stubs."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    input_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tests.conformance.conftest import CLASSIFY, PREDICT, REGRESS

CODE = grpc.StatusCode


def examples(*values: float, feature: str = "x") -> input_pb2.Input:
    asked = input_pb2.Input()
    asked.example_list.SetInParent()
    for value in values:
        asked.example_list.examples.add().features.feature[feature].float_list.value.append(value)
    return asked


def with_context(*values: float, **context: float) -> input_pb2.Input:
    asked = input_pb2.Input()
    shared = asked.example_list_with_context
    for name, value in context.items():
        shared.context.features.feature[name].float_list.value.append(value)
    for value in values:
        shared.examples.add().features.feature["x"].float_list.value.append(value)
    return asked


def spec(request: Any, signature: str, name: str = "half_plus_two") -> Any:
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    return request


def classification(signature: str, asked: input_pb2.Input | None = None) -> Any:
    return spec(classification_pb2.ClassificationRequest(input=asked or examples(2, 4)), signature)


def regression(signature: str, asked: input_pb2.Input | None = None) -> Any:
    return spec(regression_pb2.RegressionRequest(input=asked or examples(2, 4)), signature)


def inference(*tasks: tuple[str, str], asked: input_pb2.Input | None = None) -> Any:
    request = inference_pb2.MultiInferenceRequest(input=asked or examples(2, 4))
    for signature, method in tasks:
        spec(request.tasks.add(method_name=method), signature)
    return request


@pytest.fixture(scope="module")
def stub(half_plus_two: Path, channel: grpc.Channel) -> Any:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def classes(result: Any) -> list[list[tuple[str, float]]]:
    return [[(entry.label, entry.score) for entry in row.classes] for row in result.classifications]


@pytest.mark.parametrize(
    ("signature", "answer"),
    [
        ("classify_x_to_y", [[("", 3)], [("", 4)]]),
        ("classify_labels", [[("2.000000", 0)], [("4.000000", 0)]]),
        ("classify_both", [[("\N{REPLACEMENT CHARACTER}", 3)], [("\N{REPLACEMENT CHARACTER}", 4)]]),
    ],
)
def test_classify(stub: Any, signature: str, answer: list[list[tuple[str, float]]]) -> None:
    response = stub.Classify(classification(signature), timeout=20)
    assert classes(response.result) == answer
    told = response.model_spec
    assert (told.name, told.version.value, told.signature_name) == ("half_plus_two", 1, signature)


@pytest.mark.parametrize("signature", ["regress_x_to_y", "regress_vector"])
def test_regress(stub: Any, signature: str) -> None:
    response = stub.Regress(regression(signature), timeout=20)
    assert [row.value for row in response.result.regressions] == [3, 4]
    told = response.model_spec
    assert (told.name, told.version.value, told.signature_name) == ("half_plus_two", 1, signature)


def test_the_context_stands_before_each_example(stub: Any) -> None:
    shared = with_context(2, 4, x2=10)
    assert [
        row.value for row in stub.Regress(regression("regress_x2_to_y3", shared), timeout=20).result.regressions
    ] == [8, 8]
    overridden = with_context(2, 4, x=10)
    assert [
        row.value for row in stub.Regress(regression("regress_x_to_y", overridden), timeout=20).result.regressions
    ] == [3, 4]


def test_a_method_is_answered_by_every_signature_that_fits(stub: Any) -> None:
    """Unless `--enable_signature_method_name_check` is set, the name that a signature carries counts for nothing."""
    assert classes(stub.Classify(classification("predict_scores"), timeout=20).result) == [[("", 3)], [("", 4)]]


def test_multi_inference(stub: Any) -> None:
    response = stub.MultiInference(
        inference(("regress_x_to_y", REGRESS), ("classify_x2_to_y3", CLASSIFY), asked=with_context(2, x2=4)), timeout=20
    )
    first, second = response.results
    assert [row.value for row in first.regression_result.regressions] == [3]
    assert classes(second.classification_result) == [[("", 5)]]
    assert first.WhichOneof("result") == "regression_result"
    assert second.WhichOneof("result") == "classification_result"
    assert [result.model_spec.signature_name for result in response.results] == ["regress_x_to_y", "classify_x2_to_y3"]
    assert {result.model_spec.version.value for result in response.results} == {1}


SHAPE = "Expected Tensor shape: [batch_size num_classes] but got "


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (classification("s"), "No signature was found with the name: s"),
        (classification(""), "No classification inputs found in SignatureDef: "),
        (classification("two_inputs"), "Expected one input Tensor."),
        (classification("other_inputs"), "No classification inputs found in SignatureDef: "),
        (
            classification("regress_x_to_y"),
            "Expected classification signature outputs to contain at least one of "
            '"classes" or "scores". Signature was: ',
        ),
        (
            classification("other_outputs"),
            "Expected classification signature outputs to contain at least one of "
            '"classes" or "scores". Signature was: ',
        ),
        (classification("classify_vector"), f"{SHAPE}[2]"),
        (classification("classify_numbers"), "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        (classification("classify_doubles"), "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE"),
        (classification("classify_total"), "Expected scores output batch size of 2. Got: 1"),
        (classification("classify_uneven"), "Tensors class and score should match in dim_size(1). Got 1 vs. 2"),
        (classification("classify_x_to_y", examples()), "Input is empty."),
        (classification("classify_x_to_y", with_context(x=1)), "Input is empty."),
        (classification("classify_x_to_y", input_pb2.Input()), "Input is empty."),
        (regression("s"), "No signature was found with the name: s"),
        (regression(""), "No regression inputs found in SignatureDef: "),
        (regression("two_inputs"), "Expected one input Tensor."),
        (regression("two_outputs"), "Expected one output Tensor."),
        (regression("classify_x_to_y"), "No regression outputs found in SignatureDef: "),
        (
            regression("regress_columns"),
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]",
        ),
        (regression("regress_doubles"), "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
        (regression("regress_total"), "Input batch size did not match output batch size: 2 vs. 1"),
        (regression("regress_x_to_y", examples()), "Input is empty."),
        (inference(), "ModelSpec has no name specified."),
        (inference(("s", CLASSIFY)), "Requested signature not found in model graph: s"),
        (
            inference(("regress_x_to_y", REGRESS), ("regress_x_to_y", REGRESS)),
            "Duplicate evaluation of signature: regress_x_to_y",
        ),
        (inference(("classify_x_to_y", REGRESS)), "No regression outputs found in SignatureDef: "),
        (inference(("regress_x_to_y", REGRESS), asked=examples()), "Input is empty."),
        (
            inference(("regress_x_to_y", REGRESS), ("regress_columns", REGRESS)),
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]",
        ),
    ],
)
def test_a_refusal_says_what_tensorflow_serving_says(stub: Any, request_: Any, message: str) -> None:
    name = type(request_).__name__
    method = {"ClassificationRequest": stub.Classify, "RegressionRequest": stub.Regress}.get(name, stub.MultiInference)
    with pytest.raises(grpc.RpcError) as refused:
        method(request_, timeout=20)
    assert refused.value.code() is CODE.INVALID_ARGUMENT
    said = refused.value.details()
    # Where the signature is printed, its text format follows.
    assert said == message or (message.endswith(": ") and said.startswith(message) and 'key: "' in said), said


def test_a_refusal_of_many_tasks(stub: Any) -> None:
    request = inference(("regress_x_to_y", REGRESS), ("classify_x_to_y", CLASSIFY))
    request.tasks[1].model_spec.name = "sample"
    with pytest.raises(grpc.RpcError) as refused:
        stub.MultiInference(request, timeout=20)
    assert (refused.value.code(), refused.value.details()) == (
        CODE.INVALID_ARGUMENT,
        "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
    )
    request.tasks[1].model_spec.name = ""
    with pytest.raises(grpc.RpcError, match=r"Found ModelSpec with an empty model name\."):
        stub.MultiInference(request, timeout=20)
    with pytest.raises(grpc.RpcError) as refused:
        stub.MultiInference(inference(("regress_x_to_y", PREDICT)), timeout=20)
    assert (refused.value.code(), refused.value.details()) == (
        CODE.UNIMPLEMENTED,
        "Unsupported signature method_name: tensorflow/serving/predict",
    )


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (classification_pb2.ClassificationRequest(), CODE.INVALID_ARGUMENT, "Missing ModelSpec"),
        (regression_pb2.RegressionRequest(), CODE.INVALID_ARGUMENT, "Missing ModelSpec"),
        (
            spec(classification_pb2.ClassificationRequest(), "", ""),
            CODE.INVALID_ARGUMENT,
            "ModelSpec has no name specified.",
        ),
        (
            spec(regression_pb2.RegressionRequest(), "", "m"),
            CODE.NOT_FOUND,
            "Servable not found for request: Latest(m)",
        ),
    ],
)
def test_a_model_that_is_not_there(stub: Any, request_: Any, code: grpc.StatusCode, message: str) -> None:
    method = stub.Classify if isinstance(request_, classification_pb2.ClassificationRequest) else stub.Regress
    with pytest.raises(grpc.RpcError) as refused:
        method(request_, timeout=20)
    assert (refused.value.code(), refused.value.details()) == (code, message)


def test_a_long_message_is_cut(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.Regress(regression("s" * 2000), timeout=20)
    assert refused.value.details() == ("No signature was found with the name: " + "s" * 2000)[:1024] + "...TRUNCATED"
