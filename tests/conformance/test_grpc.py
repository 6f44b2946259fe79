"""The server in the eyes of TensorFlow Serving's own client stubs."""

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

CODE = grpc.StatusCode


def predict_request(signature: str = "", name: str = "sample", **inputs: Any) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return request


def text_request(*texts: str | bytes, **changes: Any) -> predict_pb2.PredictRequest:
    return predict_request(**changes, text=np.array(texts, dtype=object))


def with_spec(**fields: Any) -> predict_pb2.PredictRequest:
    request = text_request("good")
    for field, value in fields.items():
        if field == "version":
            request.model_spec.version.value = value
        else:
            setattr(request.model_spec, field, value)
    return request


def without_spec() -> predict_pb2.PredictRequest:
    request = text_request("good")
    request.ClearField("model_spec")
    return request


def filtered(*aliases: str) -> predict_pb2.PredictRequest:
    request = text_request("good")
    request.output_filter.extend(aliases)
    return request


def bad_tensor() -> predict_pb2.PredictRequest:
    request = predict_request("pick")
    request.inputs["index"].dtype = 9
    request.inputs["index"].tensor_shape.dim.add().size = 3
    request.inputs["index"].tensor_content = b"123"
    return request


@pytest.fixture(scope="module")
def stub(channel: grpc.Channel) -> Any:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel: grpc.Channel) -> Any:
    return model_service_pb2_grpc.ModelServiceStub(channel)


