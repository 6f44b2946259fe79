"""Every type of elements that TensorFlow Serving serves, over the wire, against TensorFlow's own reading."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as prediction

from tests.serving.dtype_models import NUMBERS, QUANTISED, export_counter, export_dtypes
from tests.serving_fixtures import Server, start_model_server
from unroll.serving import Client
from unroll.serving.engine.load_error import LoadError
from unroll.serving.engine.session_engine import SessionEngine
from unroll.serving.engine.tensorflow_runtime import config_pb2
from unroll.serving.protocol import dtypes

DTYPES = (*NUMBERS, *QUANTISED)


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Answers for `dtypes` and `counter`, without TensorFlow's Python (`engine.tensorflow_runtime`)."""
    folder = tmp_path_factory.mktemp("typed")
    export_dtypes(folder / "dtypes" / "1")
    export_counter(folder / "counter" / "1")
    config = folder / "models.config"
    entries = [
        f"config {{ name: '{name}' base_path: '{folder / name}' model_platform: 'tensorflow' }}"
        for name in ("dtypes", "counter")
    ]
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    server = start_model_server(f"--model_config_file={config}", "--max_batch_size=8")
    assert server.port, server.text
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def stub(typed: Server) -> Iterator[Any]:
    with grpc.insecure_channel(typed.address) as channel:
        yield prediction.PredictionServiceStub(channel)


def request(model: str, signature: str, **inputs: Any) -> predict_pb2.PredictRequest:
    asked = predict_pb2.PredictRequest()
    asked.model_spec.name, asked.model_spec.signature_name = model, signature
    for name, tensor in inputs.items():
        asked.inputs[name].CopyFrom(tensor)
    return asked


def values(name: str) -> np.ndarray[Any, Any]:
    dtype = tf.dtypes.as_dtype(dtypes.dtype_of(tf_dtype(name).as_datatype_enum)).as_numpy_dtype
    if name.startswith("complex"):
        return np.array([[1 + 2j, 3], [-1j, 0]], dtype)
    return np.array([[1, 2], [3, 0]]).astype(dtype)


def tf_dtype(name: str) -> tf.DType:
    return getattr(tf, name, None) or getattr(tf.dtypes.experimental, name)


@pytest.mark.parametrize("name", DTYPES)
def test_a_type_comes_back_as_it_was_sent(stub: Any, name: str) -> None:
    sent = values(name)
    for tensor in (tf.make_tensor_proto(sent, tf_dtype(name)), in_typed_field(sent, name)):
        outputs = stub.Predict(request("dtypes", name, x=tensor), timeout=20).outputs
        assert outputs["y"].dtype == tf_dtype(name).as_datatype_enum
        assert not outputs["y"].tensor_content  # typed fields, as in TensorFlow Serving
        got = tf.io.parse_tensor(outputs["y"].SerializeToString(), tf_dtype(name))  # TensorFlow's own reading
        assert got.shape == sent.shape
        assert plain(got.numpy()).tolist() == plain(sent).tolist()
        if "number" in outputs and name in NUMBERS:
            np.testing.assert_allclose(tf.make_ndarray(outputs["number"]), np.abs(sent.astype(complex)))


def in_typed_field(array: np.ndarray[Any, Any], name: str) -> Any:
    kind = dtypes.BY_NUMBER[tf_dtype(name).as_datatype_enum]
    flat = array.ravel().astype(np.int8) if name.endswith("int4") else array.ravel().view(kind.stored)
    proto = tf.make_tensor_proto(0.0)
    proto.Clear()
    proto.dtype = kind.data_type
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    if kind.field == "float8_val":
        proto.float8_val = flat.tobytes()
    else:
        getattr(proto, kind.field).extend(flat.tolist())
    return proto


