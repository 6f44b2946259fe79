"""How a version is loaded: its own batching parameters, its warmup."""

import threading
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from tests.serving.running_versions import ask, eventually, put, running, spec, states
from unroll.serving.batching.parameters import BatchingParameters
from unroll.serving.engine.session_engine import SessionEngine
from unroll.serving.protocol.status import StatusError
from unroll.serving.versions import warmup
from unroll.serving.versions.loaded_version import LoadParameters
from unroll.serving.versions.model_config import ModelConfig
from unroll.serving.versions.version_policy import All


async def test_a_version_may_bring_its_batching_parameters(light_exports: dict[int, Path], tmp_path: Path):
    base = tmp_path / "m"
    (put(base, 1, light_exports[1]) / "batching_params.pbtxt").write_text("max_batch_size { value: 2 }")
    put(base, 2, light_exports[2])
    broken = put(base, 3, light_exports[1]) / "batching_params.pbtxt"
    broken.write_text("max_batch_sizes { value: 2 }")
    own = LoadParameters(per_model_batching=True)
    async with running(ModelConfig("m", base, All()), loading=own) as versions:
        with pytest.raises(StatusError, match="Task size 3 is larger than maximum input batch size 2"):
            await ask(versions, spec("m", 1), rows=3)
        assert await ask(versions, spec("m", 1), rows=2) == 1
        assert await ask(versions, spec("m", 2), rows=3) == 2
        assert "batching_params.pbtxt:1: " in versions.states("m")[3].error
        broken.write_text("max_batch_size { value: 3 }")
        await eventually(lambda: states(versions, "m")[3] == "AVAILABLE")
        assert await ask(versions, spec("m", 3), rows=3) == 3
    async with running(ModelConfig("m", base, All())) as versions:
        assert await ask(versions, spec("m", 1), rows=3) == 1


async def test_warmup_can_be_left_out(exports: dict[int, Path], tmp_path: Path):
    base = tmp_path / "m"
    version = put(base, 1, exports[1])
    with tf.io.TFRecordWriter(str(version / "assets.extra" / warmup.FILE)) as writer:
        writer.write(b"\xff no message")
    async with running(ModelConfig("m", base)) as versions:
        assert states(versions, "m") == {1: "END"}
    async with running(ModelConfig("m", base), loading=LoadParameters(enable_model_warmup=False)) as versions:
        assert states(versions, "m") == {1: "AVAILABLE"}


async def test_each_thread_is_warm_before_a_version_serves(
    exports: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run, threads = SessionEngine.run, set[str]()

    def noted(engine: SessionEngine, *arguments: Any) -> Any:
        threads.add(threading.current_thread().name)
        return run(engine, *arguments)

    monkeypatch.setattr(SessionEngine, "run", noted)
    put(tmp_path / "m", 1, exports[1])
    loading = LoadParameters(BatchingParameters(num_batch_threads=3))
    async with running(ModelConfig("m", tmp_path / "m"), loading=loading) as versions:
        assert versions.serving
        assert {name for name in threads if name != "load"} == {f"batch_threads_{number}" for number in range(3)}
