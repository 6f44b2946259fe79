"""What a server says of somebody else's models, and `unroll predict` of them: nothing that does not work."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf

from tests.conftest import unroll
from tests.serving_fixtures import Server, start_model_server, suggested
from unroll.serving.client.client import Client
from unroll.serving.versions.store import Store


def export_two_signatures(directory: Path) -> Path:
    """A model without a default signature."""
    module = tf.Module()
    module.double = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec([None], tf.int64, "x")])
    module.add = tf.function(
        lambda x, name: {"y": x + 1, "name": name},
        input_signature=[tf.TensorSpec([None], tf.int64, "x"), tf.TensorSpec([None], tf.string, "name")],
    )
    tf.saved_model.save(module, str(directory), signatures={"double": module.double, "add": module.add})
    return directory


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("foreign")
    export_two_signatures(folder / "pair" / "1")
    running = start_model_server("--model_name=pair", f"--model_base_path={folder / 'pair'}")
    assert running.port, running.text
    yield running
    assert running.stop() == 0, running.text


def test_a_request_is_suggested_that_is_answered(foreign: Server) -> None:
    curl, option, body, url = suggested(foreign)
    assert (curl, option) == ("curl", "-d")
    assert json.loads(body)["signature_name"] == "add"
    root = f"http://127.0.0.1:{foreign.rest_port}"
    reply = foreign.rest("POST", url.removeprefix(root), body.encode())
    assert reply.json == {"predictions": [{"y": 1, "name": "A text."}]}


def test_unroll_predict_says_which_signatures_there_are(foreign: Server) -> None:
    said = unroll("predict", "pair", "--input", "a", "--server", foreign.address, check=2).stderr
    assert said.startswith("error: pair: has no serving_default, which `unroll predict` asks; it has: add, double.")


def test_unroll_predict_names_types_as_tensorflow_does(server: Server, store: Store, tmp_path: Path) -> None:
    module = tf.Module()
    module.add = tf.function(
        lambda x, name: {"y": x, "name": name},
        input_signature=[tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([None], tf.string, "name")],
    )
    tf.saved_model.save(module, str(tmp_path / "named"), signatures={"serving_default": module.add})
    store.put("named", 1, tmp_path / "named")
    with Client(server.address, model="named") as client:
        client.wait_until_ready()
    said = unroll("predict", "named", "--input", "a", "--server", server.address, check=2).stderr
    assert "this model's serving_default takes name (string), x (float32)." in said


def test_unroll_predict_writes_bytes_that_are_no_text_in_base64(server: Server, store: Store, tmp_path: Path) -> None:
    module = tf.Module()
    module.pack = tf.function(
        lambda text: {"packed": tf.io.decode_base64(text), "said": text},
        input_signature=[tf.TensorSpec([None], tf.string, "text")],
    )
    tf.saved_model.save(module, str(tmp_path / "packing"), signatures={"serving_default": module.pack})
    store.put("packing", 1, tmp_path / "packing")
    with Client(server.address, model="packing") as client:
        client.wait_until_ready()
    said = unroll("predict", "packing", "--input", "_9j_4A", "--server", server.address, "--json").stdout
    (answer,) = json.loads(said)["predictions"]
    assert answer == {"text": "_9j_4A", "packed": {"b64": "/9j/4A=="}, "said": "_9j_4A"}
