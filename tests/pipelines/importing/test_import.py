"""Models that were trained elsewhere, over real files, through the command and a real server."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import unroll
from tests.serving_fixtures import Server, running_server
from unroll.pipelines.training.exported import Exported
from unroll.serving.client.client import Client

ROWS = np.random.default_rng(0).normal(size=(4, 7, 3)).astype(np.float32)


def gru() -> keras.Model:
    keras.utils.set_random_seed(1)
    series = keras.Input([None, 3], name="series")
    return keras.Model(series, keras.layers.Dense(2)(keras.layers.GRU(8, use_cudnn="auto")(series)))


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A workspace with `exported` and `saved`, the same GRU by `model.export` and by `model.save`."""
    folder: Path = tmp_path_factory.mktemp("imported")
    model = gru()
    model.export(folder / "export", verbose=False)
    model.save(folder / "model.keras")
    unroll("import", "exported", folder / "export", "--home", folder / "home")
    unroll("import", "saved", folder / "model.keras", "--home", folder / "home")
    return folder / "home"


@pytest.fixture(scope="module")
def server(home) -> Iterator[Server]:
    yield from running_server(home)


@pytest.mark.parametrize("name", ["exported", "saved"])
def test_it_is_served_and_answers_as_keras_does(server, name):
    expected = gru().predict(ROWS, verbose=0)
    with Client(server.address, model=name) as client:
        signature = client.metadata()["serving_default"]
        (series,), (output,) = signature.inputs, signature.outputs
        np.testing.assert_allclose(client.predict({series: ROWS})[output], expected, rtol=1e-5, atol=1e-6)
    rows = [one for row in ROWS[:2] for one in ("--input", json.dumps({series: row.tolist()}))]
    done = unroll("predict", name, "--server", server.address, "--json", *rows)
    answers = [row[output] for row in json.loads(done.stdout)["predictions"]]
    np.testing.assert_allclose(answers, expected[:2], rtol=1e-5, atol=1e-6)


def test_preprocessing_in_the_model_comes_along(home, tmp_path):
    words = keras.layers.TextVectorization(output_sequence_length=4, vocabulary=["good", "film"])
    text = keras.Input([1], dtype="string", name="text")
    ids = words(text)
    hidden = keras.layers.GRU(3)(keras.layers.Embedding(4, 3)(ids))
    model = keras.Model(text, {"score": keras.layers.Dense(1)(hidden), "ids": ids})
    model.save(tmp_path / "words.keras")
    done = json.loads(unroll("import", "words", tmp_path / "words.keras", "--home", home, "--json").stdout)
    answer = Exported(Path(done["path"])).predict({"text": np.array([[b"a good film"]], object)})
    np.testing.assert_array_equal(answer["ids"], [[1, 2, 3, 0]])
    expected = model.predict(tf.constant([["a good film"]]), verbose=0)["score"]
    np.testing.assert_allclose(answer["score"], expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["exported", "saved"])
def test_it_is_a_version_like_any_other(home, name):
    (version,) = [one for one in json.loads(unroll("models", "--home", home, "--json").stdout) if one["name"] == name]
    assert version["task"] == "imported"
    assert version["aliases"] == ["champion"]
    stored = home / "store" / name / "1"
    assert (stored / "assets.extra" / "tf_serving_warmup_requests").stat().st_size
    assert "trained elsewhere" in (stored / "assets.extra" / "model_card.md").read_text()
    told = unroll("evaluate", name, "--data", home, "--home", home, check=2).stderr
    assert "was imported, and no task knows how to score it" in told


def test_a_further_version_waits_to_be_promoted_and_takes_the_requests_given(home, tmp_path):
    gru().save(tmp_path / "again.keras")
    requests = home / "store" / "saved" / "1" / "assets.extra" / "tf_serving_warmup_requests"
    command = ("import", "waits", tmp_path / "again.keras", "--home", home, "--json")
    one = json.loads(unroll(*command, "--no-promote", "--warmup", requests).stdout)
    assert not one["promoted"]
    assert Path(one["path"], "assets.extra", requests.name).read_bytes() == requests.read_bytes()
    unroll("promote", "waits", 1, "--home", home)
    assert (home / "store" / "waits" / "1" / "saved_model.pb").is_file()
    assert not json.loads(unroll(*command).stdout)["promoted"]


def broken(folder: Path) -> Path:
    gru().export(folder / "broken", verbose=False)
    (folder / "broken" / "saved_model.pb").write_bytes(b"not a model")
    return folder / "broken"


def without_variables(folder: Path) -> Path:
    gru().export(folder / "bare", verbose=False)
    shutil.rmtree(folder / "bare" / "variables")
    return folder / "bare"


def with_cudnn(folder: Path) -> Path:
    """As an LSTM that was traced where there is a GPU."""

    class Traced(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([5, 1, 3], tf.float32, "x")])
        def serve(self, x):
            state, parameters = tf.zeros([1, 1, 4]), tf.zeros([500])
            answer = tf.raw_ops.CudnnRNN(input=x, input_h=state, input_c=state, params=parameters, is_training=False)
            return {"y": answer.output}

    module = Traced()
    tf.saved_model.save(module, str(folder / "cudnn"), signatures={"serving_default": module.serve})
    return folder / "cudnn"


def reading_files(folder: Path) -> Path:
    class Reads(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.string, "name")])
        def serve(self, name):
            return {"content": tf.io.read_file(name)}

    module = Reads()
    tf.saved_model.save(module, str(folder / "reads"), signatures={"serving_default": module.serve})
    return folder / "reads"


def with_a_lambda(folder: Path) -> Path:
    given = keras.Input([3])
    keras.Model(given, keras.layers.Lambda(lambda x: x * 2)(given)).save(folder / "lambda.keras")
    return folder / "lambda.keras"


def stateful(folder: Path) -> Path:
    given = keras.Input(batch_shape=[1, 5, 3])
    keras.Model(given, keras.layers.GRU(4, stateful=True)(given)).save(folder / "stateful.keras")
    return folder / "stateful.keras"


def torn(folder: Path) -> Path:
    gru().save(folder / "torn.keras")
    (folder / "torn.keras").write_bytes((folder / "torn.keras").read_bytes()[:2000])
    return folder / "torn.keras"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda folder: folder, "is neither a SavedModel's folder"),
        (broken, "cannot be loaded"),
        (without_variables, "cannot be loaded"),
        (with_cudnn, "holds CudnnRNN, which no CPU can run"),
        (reading_files, "holds ReadFile, which reaches beyond the model"),
        (with_a_lambda, "holds code in Python (a Lambda layer, say), which is never run from a model's file"),
        (stateful, "is stateful"),
        (torn, "cannot be read as a Keras model"),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_line(tmp_path, make, told):
    done = unroll("import", "refused", make(tmp_path), "--home", tmp_path / "home", check=2)
    assert told in done.stderr.strip().splitlines()[-1]
    assert not list((tmp_path / "home").glob("store/*"))
    assert not list((tmp_path / "home" / "cache").glob(".importing-*"))
