import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from unroll.errors import UserError
from unroll.serving.engine.load_error import LoadError
from unroll.serving.engine.session_engine import SessionEngine
from unroll.serving.export import export_saved_model


def test_the_contract_on_disk(exports: dict[int, Path]) -> None:
    directory = exports[1]
    assert sorted(entry.name for entry in directory.iterdir()) == [
        "assets",
        "assets.extra",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
    ]
    assert (directory / "assets.extra" / "model_card.md").read_text() == "# sample\n"
    assert (directory / "assets.extra" / "tf_serving_warmup_requests").stat().st_size
    assert not [entry for entry in directory.parent.iterdir() if entry.name.startswith(".")]


def test_it_loads_in_a_v1_session_without_keras_or_us(exports: dict[int, Path]) -> None:
    code = f"""
import json, sys
sys.modules['keras'] = None  # importing it fails from here on
import tensorflow as tf
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], {str(exports[1])!r})
    signature = meta.signature_def["serving_default"]
    label, score = session.run([signature.outputs["label"].name, signature.outputs["score"].name],
                               {{signature.inputs["text"].name: ["good", "b"]}})
print(json.dumps([[value.decode() for value in label], score.tolist(),
                  meta.signature_def["classify"].method_name]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=exports[1].parent)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        ["positive", "unknown"],
        [4.0, 1.0],
        "tensorflow/serving/classify",
    ]


def test_weights_are_on_disk_once(tmp_path: Path) -> None:
    class Weights(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(np.random.default_rng(0).normal(size=(500, 500)).astype("f"))

        @tf.function(input_signature=[tf.TensorSpec([None, 500], tf.float32, "x")])
        def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": x @ self.kernel}

    module = Weights()
    path = export_saved_model(
        module,
        {"serving_default": module.serve},
        tmp_path / "weights",
        name="weights",
        warmup_requests=[("serving_default", {"x": np.zeros((1, 500), "f")})],
    )
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    assert 1_000_000 < size < 1_100_000


class Once(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "index")])
    def serve(self, index: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"picked": tf.gather(tf.constant([1.0]), index)}


def test_a_model_that_fails_its_warmup_is_not_handed_out(tmp_path: Path) -> None:
    module = Once()
    with pytest.raises(LoadError, match="warmup record 0"):
        export_saved_model(
            module,
            {"serving_default": module.serve},
            tmp_path / "model",
            name="once",
            warmup_requests=[("serving_default", {"index": [5]})],
        )
    assert not list(tmp_path.iterdir())


def test_cudnn_is_refused(tmp_path: Path) -> None:
    class Gpu(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4, 2], tf.float32, "x")])
        def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            zeros = tf.zeros((1, tf.shape(x)[0], 3))
            size = tf.raw_ops.CudnnRNNParamsSize(num_layers=1, num_units=3, input_size=2, T=tf.float32, S=tf.int32)
            run = tf.raw_ops.CudnnRNN(input=x, input_h=zeros, input_c=zeros, params=tf.zeros(size))
            return {"y": run.output}

    module = Gpu()
    with pytest.raises(ValueError, match="CudnnRNN"):
        export_saved_model(
            module, {"serving_default": module.serve}, tmp_path / "model", name="gpu", warmup_requests=[]
        )
    assert not list(tmp_path.iterdir())


def test_an_export_never_overwrites(exports: dict[int, Path]) -> None:
    module = Once()
    with pytest.raises(UserError, match="exists already"):
        export_saved_model(module, {"serving_default": module.serve}, exports[1], name="once", warmup_requests=[])


def test_the_client_and_the_store_need_no_tensorflow() -> None:
    code = (
        "import sys, unroll.serving.cli; unroll.Client; unroll.serving.Store; "
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'mlflow')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def check_export(model: Any, directory: Path) -> None:
    """Exports a Keras layer of `[n, 4, 2]`, and checks that it answers as before."""
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    serve = tf.function(lambda x: {"y": model(x)}, input_signature=[tf.TensorSpec([None, 4, 2], tf.float32, "x")])
    x = np.ones((2, 4, 2), "f")
    requests = [("serving_default", {"x": x})]
    export_saved_model(
        module, {"serving_default": serve}, directory, name="lstm", warmup_requests=requests, model=model
    )
    engine = SessionEngine(directory)
    np.testing.assert_allclose(engine.run("serving_default", [x])[0], model(x), atol=1e-6)
    engine.close()


def test_layers_are_traced_without_cudnn_wherever_they_are(tmp_path: Path) -> None:
    """Keras picks the kernel as it traces, and only a GPU host would show it: what each layer was told is looked at."""
    import keras

    told = {}

    @keras.saving.register_keras_serializable("tests")
    class Lstm(keras.layers.LSTM):
        def call(self, sequences, initial_state=None, mask=None, training=False):
            told[self.name] = self.use_cudnn
            return super().call(sequences, initial_state, mask, training)

    class Two(keras.layers.Layer):
        def __init__(self, name: str) -> None:
            super().__init__(name=name)
            self.stack = [Lstm(3, name="in_a_list", return_sequences=True)]
            self.by_name = {"backward": keras.layers.Bidirectional(Lstm(3, name="wrapped"))}

        def call(self, x: tf.Tensor) -> tf.Tensor:
            return self.by_name["backward"](self.stack[0](x))

    model = keras.Sequential([Two("two"), keras.layers.Dense(1)])
    model.build([None, 4, 2])
    told.clear()
    check_export(model, tmp_path / "model")
    assert set(told.values()) == {"auto"}, "training goes on with the kernels it had"


def test_layers_that_draw_though_they_do_not_train_are_exported(tmp_path: Path) -> None:
    import keras

    layer = keras.layers.LSTM(3, recurrent_dropout=0.5)  # whose masks Keras draws in every pass
    layer.build([None, 4, 2])
    check_export(layer, tmp_path / "model")
