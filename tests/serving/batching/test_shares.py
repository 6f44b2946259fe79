"""Waiting rows are divided over idle threads where each part is worth one."""

import asyncio
from typing import Any

import numpy as np
import pytest

from tests.batching_fixtures import Gated, batching, eventually, index, sums
from unroll.serving.batching.batcher import Batcher
from unroll.serving.batching.parameters import BatchingParameters
from unroll.serving.batching.shares import WORTH, Shares
from unroll.serving.engine.cores import cores

needs_two_cores = pytest.mark.skipif(cores() < 2, reason="there is one core")


def test_what_is_not_known_to_take_long_is_not_divided() -> None:
    assert Shares().divided(1000, threads=8) == 1000


def test_each_part_is_worth_a_thread() -> None:
    shares = Shares()
    shares.note(64, 4 * WORTH)
    assert [shares.divided(64, threads) for threads in (1, 2, 3, 4, 5)] == [64, 32, 22, 16, 16]
    assert shares.divided(70, 2) == 35  # of the same size as 64
    assert shares.divided(300, 2) == 150  # takes as long at least
    assert shares.divided(31, 2) == 31  # not known


def test_what_is_expected_follows_the_latest_runs() -> None:
    shares = Shares()
    shares.note(16, 10 * WORTH)
    for _ in range(30):
        shares.note(16, WORTH / 10)
    assert shares.divided(16, 2) == 16


@pytest.mark.parametrize(
    ("quota", "expected"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", None), ("", None)]
)
def test_a_container_has_the_cores_of_its_share(tmp_path: Any, quota: str, expected: int | None) -> None:
    file = tmp_path / "cpu.max"
    assert cores(file) == cores(tmp_path)  # neither is there
    file.write_text(quota)
    assert cores(file) == (cores(tmp_path) if expected is None else min(expected, cores(tmp_path)))


@needs_two_cores
async def test_rows_that_take_long_run_on_all_cores(engine: Any) -> None:
    async with batching(engine, num_batch_threads=None) as (gated, submit):
        gated.seconds = 0.02
        await submit("pick", np.zeros(64, np.int64))
        gated.runs.clear()
        gated.open.clear()
        answers = [submit("pick", index(row % 3)) for row in range(64)]
        await eventually(lambda: len(gated.runs) == min(cores(), 10))
        assert sum(gated.rows) >= 64 - cores()
        assert max(gated.rows) <= -(-64 // min(cores(), 10))
        assert len(set(gated.threads[-2:])) == 2
        gated.open.set()
        assert [float(picked[0]) for (picked,) in await asyncio.gather(*answers)] == [
            [10.0, 20.0, 30.0][row % 3] for row in range(64)
        ]


@needs_two_cores
async def test_nobody_waits_for_a_run_that_may_take_long(engine: Any) -> None:
    async with batching(engine, num_batch_threads=None) as (gated, submit):
        for _ in range(3):
            await submit("sums", *sums([1, 2]))
        gated.open.clear()
        scalar = submit("double", np.float32(1))  # of a number of steps, say, the time may depend
        await eventually(lambda: gated.runs[-1][0] == "double")
        other = submit("sums", *sums([1, 2]))
        await eventually(lambda: gated.runs[-1][0] == "sums")
        gated.open.set()
        await asyncio.gather(scalar, other)


@needs_two_cores
async def test_who_waits_for_a_run_is_not_forgotten_when_it_takes_longer_than_expected(engine: Any) -> None:
    batcher = Batcher(gated := Gated(engine), BatchingParameters())
    signature, feeds = engine.signatures["pick"], [index(1)]
    for _ in range(4):  # fewer than prove that it may run on the loop's own thread
        await batcher.submit(signature, feeds, 8)
    gated.runs.clear()
    gated.open.clear()
    first = batcher.submit(signature, feeds, 8)
    await eventually(lambda: gated.runs)
    second = batcher.submit(signature, feeds, 8)
    await eventually(lambda: len(gated.runs) == 2)
    gated.open.set()
    await asyncio.gather(first, second)
    await batcher.close()
