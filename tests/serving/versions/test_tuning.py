"""The settings that a version runs with are those that are fastest here, and make no difference to its answers."""

import asyncio
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serving.running_versions import put, running, spec
from unroll.serving.engine.cores import cores
from unroll.serving.engine.executors import DEFAULT, SINGLE_THREADED
from unroll.serving.engine.graph_effects import has_effects
from unroll.serving.engine.load_error import LoadError
from unroll.serving.engine.parallelism import Parallelism
from unroll.serving.engine.session_engine import SessionEngine
from unroll.serving.engine.tensorflow_runtime import config_pb2
from unroll.serving.export import export_saved_model
from unroll.serving.files import tfrecord
from unroll.serving.versions import served_models, trials, tuning, warmup
from unroll.serving.versions.loaded_version import LoadParameters, load
from unroll.serving.versions.model_config import ModelConfig
from unroll.serving.versions.tuning import Tuning

TRIED = "settings for"
ACROSS = Parallelism(DEFAULT, inter_op=cores(), only_alone=True)
needs_two_cores = pytest.mark.skipif(cores() < 2, reason="there is one core")


@pytest.fixture(autouse=True)
def _short_trials(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(trials, "_SECONDS", 0.0)
    caplog.set_level(logging.INFO, "unroll.serving")


def answers(engine: SessionEngine) -> list[float]:
    (index,) = engine.run("pick", [np.array([2, 0])])
    return index.tolist()


def better(found: Tuning, undisturbed: bool = True, stopped: bool = False) -> Parallelism | None:
    """Tries; checks that the version answers, whatever came of it, and gives settings other than the simplest."""
    serving = found.load()
    engine = found.better(serving, lambda: stopped, lambda: undisturbed)
    for one in filter(None, (serving, engine)):
        assert answers(one) == [30.0, 10.0]
        one.close()
    return engine.parallelism if engine else None


@needs_two_cores
def test_settings_are_tried_once(exports: dict[int, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = Tuning(exports[1], tmp_path)
    assert first.untried
    chosen = better(first)
    assert caplog.text.count(TRIED) == 1
    second = Tuning(exports[1], tmp_path)
    assert not second.untried
    engine = second.load()
    assert engine.parallelism == chosen or (chosen is None and engine.parallelism == Parallelism())
    engine.close()

    (remembered,) = tmp_path.iterdir()
    assert Parallelism(**json.loads(remembered.read_text())) == (chosen or Parallelism())
    for damaged in ("", "[]", '{"executor": "none such"}', '{"what": 1}'):
        remembered.write_text(damaged)
        assert Tuning(exports[1], tmp_path).untried


@needs_two_cores
@pytest.mark.parametrize("parallelism", [ACROSS, Parallelism(DEFAULT)])
def test_what_is_clearly_faster_takes_over_and_is_remembered(
    exports: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallelism: Parallelism
) -> None:
    monkeypatch.setattr(tuning, "_best", lambda figures: parallelism)
    assert better(Tuning(exports[1], tmp_path), undisturbed=False) == parallelism
    assert Tuning(exports[1], tmp_path).untried  # since other work may have decided it
    early = Tuning(exports[1], tmp_path)
    serving = early.load()
    assert better(Tuning(exports[1], tmp_path)) == parallelism
    found = early.better(serving, lambda: False, lambda: True)  # what another process has found meanwhile
    engine = Tuning(exports[1], tmp_path).load()
    assert found
    assert found.parallelism == engine.parallelism == parallelism
    for one in (serving, found, engine):
        one.close()


@needs_two_cores
def test_trials_that_are_stopped_have_no_outcome(exports: dict[int, Path], tmp_path: Path) -> None:
    assert better(Tuning(exports[1], tmp_path), stopped=True) is None
    assert Tuning(exports[1], tmp_path).untried


@needs_two_cores
def test_only_what_was_loaded_is_tried(
    exports: dict[int, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "_best", lambda figures: ACROSS)
    version = tmp_path / "1"
    shutil.copytree(exports[1], version)
    found = Tuning(version, tmp_path / "cache")
    (version / "variables" / "variables.index").write_bytes(b"of another")
    engine = SessionEngine(exports[1])
    assert found.better(engine, lambda: False, lambda: True) is None
    assert "its files are not those any more" in caplog.text

    def distrust(directory: Path) -> None:
        raise LoadError(f"{directory} is not signed")

    found = Tuning(exports[1], tmp_path / "cache", verify=distrust)
    assert found.better(engine, lambda: False, lambda: True) is None
    assert "is not signed" in caplog.text
    engine.close()
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_is_no_obstacle(exports: dict[int, Path], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    better(Tuning(exports[1], file / "below"))


@needs_two_cores
async def test_a_version_is_tried_while_a_core_is_idle_and_answers_meanwhile(
    exports: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(served_models, "_WATCH_SECONDS", 0.01)
    monkeypatch.setattr(tuning, "_best", lambda figures: ACROSS)
    put(tmp_path / "m", 1, exports[1])
    idle = 0.5
    loading = LoadParameters(parallelism=None, tuning_cache=tmp_path / "cache")
    async with running(ModelConfig("m", tmp_path / "m"), loading=loading) as versions:
        trying = asyncio.create_task(versions.tune(lambda: idle))
        servable = versions.find(spec("m"))

        async def ask() -> list[float]:
            (picked,) = await servable.batcher.submit(servable.signatures["pick"], [np.array([1])], 8)
            return picked.tolist()

        for _ in range(5):
            assert await ask() == [20.0]
            await asyncio.sleep(0.02)
        assert servable.untried
        idle = 1.5
        while TRIED not in caplog.text:
            assert await ask() == [20.0]
        trying.cancel()
        await versions.close()  # which waits for what takes over
    assert not (tmp_path / "cache").exists()  # since it was asked meanwhile


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


def test_what_a_run_changes_is_not_changed_by_trials_nor_for_each_thread(tmp_path: Path) -> None:
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
    loaded = load(directory, LoadParameters(parallelism=None, enable_model_warmup=True))
    assert not loaded.quick  # each thread would run it
    loaded.engine.close()
    found = Tuning(directory, None)
    engine = found.load()
    assert found.better(engine, lambda: False, lambda: True) is None
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
        better(Tuning(exports[1], tmp_path, session_config=settings))
    assert len(list(tmp_path.iterdir())) == 2


def test_warmup_records_that_are_not_to_be_run_are_not_read(exports: dict[int, Path], tmp_path: Path) -> None:
    version = tmp_path / "1"
    shutil.copytree(exports[1], version)
    (version / "assets.extra" / warmup.FILE).write_bytes(tfrecord.record(b"\xff no message"))
    loaded = load(version, LoadParameters(parallelism=None, enable_model_warmup=False))
    assert answers(loaded.engine) == [30.0, 10.0]
    loaded.engine.close()
