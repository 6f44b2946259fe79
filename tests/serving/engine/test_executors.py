"""Models of TensorFlow 1 and 2 give the same through whichever executor runs them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from unroll.serving.engine.executors import DEFAULT, SINGLE_THREADED, executor_type
from unroll.serving.engine.session_engine import SessionEngine

v1 = tf.compat.v1
FLOATS = np.array([-2, -1, 0, 1, -3], np.float32)


def magnitude_by_switch(x: tf.Tensor) -> tf.Tensor:
    """The sum's absolute value, as `tf.cond` of TensorFlow 1 writes it."""
    total = tf.reduce_sum(x)
    negative, positive = tf.raw_ops.Switch(data=total, pred=total > 0)
    return tf.raw_ops.Merge(inputs=[-negative, positive]).output + tf.zeros_like(x)


def scaled_by_reference(x: tf.Tensor) -> tf.Tensor:
    return x * v1.get_variable("scale", initializer=3.0, use_resource=False)


def looked_up(x: tf.Tensor) -> tf.Tensor:
    """A table by reference, as `tf.contrib.lookup` made it."""
    table = tf.raw_ops.HashTable(key_dtype=tf.int64, value_dtype=tf.float32)
    keys, values = tf.constant([-1, 1], tf.int64), tf.constant([10.0, 20.0])
    v1.add_to_collection("inits", tf.raw_ops.InitializeTable(table_handle=table, keys=keys, values=values))
    return tf.raw_ops.LookupTableFind(table_handle=table, keys=tf.cast(x, tf.int64), default_value=tf.constant(-5.0))


def powers_by_loop(x: tf.Tensor) -> tf.Tensor:
    return tf.while_loop(lambda i, _: i < 5, lambda i, y: (i + 1, y * x), (0, tf.ones_like(x)))[1]


def powers_by_branch(x: tf.Tensor) -> tf.Tensor:
    return tf.map_fn(lambda y: tf.cond(y < 0, lambda: -((-y) ** 5), lambda: y**5), x)


def switch_in_a_function(x: tf.Tensor) -> tf.Tensor:
    body = tf.function(magnitude_by_switch, input_signature=[tf.TensorSpec([None], tf.float32)])
    return tf.map_fn(lambda row: body(row), x[tf.newaxis])[0]


def save_v1(directory: Path, build: Callable[[tf.Tensor], tf.Tensor]) -> Path:
    with v1.Session(graph=tf.Graph()) as session:
        x = v1.placeholder(tf.float32, [None])
        y = build(x)
        session.run(v1.global_variables_initializer())
        init = tf.group(*v1.get_collection("inits"))
        session.run(init)
        builder = v1.saved_model.Builder(str(directory))
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        signatures = {"serving_default": signature}
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, main_op=init, strip_default_attrs=True)
        builder.save()
    return directory


def save_v2(directory: Path, build: Callable[[tf.Tensor], tf.Tensor]) -> Path:
    module = tf.Module()
    module.serve = tf.function(lambda x: {"y": build(x)}, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(directory), signatures={"serving_default": module.serve})
    return directory


def run(directory: Path) -> list[float]:
    engine = SessionEngine(directory)
    (y,) = engine.run("serving_default", [FLOATS])
    engine.close()
    return y.tolist()


def executor(directory: Path) -> str:
    (meta_graph,) = SavedModel.FromString((directory / "saved_model.pb").read_bytes()).meta_graphs
    return executor_type(meta_graph.graph_def)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (magnitude_by_switch, [5.0] * 5),
        (scaled_by_reference, [-6.0, -3.0, 0.0, 3.0, -9.0]),
        (looked_up, [-5.0, 10.0, -5.0, 20.0, -5.0]),
        (switch_in_a_function, [5.0] * 5),
    ],
)
def test_graphs_of_tensorflow_1_run(
    tmp_path: Path, build: Callable[[tf.Tensor], tf.Tensor], expected: list[float]
) -> None:
    directory = save_v1(tmp_path / "v1", build)
    assert executor(directory) == DEFAULT
    assert run(directory) == expected


@pytest.mark.parametrize("build", [powers_by_loop, powers_by_branch])
def test_loops_and_branches_of_tensorflow_2_run_in_one_thread(
    tmp_path: Path, build: Callable[[tf.Tensor], tf.Tensor]
) -> None:
    directory = save_v2(tmp_path / "v2", build)
    assert executor(directory) == SINGLE_THREADED
    assert run(directory) == [-32.0, -1.0, 0.0, 1.0, -243.0]