def test_predict_answers_in_typed_fields_with_the_resolved_spec(stub: Any) -> None:
    response = stub.Predict(text_request("good", "bad", "naïve"), timeout=20)
    assert response.model_spec.name == "sample"
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "serving_default"
    assert list(response.outputs["label"].string_val) == [b"positive", b"negative", b"unknown"]
    assert list(response.outputs["score"].float_val) == [4, 3, 6]
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["probabilities"]), [[4, -4], [3, -3], [6, -6]])
    assert not response.outputs["score"].tensor_content


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (text_request("a", name="m"), CODE.NOT_FOUND, "Servable not found for request: Latest(m)"),
        (with_spec(version=9), CODE.NOT_FOUND, "Servable not found for request: Specific(sample, 9)"),
        (with_spec(version_label="L"), CODE.INVALID_ARGUMENT, "Unrecognized servable version label: L"),
        (without_spec(), CODE.INVALID_ARGUMENT, "Missing ModelSpec"),
        (with_spec(name=""), CODE.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        (text_request("a", signature="s"), CODE.FAILED_PRECONDITION, 'Serving signature key "s" not found.'),
        (
            predict_request("sums", a=np.ones((1, 2), "f")),
            CODE.INVALID_ARGUMENT,
            "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but "
            "required: {b}.",
        ),
        (
            predict_request(z=["a"]),
            CODE.INVALID_ARGUMENT,
            "Signature input alias: text(feed name: serving_default_text:0) not found in request and no "
            "default value provided. Inputs expected to be in the request {z}, or default input alias "
            "set: ",
        ),
        (bad_tensor(), CODE.INVALID_ARGUMENT, "tensor parsing error: index"),
        (
            filtered("q"),
            CODE.INVALID_ARGUMENT,
            "output tensor alias not found in signature: q Outputs expected to be in the set "
            "{label,probabilities,score}.",
        ),
        (filtered("score", "score"), CODE.INVALID_ARGUMENT, "duplicate output tensor alias: score"),
        (
            predict_request("sums", a=np.ones((1, 2), np.int64), b=np.ones(1, "f")),
            CODE.INVALID_ARGUMENT,
            "Expects arg[0] to be float but int64 is provided",
        ),
    ],
)
def test_a_refused_predict_says_what_tensorflow_serving_says(
    stub: Any, request_: Any, code: grpc.StatusCode, message: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.Predict(request_, timeout=20)
    assert (refused.value.code(), refused.value.details()) == (code, message)


def test_an_op_that_refuses_the_data_is_the_clients_error(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.Predict(predict_request("pick", index=np.array([7], np.int64)), timeout=20)
    assert refused.value.code() is CODE.INVALID_ARGUMENT
    assert "7 is not in [0, 3)" in refused.value.details()
    assert "{{" not in refused.value.details()


def test_output_filter_chooses_the_outputs(stub: Any) -> None:
    assert set(stub.Predict(filtered("score"), timeout=20).outputs) == {"score"}


@pytest.mark.parametrize("text", [b"", "\N{SNOWMAN}\N{PILE OF POO}".encode(), b"\xff\xfe\x00", b"x" * 1_000_000])
def test_any_bytes_are_a_text(stub: Any, text: bytes) -> None:
    response = stub.Predict(text_request(text), timeout=20)
    assert list(response.outputs["score"].float_val) == [len(text)]


def test_a_request_without_rows_is_answered_without_rows(stub: Any) -> None:
    response = stub.Predict(predict_request(text=np.array([], dtype=object)), timeout=20)
    assert tf.make_ndarray(response.outputs["probabilities"]).shape == (0, 2)


def test_tensor_content_is_read_as_typed_fields_are(stub: Any) -> None:
    request = predict_request("sums", a=np.array([[1, 2], [3, 4]], "f"), b=np.array([10, 20], "f"))
    assert request.inputs["a"].tensor_content
    typed = predict_request("sums")
    for alias, values, shape in (("a", [1, 2, 3, 4], (2, 2)), ("b", [10, 20], (2,))):
        typed.inputs[alias].dtype = 1
        typed.inputs[alias].float_val.extend(values)
        for size in shape:
            typed.inputs[alias].tensor_shape.dim.add().size = size
    for sent in (request, typed):
        assert list(stub.Predict(sent, timeout=20).outputs["sum"].float_val) == [13, 27]


def classification_request(*texts: str, signature: str = "classify") -> Any:
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "sample"
    request.model_spec.signature_name = signature
    for text in texts:
        example = request.input.example_list.examples.add()
        example.features.feature["text"].bytes_list.value.append(text.encode())
    return request


def test_classify(stub: Any) -> None:
    response = stub.Classify(classification_request("good", "bad"), timeout=20)
    answers = [[(entry.label, entry.score) for entry in row.classes] for row in response.result.classifications]
    assert answers == [[("positive", 4), ("good", -4)], [("negative", 3), ("bad", -3)]]
    assert response.model_spec.signature_name == "classify"
    assert response.model_spec.version.value == 1


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (classification_request("a", signature="s"), "No signature was found with the name: s"),
        (classification_request(), "Input is empty."),
        (
            classification_request("a", signature="serving_default"),
            "Expected one or two output Tensors, found 3",
        ),
    ],
)
def test_a_refused_classify(stub: Any, request_: Any, message: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.Classify(request_, timeout=20)
    assert (refused.value.code(), refused.value.details()) == (CODE.INVALID_ARGUMENT, message)


def test_metadata_holds_the_signatures(stub: Any) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "sample"
    response = stub.GetModelMetadata(request, timeout=20)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert response.model_spec.version.value == 1
    assert signatures.signature_def["classify"].method_name == "tensorflow/serving/classify"
    assert signatures.signature_def["serving_default"].inputs["text"].dtype == 7


def test_status(models: Any) -> None:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "sample"
    (status,) = models.GetModelStatus(request, timeout=20).model_version_status
    assert (status.version, status.state, status.status.error_code) == (1, status.AVAILABLE, 0)

    request.model_spec.version.value = 9
    with pytest.raises(grpc.RpcError, match="Could not find version 9 of model sample"):
        models.GetModelStatus(request, timeout=20)
    request.model_spec.ClearField("version")
    request.model_spec.name = "m"
    with pytest.raises(grpc.RpcError, match="Could not find any versions of model m") as refused:
        models.GetModelStatus(request, timeout=20)
    assert refused.value.code() is CODE.NOT_FOUND


def test_the_request_id_comes_back_or_is_made_up(stub: Any) -> None:
    _, call = stub.Predict.with_call(text_request("a"), timeout=20, metadata=(("x-request-id", "mine-1"),))
    assert dict(call.initial_metadata())["x-request-id"] == "mine-1"
    ids = {
        dict(stub.Predict.with_call(text_request("a"), timeout=20)[1].initial_metadata())["x-request-id"]
        for _ in range(2)
    }
    assert len(ids) == 2
    with pytest.raises(grpc.RpcError) as refused:
        stub.Predict(text_request("a", name="m"), timeout=20, metadata=(("x-request-id", "mine-2"),))
    assert dict(refused.value.initial_metadata())["x-request-id"] == "mine-2"


def test_health_is_per_model_and_service(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", "sample", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"):
        status = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=20).status
        assert status == health_pb2.HealthCheckResponse.SERVING, service
    with pytest.raises(grpc.RpcError) as refused:
        health.Check(health_pb2.HealthCheckRequest(service="m"), timeout=20)
    assert refused.value.code() is CODE.NOT_FOUND