def plain(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Numbers that compare as Python's do."""
    if array.dtype.names:
        return array.view(array.dtype[0])
    return array.astype(complex)


@pytest.mark.parametrize("name", ["bfloat16", "complex64", "qint8"])
def test_rows_of_several_requests_run_together(typed: Server, name: str) -> None:
    with grpc.insecure_channel(typed.address) as channel:
        predict = prediction.PredictionServiceStub(channel).Predict
        sent = [values(name)[:1], values(name)[1:], values(name)]
        calls = [predict.future(request("dtypes", name, x=tf.make_tensor_proto(one, tf_dtype(name)))) for one in sent]
        for one, call in zip(sent, calls, strict=True):
            got = tf.io.parse_tensor(call.result(20).outputs["y"].SerializeToString(), tf_dtype(name)).numpy()
            assert plain(got).tolist() == plain(one).tolist()


@pytest.mark.parametrize("name", ["bfloat16", "complex128", "qint8", "quint16", "float8_e5m2", "int4"])
def test_the_client_takes_and_gives_such_numbers(typed: Server, name: str) -> None:
    with Client(typed.address, model="dtypes") as client:
        got = client.predict({"x": values(name)}, signature=name)["y"]
        assert plain(got).tolist() == plain(values(name)).tolist()
        integers = client.predict({"x": [[1, 2], [3, 0]]}, signature=name)["y"]
        assert plain(integers).tolist() == [[1, 2], [3, 0]]


@pytest.mark.parametrize("name", ["bfloat16", "complex64", "qint8", "half", "float8_e5m2", "int4"])
def test_json_refuses_them_as_tensorflow_serving_does(typed: Server, name: str) -> None:
    reply = typed.rest("POST", "/v1/models/dtypes:predict", {"signature_name": name, "instances": [[1, 2]]})
    said = "half" if name == "half" else tf_dtype(name).name
    assert (reply.status, json.loads(reply.body)) == (
        400,
        {
            "error": "Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: Conversion of JSON "
            f"Value: 1 to type: {said}"
        },
    )
    reply = typed.rest("POST", "/v1/models/dtypes:predict", {"signature_name": f"to_{name}", "instances": [[1, 2]]})
    assert (reply.status, json.loads(reply.body)) == (
        400,
        {"error": f"Failed to write JSON value for tensor type: {said}"},
    )


def test_a_reference_variable_is_counted_up_and_read_as_saved_model_counter_is(stub: Any, typed: Server) -> None:
    def ask(signature: str, **inputs: Any) -> float:
        output = stub.Predict(request("counter", signature, **inputs), timeout=20).outputs["output"]
        assert output.dtype == tf.float32.as_datatype_enum  # of the value: no tensor is a reference
        return float(tf.make_ndarray(output))

    assert ask("reset_counter") == 0.0
    assert ask("incr_counter") == 1.0
    assert ask("incr_counter_by", delta=tf.make_tensor_proto(3.0)) == 4.0
    assert ask("get_counter") == 4.0
    assert ask("fed", counter=tf.make_tensor_proto(7.0)) == 7.0
    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = "counter"
    found = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(asked, timeout=20).metadata["signature_def"].Unpack(found)
    assert found.signature_def["get_counter"].outputs["output"].dtype == 101  # DT_FLOAT_REF
    reply = typed.rest("POST", "/v1/models/counter:predict", {"signature_name": "incr_counter_by", "inputs": 2.5})
    assert (reply.status, json.loads(reply.body)) == (200, {"outputs": 6.5})
    reference = tf.make_tensor_proto(1.0)
    reference.dtype = 101
    with pytest.raises(grpc.RpcError) as refused:
        ask("incr_counter_by", delta=reference)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "tensor parsing error: delta"


@pytest.mark.slow
def test_an_answer_of_more_than_two_gibibytes_is_refused_and_takes_no_more_than_its_outputs(
    stub: Any, typed: Server
) -> None:
    def peak() -> int:
        status = Path(f"/proc/{typed.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) << 10

    before, count = peak(), 600_000_000
    with pytest.raises(grpc.RpcError) as refused:
        stub.Predict(request("counter", "zeros", count=tf.make_tensor_proto(count, tf.int64)), timeout=60)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.value.details().startswith(f"The outputs have {4 * count} bytes or more; one message holds at most ")
    assert peak() - before < 4 * count + (300 << 20)


@pytest.mark.parametrize("shape", ["absent", "unknown rank"])
def test_a_scalar_may_leave_its_shape_out(stub: Any, shape: str) -> None:
    delta = tf.make_tensor_proto(0.0)
    delta.ClearField("tensor_shape")
    delta.tensor_shape.unknown_rank = shape == "unknown rank"
    if shape == "absent":
        delta.ClearField("tensor_shape")
    stub.Predict(request("counter", "incr_counter_by", delta=delta), timeout=20)


def test_the_graph_of_the_tags_that_are_asked_for_is_loaded(tmp_path: Path) -> None:
    directory = export_counter(tmp_path / "1")
    engine = SessionEngine(directory, tags=("serve", "other"))
    assert engine.signatures.keys() == {"zeros"}
    engine.close()
    with pytest.raises(LoadError, match=r"no MetaGraphDef has the tags \['other'\]"):
        SessionEngine(directory, tags=("other",))


def test_a_sessions_configuration_reaches_tensorflow(tmp_path: Path) -> None:
    directory = export_counter(tmp_path / "1")
    nonsense = config_pb2.ConfigProto()
    nonsense.experimental.executor_type = "NO_SUCH_EXECUTOR"
    with pytest.raises(LoadError, match="NO_SUCH_EXECUTOR"):
        SessionEngine(directory, session_config=nonsense)
