"""Requests that are cancelled at any moment, whatever their size, and other mishaps: the queue moves on."""

import asyncio
import contextlib
import json
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests.batching_fixtures import batching, index
from tests.serving.running_versions import ask, eventually, put, running, spec
from tests.serving_fixtures import Server
from unroll.serving import Client
from unroll.serving.batching.batcher import Batcher
from unroll.serving.batching.parameters import BatchingParameters
from unroll.serving.protocol import protos, tensors
from unroll.serving.server.ports import free_port
from unroll.serving.versions import served_models
from unroll.serving.versions.model_config import ModelConfig

VALUES = np.array([10.0, 20.0, 30.0], np.float32)


async def cancel_some(batcher: Batcher, engine: Any, seconds: float, seed: int) -> int:
    """Sends requests of all sizes and cancels most of them at all moments; returns how many were sent."""
    rng = random.Random(seed)
    end = time.monotonic() + seconds
    sent = 0

    async def one() -> None:
        rows = rng.choice([0, 1, 2, 255, 256, 257, 300, 511, 512, 513, rng.randrange(2000)])
        feeds = np.arange(rows, dtype=np.int64) % 3
        answer = batcher.submit(engine.signatures["pick"], [feeds], 8)
        match rng.randrange(4):
            case 0:
                pass
            case 1:
                for _ in range(rng.randrange(20)):
                    await asyncio.sleep(0)
                answer.cancel()
            case 2:
                await asyncio.sleep(rng.random() * 4e-3)
                answer.cancel()
            case 3:
                answer.cancel()
        try:
            (picked,) = await answer
            np.testing.assert_array_equal(picked, VALUES[feeds])
        except asyncio.CancelledError:
            pass

    while time.monotonic() < end:
        crowd = rng.choice([1, 1, 1, 2, 5])
        sent += crowd
        async with asyncio.timeout(30):
            await asyncio.gather(*(one() for _ in range(crowd)))
    return sent


@pytest.mark.parametrize(
    ("seconds", "threads"),
    [(1.5, 1), (1.5, None), *(pytest.param(120, threads, marks=[pytest.mark.slow]) for threads in (1, 2, None))],
)
async def test_a_queue_moves_on_whoever_cancels_when(engine: Any, seconds: float, threads: int | None) -> None:
    batcher = Batcher(engine, BatchingParameters(num_batch_threads=threads))
    assert await cancel_some(batcher, engine, seconds, seed=threads or 0) > 100
    async with asyncio.timeout(30):
        (picked,) = await batcher.submit(engine.signatures["pick"], [index(2)], 8)
    assert (picked.tolist(), batcher.queued, batcher.overdue) == ([30.0], 0, None)


async def test_a_large_request_that_is_cancelled_while_the_engine_is_idle(engine: Any) -> None:
    async with batching(engine) as (_, submit):
        for _ in range(16):
            await submit("pick", index(0))  # quick runs of a lone client
        large = submit("pick", np.zeros(300, np.int64))
        large.cancel()
        async with asyncio.timeout(30):
            assert (await submit("pick", index(1)))[0].tolist() == [20.0]


@pytest.mark.parametrize("error", [SystemExit("an op ends the thread"), MemoryError()])
async def test_a_run_that_ends_in_no_ordinary_way_costs_its_requests_alone(engine: Any, error: BaseException) -> None:
    class Failing:
        signatures = engine.signatures
        failing = True

        def run(self, signature: str, feeds: Any, alone: bool = False) -> Any:
            if self.failing:
                raise error
            return engine.run(signature, feeds)

        def close(self) -> None:
            pass

    failing = Failing()
    batcher = Batcher(failing, BatchingParameters())
    for _ in range(2):
        with pytest.raises(BaseException) as told:  # noqa: PT011 - the very error
            async with asyncio.timeout(30):
                await batcher.submit(engine.signatures["pick"], [index(0)], 8)
        assert told.value is error
    failing.failing = False
    async with asyncio.timeout(30):
        assert (await batcher.submit(engine.signatures["pick"], [index(1)], 8))[0].tolist() == [20.0]
        await batcher.close()


async def test_metrics_that_fail_cost_one_batch_its_answer_and_no_more(engine: Any) -> None:
    class Metrics:
        failing = True

        def batched(self, *_: Any) -> None:
            if self.failing:
                raise RuntimeError("full")

    metrics = Metrics()
    batcher = Batcher(engine, BatchingParameters(), metrics)  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        await asyncio.gather(
            *(batcher.submit(engine.signatures["pick"], [index(row % 3)], 8) for row in range(3)),
            return_exceptions=True,
        )
        metrics.failing = False
        assert (await batcher.submit(engine.signatures["pick"], [index(1)], 8))[0].tolist() == [20.0]


async def test_health_follows_a_queue_that_does_not_move(
    light_exports: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "m", 1, light_exports[1])
    told: list[tuple[str, bool]] = []
    async with running(ModelConfig("m", tmp_path / "m"), told=told) as versions:
        watching = asyncio.create_task(versions.watch())
        assert await ask(versions, spec("m")) == 1
        monkeypatch.setattr(Batcher, "_dispatch", lambda self: None)
        waiting = asyncio.create_task(ask(versions, spec("m")))
        await eventually(lambda: told[-1] == ("m", False))
        monkeypatch.undo()
        assert await ask(versions, spec("m")) == 1
        assert await waiting == 1
        await eventually(lambda: told[-1] == ("m", True))
        watching.cancel()


async def test_health_does_not_follow_a_process_that_gets_no_time(
    light_exports: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look after another, without the time in between for a batch to start."""
    monkeypatch.setattr(served_models, "_WATCH_SECONDS", 0)
    put(tmp_path / "m", 1, light_exports[1])
    told: list[tuple[str, bool]] = []
    async with running(ModelConfig("m", tmp_path / "m"), told=told) as versions:
        watching = asyncio.create_task(versions.watch())
        for _ in range(5):
            assert await ask(versions, spec("m")) == 1
        watching.cancel()
        assert told == [("m", False), ("m", True)]


def test_calls_that_end_early_leave_a_server_that_answers(
    start: Callable[..., Server], exports: dict[int, Path]
) -> None:
    rest_port = free_port()
    server = start(
        *("-m", "unroll.serving.server", "--port=0", f"--rest_api_port={rest_port}", "--model_name=sample"),
        f"--model_base_path={exports[1].parent}",
    )
    texts = ["good"] * 300
    request = protos.PredictRequest()
    request.model_spec.name = "sample"
    request.inputs["text"].MergeFromString(tensors.encode(tensors.from_python(texts)))
    message = request.SerializeToString()
    body = json.dumps({"instances": texts}).encode()
    head = f"POST /v1/models/sample:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    rng = random.Random(0)
    with Client(server.address, model="sample", timeout=20) as client, grpc.insecure_channel(server.address) as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        for _ in range(150):
            calls = [predict.future(message, timeout=rng.uniform(3e-4, 6e-3)) for _ in range(rng.choice([1, 1, 4]))]
            with socket.create_connection(("127.0.0.1", rest_port)) as leaving:
                leaving.sendall(head.encode() + body)
                leaving.settimeout(rng.uniform(3e-4, 6e-3))
                with contextlib.suppress(TimeoutError):
                    leaving.recv(1)
            for call in calls:
                call.exception()
            assert client.predict({"text": ["good"]})["label"].tolist() == ["positive"]
