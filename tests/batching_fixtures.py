"""A real SavedModel behind a queue, that a test can hold and look into."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from unroll.serving.batching.batcher import Batcher
from unroll.serving.batching.padding import Arrays
from unroll.serving.batching.parameters import BatchingParameters
from unroll.serving.front.metrics import Metrics


class Gated:
    """A real engine that notes what it runs, and that can be held, or be slow by some seconds."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.signatures = engine.signatures
        self.open = threading.Event()
        self.open.set()
        self.runs: list[tuple[str, Arrays]] = []
        self.threads: list[str] = []
        self.seconds = 0.0
        self.closed = False

    @property
    def rows(self) -> list[int]:
        return [len(feeds[0]) for _, feeds in self.runs]

    def run(self, signature: str, feeds: Arrays, alone: bool = False) -> Arrays:
        self.runs.append((signature, feeds))
        self.threads.append(threading.current_thread().name)
        assert self.open.wait(60)
        time.sleep(self.seconds)
        return self._engine.run(signature, feeds, alone)

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    import tensorflow as tf

    from unroll.serving.engine.session_engine import SessionEngine
    from unroll.serving.export import export_saved_model

    def spec(name: str, dtype: Any, *shape: int | None) -> tf.TensorSpec:
        return tf.TensorSpec(shape, dtype, name)

    class Model(tf.Module):
        @tf.function(input_signature=[spec("ids", tf.int64, None, None), spec("weight", tf.float32, None)])
        def sums(self, ids: tf.Tensor, weight: tf.Tensor) -> dict[str, tf.Tensor]:
            tf.debugging.assert_non_negative(ids, "negative id")
            return {"ids": tf.identity(ids), "total": tf.reduce_sum(tf.cast(ids, tf.float32), 1) * weight}

        @tf.function(input_signature=[spec("text", tf.string, None, None), spec("grid", tf.float32, None, 2, None)])
        def join(self, text: tf.Tensor, grid: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"grid": tf.identity(grid), "text": tf.strings.reduce_join(text, 1, separator=" ")}

        @tf.function(input_signature=[spec("index", tf.int64, None)])
        def pick(self, index: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"picked": tf.gather(tf.constant([10.0, 20.0, 30.0]), index)}

        @tf.function(input_signature=[spec("ids", tf.int64, None)])
        def distinct(self, ids: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"distinct": tf.unique(ids).y}

        @tf.function(input_signature=[spec("x", tf.float32)])
        def double(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": tf.multiply(x, 2.0)}

    model = Model()
    names = ("sums", "join", "pick", "distinct", "double")
    directory = export_saved_model(
        model,
        {name: getattr(model, name) for name in names},
        tmp_path_factory.mktemp("batching") / "1",
        name="batching",
        warmup_requests=[("double", {"x": np.float32(1)})],
    )
    loaded = SessionEngine(directory)
    yield loaded
    loaded.close()


@contextlib.asynccontextmanager
async def batching(
    engine: Any, metrics: Metrics | None = None, **parameters: Any
) -> AsyncIterator[tuple[Gated, Callable[..., Any]]]:
    """A batcher, of one thread unless the parameters say otherwise; gives its engine, and what submits a request."""
    gated = Gated(engine)
    batcher = Batcher(gated, BatchingParameters(**{"num_batch_threads": 1, **parameters}), metrics)

    def submit(signature: str, *feeds: Any, size: int = 8) -> "asyncio.Future[Arrays]":
        return batcher.submit(engine.signatures[signature], [np.asarray(array) for array in feeds], size)

    try:
        yield gated, submit
    finally:
        gated.open.set()
        await batcher.close()
    assert gated.closed


async def hold(gated: Gated, submit: Callable[..., Any]) -> "asyncio.Future[Arrays]":
    """Keeps the engine busy until it is opened."""
    gated.open.clear()
    running = submit("double", np.float32(1))
    await eventually(lambda: gated.runs)
    gated.runs.clear()
    return running


async def eventually(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


def sums(*rows: list[int]) -> tuple[Any, Any]:
    return np.array(rows, np.int64), np.ones(len(rows), np.float32)


def index(*rows: int) -> Any:
    return np.array(rows, np.int64)
