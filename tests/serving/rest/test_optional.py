"""By REST too: inputs that may be left out, signatures without any, members that are named twice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rest_fixtures import Rest
from unroll.serving.versions.store import Store


def export_optional(directory: Path) -> Path:
    import tensorflow as tf

    from unroll.serving.export import export_saved_model

    never, three = tf.constant([-1], tf.int64), tf.constant([3], tf.int64)

    class Optional(tf.Module):
        @tf.function(
            input_signature=[tf.TensorSpec([None, 2], tf.float32, "x"), tf.TensorSpec([None], tf.int64, "when")]
        )
        def serve(self, x: tf.Tensor, when: tf.Tensor = never) -> dict[str, tf.Tensor]:
            return {"sum": tf.reduce_sum(x, 1), "when": when * tf.ones_like(x[:, 0], tf.int64)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "n")])
        def count(self, n: tf.Tensor = three) -> dict[str, tf.Tensor]:
            return {"count": n + 1}

        @tf.function(input_signature=[])
        def describe(self) -> dict[str, tf.Tensor]:
            return {"json": tf.constant("{}")}

    module = Optional()
    signatures = {"serving_default": module.serve, "count": module.count, "describe": module.describe}
    return export_saved_model(module, signatures, directory, name="optional", warmup_requests=[])


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    folder = tmp_path_factory.mktemp("optional")
    store = Store(folder / "store")
    store.put("optional", 1, export_optional(folder / "1"))
    running = Rest(store)
    yield running
    running.stop()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"instances": [[1, 2], [3, 4]]}, {"predictions": [{"sum": 3.0, "when": -1}, {"sum": 7.0, "when": -1}]}),
        ({"instances": [{"x": [1, 2]}]}, {"predictions": [{"sum": 3.0, "when": -1}]}),
        ({"instances": [{"x": [1, 2], "when": 5}]}, {"predictions": [{"sum": 3.0, "when": 5}]}),
        ({"inputs": [[1, 2]]}, {"outputs": {"sum": [3.0], "when": [-1]}}),
        ({"inputs": {"x": [[1, 2]]}}, {"outputs": {"sum": [3.0], "when": [-1]}}),
        ({"signature_name": "count", "inputs": {}}, {"outputs": [4]}),
        ({"signature_name": "count"}, {"outputs": [4]}),
        ({"signature_name": "count", "instances": [1, 2]}, {"predictions": [2, 3]}),
        ({"signature_name": "describe", "inputs": {}}, {"outputs": "{}"}),
        ({"signature_name": "describe"}, {"outputs": "{}"}),
    ],
)
def test_what_has_a_default_may_be_left_out(rest: Rest, body: Any, answer: Any) -> None:
    reply = rest.predict(body, "optional")
    assert (reply.status, reply.json) == (200, answer)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"instances": [{"when": 5}]}, 'JSON object: {\n    "when": 5\n} keys must be equal to: when,x'),
        ({"instances": [{"x": [1, 2]}, {"x": [1, 2], "when": 5}]}, "keys must be equal to: x"),
        ({"inputs": {"when": [5]}}, "Missing named input: x in 'inputs' object."),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"signature_name": "describe", "instances": [1]}, "instances is a plain list"),
        ({"signature_name": "describe", "inputs": [1]}, "inputs is a plain value/list"),
    ],
)
def test_what_is_needed_is_asked_for(rest: Rest, body: Any, message: str) -> None:
    reply = rest.predict(body, "optional")
    assert reply.status == 400
    assert message in reply.error


def test_the_document_tells_what_may_be_left_out(rest: Rest) -> None:
    document = rest.ask("GET", "/openapi.json").json
    schemas = document["components"]["schemas"]
    row = schemas["optional-0.serving_default.row.request"]["properties"]["instances"]["items"]
    assert (row["required"], sorted(row["properties"])) == (["x"], ["when", "x"])
    examples = document["paths"]["/v1/models/optional:predict"]["post"]["requestBody"]["content"]["application/json"]
    for one in examples["examples"].values():
        assert rest.predict(one["value"], "optional").status == 200


@pytest.mark.parametrize("blank", [0, 20_000])  # which decides by whom it is read
def test_of_members_of_one_name_the_first_counts(rest: Rest, blank: int) -> None:
    body = b'{"inputs": {"x": [[1, 2]], "x": [[5, 5]]}, "inputs": {"x": [[7, 7]]}}' + b" " * blank
    assert rest.predict(body, "optional").json["outputs"]["sum"] == [3.0]


def test_large_requests_have_large_answers(rest: Rest) -> None:
    rows = [{"x": [index, 0.5], "when": index} for index in range(5000)]
    answer = [{"sum": index + 0.5, "when": index} for index in range(5000)]
    assert rest.predict({"instances": rows}, "optional").json == {"predictions": answer}
    columns = {"x": [row["x"] for row in rows], "when": [row["when"] for row in rows]}
    assert rest.predict({"inputs": columns}, "optional").json == {
        "outputs": {"sum": [row["sum"] for row in answer], "when": columns["when"]}
    }
    counted = rest.predict({"signature_name": "count", "instances": columns["when"]}, "optional").json
    assert counted == {"predictions": [number + 1 for number in range(5000)]}
