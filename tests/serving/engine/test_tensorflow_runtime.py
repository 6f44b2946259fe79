"""The runtime without TensorFlow's Python: what a server process loads, and what comes after it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving_fixtures import ROOT

ALONE = """
import sys
from pathlib import Path
import numpy as np
from unroll.serving.engine.session_engine import SessionEngine
from unroll.serving.protocol.status import StatusError
from unroll.serving.versions import warmup

directory = Path(sys.argv[1])
engine = SessionEngine(directory)
assert warmup.replay(engine, directory) == 2
_, _, score = engine.run("serving_default", [np.array([b"good", b"a"], object)])
assert score.tolist() == [4.0, 1.0], score
try:
    engine.run("pick", [np.array([7])])
except StatusError as error:
    assert error.message == "indices[0] = 7 is not in [0, 3)", error.message
assert not any(name in sys.modules for name in ("tensorflow", "keras")), "all of TensorFlow is loaded"
"""
AFTERWARDS = """
import tensorflow as tf, keras

assert tf.function(lambda x: x + 1)(tf.constant(3)) == 4
try:
    tf.raw_ops.CheckNumerics(tensor=tf.constant([float("nan")]), message="no number")
except tf.errors.InvalidArgumentError as error:
    assert "no number" in error.message
network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
network.compile("adam", "mse")
network.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
assert tf.saved_model.load(str(directory)).signatures["pick"](tf.constant([1], tf.int64))["picked"].numpy() == [20.0]
second = SessionEngine(directory)
assert second.run("pick", [np.array([2])])[0] == engine.run("pick", [np.array([2])])[0] == [30.0]
engine.close()
second.close()
"""


def run(program: str, directory: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program, str(directory)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_a_model_runs_without_tensorflows_python(exports: dict[int, Path]) -> None:
    run(ALONE, exports[1])


@pytest.mark.parametrize(
    "first", ["", "from tensorflow_serving.apis import predict_pb2", "import tensorflow.core.example.example_pb2"]
)
def test_tensorflow_can_be_imported_afterwards(exports: dict[int, Path], first: str) -> None:
    run(f"{ALONE}\n{first}\n{AFTERWARDS}", exports[1])
