"""The settings that a version runs with are those that are fastest here, and make no difference to its answers."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unroll.serving.engine.cores import cores
from unroll.serving.engine.executors import DEFAULT, SINGLE_THREADED
from unroll.serving.engine.graph_effects import has_effects
from unroll.serving.engine.parallelism import Parallelism
from unroll.serving.engine.session_engine import SessionEngine
from unroll.serving.engine.tensorflow_runtime import config_pb2
from unroll.serving.export import export_saved_model
from unroll.serving.files import tfrecord
from unroll.serving.versions import warmup
from unroll.serving.versions.loaded_version import LoadParameters, load
from unroll.serving.versions.tuning import tuned

TRIED = "settings for"
needs_two_cores = pytest.mark.skipif(cores() < 2, reason="there is one core")


def answers(engine: SessionEngine) -> list[float]:
    (index,) = engine.run("pick", [np.array([2, 0])])
    return index.tolist()


@needs_two_cores
def test_settings_are_tried_once(exports: dict[int, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "unroll.serving")
    first = tuned(exports[1], tmp_path)
    assert answers(first) == [30.0, 10.0]
    assert caplog.text.count(TRIED) == 1
    second = tuned(exports[1], tmp_path)
    assert second.parallelism == first.parallelism
    assert caplog.text.count(TRIED) == 1
    assert answers(second) == [30.0, 10.0]
    first.close()
    second.close()

    (remembered,) = tmp_path.iterdir()
    for damaged in ("", "[]", '{"executor": "none such"}', '{"what": 1}'):
        remembered.write_text(damaged)
        tuned(exports[1], tmp_path).close()
    assert caplog.text.count(TRIED) == 5
    assert Parallelism(**json.loads(remembered.read_text())) is not None


def test_a_cache_that_cannot_be_written_is_no_obstacle(exports: dict[int, Path], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    engine = tuned(exports[1], file / "below")
    assert answers(engine) == [30.0, 10.0]
    engine.close()


@pytest.mark.parametrize(
    "parallelism",
    [Parallelism(), Parallelism(DEFAULT), Parallelism(DEFAULT, 1, 2, True), Parallelism(DEFAULT, 2, 2, True)],
)
def test_all_settings_give_the_same(exports: dict[int, Path], parallelism: Parallelism) -> None:
    engine = SessionEngine(exports[1], parallelism)
    for alone in (False, True):
        label, pair, score = engine.run("serving_default", [np.array([b"good", b"a"], object)], alone)
        assert (label.tolist(), score.tolist()) == ([b"positive", b"unknown"], [4.0, 1.0])
        assert pair.tolist() == [[4.0, -4.0], [1.0, -1.0]]
    engine.close()


def test_what_a_run_changes_is_not_changed_by_trials(tmp_path: Path) -> None:
    import tensorflow as tf

    class Counter(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.count = tf.Variable(0.0)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def serve(self, x: tf.Tensor) -> dict[str, Any]:
            def counted() -> tf.Tensor:
                return self.count.assign_add(1.0)

            return {"y": x + tf.cond(tf.size(x) > 0, counted, lambda: 0.0)}

    counter = Counter()
    directory = export_saved_model(
        counter,
        {"serving_default": counter.serve},
        tmp_path / "counter",
        name="counter",
        warmup_requests=[("serving_default", {"x": np.zeros(1, np.float32)})],
    )
    engine = tuned(directory, None)
    assert engine.run("serving_default", [np.zeros(1, np.float32)])[0].tolist() == [1.0]
    engine.close()


def effects(function: Any) -> bool:
    """Whether a function of a float vector is seen to change something."""
    import tensorflow as tf

    graph = tf.function(function, input_signature=[tf.TensorSpec([None], tf.float32)]).get_concrete_function().graph
    return has_effects(graph.as_graph_def(), [output.name for output in graph.outputs])


def test_what_changes_something_is_told_from_what_computes() -> None:
    import tensorflow as tf

    generator = tf.random.Generator.from_seed(1)
    variable = tf.Variable([1.0])
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["1"], [2.0]), 0.0)

    def prints(x: Any) -> Any:
        with tf.control_dependencies([tf.print(x)]):
            return x + 1.0

    assert effects(lambda x: x + generator.uniform([1]))
    assert effects(lambda x: x + variable.assign_add([1.0]))
    assert effects(lambda x: tf.map_fn(lambda y: y + variable.assign_add([1.0])[0], x))
    assert effects(prints)
    assert not effects(lambda x: tf.map_fn(lambda y: y * variable[0], x) + tf.random.stateless_uniform([1], (0, 0)))
    assert not effects(lambda x: table.lookup(tf.strings.as_string(x)))


def test_a_session_configuration_decides_on_the_executor_and_on_what_is_remembered(
    exports: dict[int, Path], tmp_path: Path
) -> None:
    config = config_pb2.ConfigProto()
    config.experimental.executor_type = SINGLE_THREADED
    assert Parallelism(DEFAULT).config(config).experimental.executor_type == SINGLE_THREADED
    for settings in (None, config):
        tuned(exports[1], tmp_path, session_config=settings).close()
    assert len(list(tmp_path.iterdir())) == (2 if cores() > 1 else 0)


def test_warmup_records_that_are_not_to_be_run_are_not_read(exports: dict[int, Path], tmp_path: Path) -> None:
    version = tmp_path / "1"
    shutil.copytree(exports[1], version)
    (version / "assets.extra" / warmup.FILE).write_bytes(tfrecord.record(b"\xff no message"))
    engine, _ = load(version, LoadParameters(parallelism=None, enable_model_warmup=False))
    assert answers(engine) == [30.0, 10.0]
    engine.close()
