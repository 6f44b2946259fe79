"""Inputs that a client may leave out, none at all, and outputs without rows: over the wire and batched."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest

from tests.serving_fixtures import Server
from unroll.serving import Client, ServingError
from unroll.serving.versions.store import Store


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tensorflow as tf

    from unroll.serving.export import export_saved_model

    never, nobody = tf.constant([-1], tf.int64), tf.constant(["none"])
    ten, three = tf.constant(10.0), tf.constant([3], tf.int64)

    class Optional(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None, None], tf.float32, "history"),
                tf.TensorSpec([None], tf.int64, "timestamp"),
                tf.TensorSpec([None], tf.string, "series"),
            ]
        )
        def serve(
            self, history: tf.Tensor, timestamp: tf.Tensor = never, series: tf.Tensor = nobody
        ) -> dict[str, tf.Tensor]:
            ones = tf.ones_like(history[:, 0], tf.int64)
            return {
                "sum": tf.reduce_sum(history, 1),
                "timestamp": timestamp * ones,
                "series": tf.strings.join([series, tf.strings.as_string(ones * 0)]),
            }

        @tf.function(input_signature=[])
        def describe(self) -> dict[str, tf.Tensor]:
            return {"json": tf.constant(json.dumps({"horizon": 96}))}

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x"), tf.TensorSpec([], tf.float32, "y")])
        def add(self, x: tf.Tensor, y: tf.Tensor = ten) -> dict[str, tf.Tensor]:
            return {"sum": x + y}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "n")])
        def count(self, n: tf.Tensor = three) -> dict[str, tf.Tensor]:
            return {"count": n + 1}

    module = Optional()
    signatures = {
        "serving_default": module.serve,
        "describe": module.describe,
        "add": module.add,
        "count": module.count,
    }
    return export_saved_model(
        module,
        signatures,
        tmp_path_factory.mktemp("optional") / "1",
        name="optional",
        warmup_requests=[("serving_default", {"history": np.ones((2, 3), "f")}), ("describe", {})],
    )


@pytest.fixture(scope="module")
def client(exported: Path, store: Store, server: Server) -> Iterator[Client]:
    store.put("optional", 1, exported)
    with Client(server.address, model="optional") as one:
        one.wait_until_ready()
        yield one


def test_left_out_inputs_take_their_defaults_row_by_row(client: Client) -> None:
    answer = client.predict({"history": np.ones((3, 4))})
    np.testing.assert_array_equal(answer["sum"], [4, 4, 4])
    np.testing.assert_array_equal(answer["timestamp"], [-1, -1, -1])
    assert answer["series"].tolist() == ["none0"] * 3
    answer = client.predict({"history": np.ones((2, 4)), "series": ["a", "b"]})
    np.testing.assert_array_equal(answer["timestamp"], [-1, -1])
    assert answer["series"].tolist() == ["a0", "b0"]
    assert len(client.predict({"history": np.ones((0, 4))})["timestamp"]) == 0
    np.testing.assert_array_equal(client.predict({}, signature="count")["count"], [4])


def test_clients_with_and_without_an_optional_input_share_batches(client: Client) -> None:
    def ask(number: int) -> None:
        rows = 1 + number % 3
        inputs = {"history": np.full((rows, 2), number)}
        if number % 2:
            inputs["timestamp"] = np.arange(rows) + number
        if number % 5 == 0:
            inputs["series"] = np.array([f"s{number}"] * rows)
        answer = client.predict(inputs)
        np.testing.assert_array_equal(answer["sum"], [2 * number] * rows)
        np.testing.assert_array_equal(answer["timestamp"], inputs.get("timestamp", [-1] * rows))
        assert answer["series"].tolist() == [f"s{number}0" if number % 5 == 0 else "none0"] * rows

    with ThreadPoolExecutor(32) as threads:
        list(threads.map(ask, range(256)))


def test_a_signature_without_inputs_and_outputs_without_rows(client: Client) -> None:
    assert json.loads(client.predict({}, signature="describe")["json"].item()) == {"horizon": 96}
    assert client.predict({"x": 1.0}, signature="add")["sum"] == 11
    assert client.predict({"x": 1.0, "y": 2.0}, signature="add")["sum"] == 3


def test_the_metadata_says_which_inputs_are_optional(client: Client) -> None:
    signatures = client.metadata()
    optional = {name: info.optional for name, info in signatures["serving_default"].inputs.items()}
    assert optional == {"history": False, "series": True, "timestamp": True}
    assert signatures["describe"].inputs == {}
    assert signatures["describe"].outputs["json"].shape == ()


# Its words in servables/tensorflow/predict_util.cc and, of TensorFlow, cc/saved_model/util.cc.
@pytest.mark.parametrize(
    ("signature", "inputs", "message"),
    [
        (
            "serving_default",
            {"timestamp": [1]},
            "Signature input alias: history(feed name: serving_default_history:0) not found in request and no "
            "default value provided. Inputs expected to be in the request {timestamp}, or default input alias set: "
            "series,timestamp",
        ),
        (
            "serving_default",
            {"history": [[1.0]], "z": [1]},
            "Inputs contains invalid name. Used request inputs: history, request input: history,z",
        ),
        (
            "count",
            {"n": [1], "z": [1]},
            "input size does not match signature: 2!=1 len({n,z}) != len({n}). Sent extra: {z}. Missing but "
            "required: {}.",
        ),
    ],
)
def test_a_refused_request_says_what_is_wrong(
    client: Client, signature: str, inputs: dict[str, list[float]], message: str
) -> None:
    with pytest.raises(ServingError) as refused:
        client.predict(inputs, signature)
    assert (refused.value.code, refused.value.message) == (grpc.StatusCode.INVALID_ARGUMENT, message)