def test_reflection_describes_every_service(channel: grpc.Channel) -> None:
    from google.protobuf.descriptor_pool import DescriptorPool

    database = ProtoReflectionDescriptorDatabase(channel)
    assert {
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "grpc.health.v1.Health",
    } <= set(database.get_services())
    service = DescriptorPool(database).FindServiceByName("tensorflow.serving.PredictionService")
    assert service.methods_by_name["Predict"].input_type.full_name == "tensorflow.serving.PredictRequest"


@pytest.fixture(scope="module")
def half(half_plus_two: Path, stub: Any) -> Any:
    return stub


def test_a_signature_of_sparse_tensors_leaves_the_others_served(half: Any) -> None:
    answer = half.Predict(predict_request(name="half_plus_two", x=np.array([[2]], "f")), timeout=20)
    assert list(answer.outputs["y"].float_val) == [3]
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "half_plus_two"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    half.GetModelMetadata(request, timeout=20).metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["sparse"].inputs["x"].coo_sparse.values_tensor_name
    assert signatures.signature_def["classify_x_to_y"].method_name == "tensorflow/serving/classify"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            predict_request("sums", a=np.ones((3, 2), "f"), b=np.ones(2, "f")),
            "Incompatible shapes: [3] vs. [2]",
        ),
        (
            predict_request("sums", a=np.float32(1), b=np.ones(2, "f")),
            "Invalid reduction dimension (1 for input with 0 dimension(s)",
        ),
        (
            predict_request("number", name="half_plus_two", text=["x"]),
            "StringToNumberOp could not correctly convert string: x",
        ),
        (  # what is not text cannot be told as it is
            predict_request("number", name="half_plus_two", text=[b"\xff"]),
            "StringToNumberOp could not correctly convert string: \N{REPLACEMENT CHARACTER}",
        ),
    ],
)
def test_what_an_op_says_of_the_data_is_the_clients_error(half: Any, request_: Any, message: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        half.Predict(request_, timeout=20)
    assert (refused.value.code(), refused.value.details()) == (CODE.INVALID_ARGUMENT, message)


def test_shapes_are_the_ops_affair(stub: Any) -> None:
    """Unless `--strict_shapes` is set, what an op accepts is answered, as in TensorFlow Serving."""
    answer = stub.Predict(predict_request("pick", index=np.array([[0, 1], [2, 0]])), timeout=20)
    np.testing.assert_array_equal(tf.make_ndarray(answer.outputs["picked"]), [[10, 20], [30, 10]])
    answer = stub.Predict(predict_request("pick", index=np.int64(1)), timeout=20)
    assert tf.make_ndarray(answer.outputs["picked"]) == 20
    one_for_all = predict_request("sums", a=np.ones((3, 2), "f"), b=np.ones(1, "f"))
    assert list(stub.Predict(one_for_all, timeout=20).outputs["sum"].float_val) == [3, 3, 3]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([], "GetModelMetadataRequest must specify at least one metadata_field"),
        (["signature_def", "graph"], "Metadata field graph is not supported"),
    ],
)
def test_a_refused_metadata_request(stub: Any, fields: list[str], message: str) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    with pytest.raises(grpc.RpcError, match="Missing ModelSpec"):
        stub.GetModelMetadata(request, timeout=20)
    request.model_spec.name = "sample"
    with pytest.raises(grpc.RpcError) as refused:
        stub.GetModelMetadata(request, timeout=20)
    assert (refused.value.code(), refused.value.details()) == (CODE.INVALID_ARGUMENT, message)


def test_what_is_no_message_is_refused(channel: grpc.Channel) -> None:
    for name in ("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata"):
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(f"/tensorflow.serving.PredictionService/{name}")(b"\xff\xff", timeout=20)
        assert refused.value.code() is CODE.INVALID_ARGUMENT
