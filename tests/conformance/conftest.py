"""A SavedModel of TensorFlow 1's kind, with every sort of signature that requests of tf.Examples ask for."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from tests.serving_fixtures import Server, until
from unroll.serving.versions.store import Store

PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))


def export_half_plus_two(directory: Path) -> Path:
    """TensorFlow Serving's own test model, y = x / 2 + 2 and y3 = x2 / 2 + 3, and signatures that break its rules."""
    import tensorflow as tf

    v1 = tf.compat.v1
    info = v1.saved_model.build_tensor_info

    def signature(method: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
        return v1.saved_model.build_signature_def(
            {name: info(tensor) for name, tensor in inputs.items()},
            {name: info(tensor) for name, tensor in outputs.items()},
            method,
        )

    with tf.Graph().as_default(), v1.Session() as session:
        half = v1.get_variable("half", initializer=0.5)
        serialized = v1.placeholder(tf.string, [None], "tf_example")
        feature = tf.io.FixedLenFeature([1], tf.float32, 0.0)
        parsed = tf.io.parse_example(serialized, {"x": feature, "x2": feature})
        x = tf.identity(parsed["x"], "x")
        y, y3 = half * x + 2, half * parsed["x2"] + 3
        sparse = v1.sparse_placeholder(tf.float32)
        plain = v1.placeholder(tf.string, [None], "plain")

        def classify(**outputs: Any) -> Any:
            return signature(CLASSIFY, {"inputs": serialized}, outputs)

        def regress(**outputs: Any) -> Any:
            return signature(REGRESS, {"inputs": serialized}, outputs)

        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                "serving_default": signature(PREDICT, {"x": x}, {"y": y}),
                "classify_x_to_y": classify(scores=y),
                "classify_x2_to_y3": classify(scores=y3),
                "classify_labels": classify(classes=tf.strings.as_string(x)),
                "classify_both": classify(classes=tf.fill(tf.shape(x), b"\xff"), scores=y),
                "predict_scores": signature(PREDICT, {"inputs": serialized}, {"scores": y}),
                "regress_x_to_y": regress(outputs=y),
                "regress_x2_to_y3": regress(outputs=y3),
                "regress_vector": regress(outputs=tf.squeeze(y, 1)),
                # Outputs that answer neither method.
                "classify_vector": classify(scores=tf.squeeze(y, 1)),
                "classify_numbers": classify(classes=y),
                "classify_doubles": classify(scores=tf.cast(y, tf.float64)),
                "classify_total": classify(scores=tf.reduce_sum(y, 0, keepdims=True)),
                "classify_uneven": classify(classes=tf.strings.as_string(x), scores=tf.concat([y, y], 1)),
                "regress_columns": regress(outputs=tf.concat([y, y], 1)),
                "regress_doubles": regress(outputs=tf.cast(y, tf.float64)),
                "regress_total": regress(outputs=tf.reduce_sum(y, 0)),
                # Signatures that fit neither.
                "other_outputs": classify(labels=y),
                "other_inputs": signature(CLASSIFY, {"x": serialized}, {"scores": y}),
                "two_inputs": signature(CLASSIFY, {"inputs": serialized, "more": plain}, {"scores": y}),
                "two_outputs": regress(outputs=y, more=y3),
                "sparse": signature(PREDICT, {"x": sparse}, {"y": tf.sparse.to_dense(sparse)}),
                "number": signature(PREDICT, {"text": plain}, {"number": tf.strings.to_number(plain)}),
            },
        )
        builder.save()
    return directory


@pytest.fixture(scope="session")
def half_plus_two(
    tmp_path_factory: pytest.TempPathFactory, store: Store, server: Server, channel: grpc.Channel
) -> Path:
    """The model's directory; the shared server answers for it."""
    directory = export_half_plus_two(tmp_path_factory.mktemp("half_plus_two") / "1")
    store.put("half_plus_two", 1, directory)
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "half_plus_two"

    def available() -> bool:
        try:
            (status,) = stub.GetModelStatus(request, timeout=20).model_version_status
        except grpc.RpcError:
            return False
        return status.state == status.AVAILABLE

    until(available)
    return directory
