"""Requests in one batch: a real SavedModel behind the queue, and what each request is answered."""

import asyncio
import functools
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import numpy as np
import pytest

from tests.batching_fixtures import Gated, batching, eventually, hold, index, sums
from tests.serving_fixtures import until
from unroll.serving.batching.batcher import Batcher
from unroll.serving.batching.parameters import BatchingParameters
from unroll.serving.batching.threads import Threads
from unroll.serving.protocol.status import StatusError

FULL = "The batch scheduling queue to which this task was submitted is full"


async def test_requests_that_wait_run_as_one_and_each_gets_its_own_rows(engine: Any) -> None:
    async with batching(engine) as (gated, submit):
        running = await hold(gated, submit)
        answers = [submit("pick", index(0)), submit("pick", index(1, 2)), submit("pick", index(2))]
        gated.open.set()
        assert [list(picked) for (picked,) in await asyncio.gather(*answers)] == [[10], [20, 30], [30]]
        assert gated.rows == [4]
        assert (await running)[0] == 2


async def test_no_rows_run_alone_and_keep_the_graphs_shapes(engine: Any) -> None:
    async with batching(engine, allowed_batch_sizes=(4, 256), batch_timeout_micros=10**9) as (gated, submit):
        (picked,) = await submit("pick", index())
        assert (picked.shape, picked.dtype) == ((0,), np.float32)
        grid, text = await submit("join", np.empty((0, 2, 5), np.float32), np.empty((0, 3), object))
        assert (grid.shape, grid.dtype, text.shape, text.dtype) == ((0, 2, 5), np.float32, (0,), object)
        assert gated.rows == [0, 0]


async def test_a_graph_that_needs_a_row_gives_none_for_none(engine: Any) -> None:
    class Picky(type(engine)):  # type: ignore[misc]
        def __init__(self) -> None:
            self.signatures = engine.signatures

        def run(self, signature: str, feeds: Any) -> Any:
            raise StatusError(grpc.StatusCode.INVALID_ARGUMENT, "there is no row")

        def close(self) -> None: ...

    async with batching(Picky()) as (_, submit):
        grid, text = await submit("join", np.empty((0, 2, 5), np.float32), np.empty((0, 3), object))
        assert (grid.shape, grid.dtype, text.shape, text.dtype) == ((0, 2, 0), np.float32, (0,), object)


async def test_scalars_run_alone_and_wait_for_nobody(engine: Any) -> None:
    parameters = {"batch_timeout_micros": 10**9, "allowed_batch_sizes": (4, 256), "pad_variable_length_inputs": True}
    async with batching(engine, **parameters) as (gated, submit):
        answers = await asyncio.gather(*(submit("double", np.float32(value)) for value in range(5)))
        assert [float(doubled) for (doubled,) in answers] == [0, 2, 4, 6, 8]
        assert len(gated.runs) == 5


async def test_inputs_that_cannot_be_parted_by_row_are_the_ops_own_matter(engine: Any) -> None:
    async with batching(engine, allowed_batch_sizes=(4, 256), pad_variable_length_inputs=True) as (_, submit):
        ids, total = await submit("sums", [[1, 2], [3, 4]], np.float32([2]))
        assert (ids.tolist(), total.tolist()) == ([[1, 2], [3, 4]], [6, 14])
        with pytest.raises(StatusError) as refused:
            await submit("sums", np.int64(1), np.float32([2]))
        assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_only_who_is_at_fault_is_refused(engine: Any) -> None:
    async with batching(engine) as (gated, submit):
        await hold(gated, submit)
        answers = [submit("pick", index(7 if request in (3, 12) else request % 3)) for request in range(16)]
        gated.open.set()
        outcomes = await asyncio.gather(*answers, return_exceptions=True)
        with pytest.raises(StatusError) as alone:
            await submit("pick", index(7))
    for request, outcome in enumerate(outcomes):
        if request in (3, 12):
            assert isinstance(outcome, StatusError)
            assert (outcome.code, outcome.message) == (alone.value.code, alone.value.message)
        else:
            assert list(outcome[0]) == [[10.0, 20.0, 30.0][request % 3]]


async def test_outputs_without_rows_are_each_requests_own(engine: Any) -> None:
    async with batching(engine, allowed_batch_sizes=(8, 256)) as (gated, submit):
        await hold(gated, submit)
        answers = [submit("distinct", index(5, 5, 6)), submit("distinct", index(5, 7)), submit("distinct", index(1))]
        gated.open.set()
        assert [list(found) for (found,) in await asyncio.gather(*answers)] == [[5, 6], [5, 7], [1]]


async def test_who_cancels_leaves_the_queue_and_costs_nothing(engine: Any) -> None:
    async with batching(engine, max_batch_size=2, max_enqueued_batches=1) as (gated, submit):
        running = await hold(gated, submit)
        first, second = submit("pick", index(0)), submit("pick", index(1))
        with pytest.raises(StatusError):
            submit("pick", index(2))
        first.cancel()
        third = submit("pick", index(2))
        second.cancel()
        third.cancel()
        late = submit("pick", index(0))
        running.cancel()
        gated.open.set()
        assert list((await late)[0]) == [10]
        assert gated.rows == [1]


async def test_who_cancels_frees_bytes_and_requests(engine: Any) -> None:
    async with batching(engine, max_queued_requests=2, max_queued_bytes=100) as (gated, submit):
        await hold(gated, submit)
        waiting = submit("pick", index(0), size=90)
        with pytest.raises(StatusError, match=f"^{FULL}$"):
            submit("pick", index(1), size=11)
        other = submit("pick", index(1), size=10)
        with pytest.raises(StatusError, match=f"^{FULL}$"):
            submit("pick", index(1), size=0)
        waiting.cancel()
        last = submit("pick", index(2), size=90)
        gated.open.set()
        assert [list(picked) for (picked,) in await asyncio.gather(other, last)] == [[20], [30]]


async def test_a_deadline_leaves_the_queue_too(engine: Any) -> None:
    async with batching(engine) as (gated, submit):
        await hold(gated, submit)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(submit("pick", index(0)), 0.01)
        gated.open.set()
        assert list((await submit("pick", index(1)))[0]) == [20]
        assert [feeds[0].tolist() for _, feeds in gated.runs] == [[1]]


async def test_a_full_queue_is_one_signatures(engine: Any) -> None:
    async with batching(engine, max_batch_size=4, max_enqueued_batches=2) as (gated, submit):
        await hold(gated, submit)
        answers = [submit("pick", index(0, 1, 2)), submit("pick", index(0, 1, 2)), submit("pick", index(0, 1))]
        with pytest.raises(StatusError) as refused:
            submit("pick", index(0))
        assert refused.value.code is grpc.StatusCode.UNAVAILABLE
        assert refused.value.message == f"{FULL}; currently 2 batches enqueued and max_enqueued_batches is 2"
        answers.append(submit("distinct", index(1)))
        gated.open.set()
        await asyncio.gather(*answers)
        await submit("pick", index(0, 1, 2, 0))
        with pytest.raises(StatusError) as refused:
            submit("pick", index(0, 1, 2, 0, 1))
        assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.message == "Task size 5 is larger than maximum input batch size 4"


async def test_a_batch_waits_for_its_timeout_unless_it_is_full(engine: Any) -> None:
    async with batching(engine, max_batch_size=3, batch_timeout_micros=60_000_000) as (gated, submit):
        answers = [submit("pick", index(0)), submit("pick", index(1))]
        await asyncio.sleep(0.02)
        assert not gated.runs, "the engine is idle, and yet they wait"
        answers.append(submit("pick", index(2)))
        await asyncio.gather(*answers)
        assert gated.rows == [3]
        left = submit("pick", index(1))  # `close` does not wait a minute for it
    assert list((await left)[0]) == [20]


async def test_a_timeout_ends(engine: Any) -> None:
    async with batching(engine, batch_timeout_micros=30_000) as (gated, submit):
        start = time.monotonic()
        cancelled = submit("pick", index(2))
        first = submit("pick", index(0))
        await asyncio.sleep(0.015)
        cancelled.cancel()
        second = submit("pick", index(1))
        await asyncio.gather(first, second)
        assert time.monotonic() - start > 0.028  # the loop's clock has milliseconds
        assert gated.rows == [2], "the second's company came while the first waited"


async def test_batches_have_an_allowed_size(engine: Any) -> None:
    async with batching(engine, max_batch_size=8, allowed_batch_sizes=(4, 8)) as (gated, submit):
        await hold(gated, submit)
        answers = [submit("sums", *sums([1, 1])), submit("sums", *sums([2, 2], [3, 3]))]
        gated.open.set()
        totals = [total.tolist() for _, total in await asyncio.gather(*answers)]
        assert totals == [[2], [4, 6]]
        ((_, (ids, _)),) = gated.runs
        assert ids.tolist() == [[1, 1], [2, 2], [3, 3], [2, 2]], "filled with the last request's first row"
        answer = await submit("sums", *sums(*[[row] for row in range(5)]))
        assert answer[1].tolist() == [0, 1, 2, 3, 4]
        assert gated.rows[1:] == [8]


SPLITTING = {"max_batch_size": 10, "enable_large_batch_splitting": True, "max_execution_batch_size": 4}


async def test_a_large_request_runs_in_parts(engine: Any) -> None:
    async with batching(engine, **SPLITTING, allowed_batch_sizes=(4,)) as (gated, submit):
        ids, weight = np.arange(20).reshape(10, 2), np.arange(10, dtype=np.float32)
        seen, total = await submit("sums", ids, weight)
        assert seen.tolist() == ids.tolist()
        assert total.tolist() == (ids.sum(1) * weight).tolist()
        assert gated.rows == [4, 4, 4]
        with pytest.raises(StatusError, match="Task size 11 is larger than maximum input batch size 10"):
            submit("pick", np.zeros(11, np.int64))
        with pytest.raises(StatusError) as refused:
            await submit("pick", index(0, 1, 2, 0, 1, 2, 0, 7))
        assert "7 is not in [0, 3)" in refused.value.message
        with pytest.raises(StatusError, match="Batched output tensor's 0th dimension does not equal") as refused:
            await submit("distinct", index(1, 1, 1, 1, 2))
        assert refused.value.code is grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_a_large_request_that_is_cancelled_leaves_as_a_whole(engine: Any, turns: int) -> None:
    async with batching(engine, **SPLITTING, max_enqueued_batches=3) as (gated, submit):
        await hold(gated, submit)
        large = submit("pick", np.zeros(10, np.int64))
        for _ in range(turns):
            await asyncio.sleep(0)
        with pytest.raises(StatusError, match="currently 3 batches enqueued"):
            submit("pick", index(0, 0, 0))
        large.cancel()
        await asyncio.wait([large])
        answer = submit("pick", np.ones(10, np.int64))
        gated.open.set()
        assert (await answer)[0].tolist() == [20] * 10
        assert gated.rows == [4, 4, 2]


async def test_by_default_a_request_has_any_number_of_rows_and_takes_turns_with_others(engine: Any) -> None:
    async with batching(engine) as (gated, submit):
        await hold(gated, submit)
        large, small = submit("pick", np.arange(1000) % 3), submit("pick", index(1))
        gated.open.set()
        assert (await large)[0].tolist() == [[10, 20, 30][row % 3] for row in range(1000)]
        assert list((await small)[0]) == [20]
        assert gated.rows == [256, 1, 256, 256, 232]


async def test_the_parts_of_a_large_request_wait_as_one(engine: Any) -> None:
    async with batching(engine, max_queued_requests=2) as (gated, submit):
        await hold(gated, submit)
        answers = [submit("pick", np.zeros(1000, np.int64)), submit("pick", index(0))]
        with pytest.raises(StatusError, match=f"^{FULL}$"):
            submit("pick", index(0))
        answers.pop().cancel()
        answers.append(submit("pick", np.zeros(1000, np.int64)))
        gated.open.set()
        await asyncio.gather(*answers)
        gated.open.clear()
        answers = [submit("pick", index(0)) for _ in range(2)]
        gated.open.set()
        await asyncio.gather(*answers)


async def test_arrays_count_where_they_are_larger_than_their_message(engine: Any) -> None:
    async with batching(engine, max_queued_bytes=1000) as (gated, submit):
        await hold(gated, submit)
        alone = submit("pick", np.zeros(200, np.int64), size=8)
        with pytest.raises(StatusError, match=f"^{FULL}$"):
            submit("pick", index(0), size=8)
        alone.cancel()
        answers = [submit("pick", np.zeros(60, np.int64), size=8) for _ in range(2)]
        with pytest.raises(StatusError, match=f"^{FULL}$"):
            submit("pick", np.zeros(60, np.int64), size=8)
        gated.open.set()
        await asyncio.gather(*answers)


async def test_large_and_small_requests_do_not_run_together(engine: Any) -> None:
    async with batching(engine) as (gated, submit):
        await hold(gated, submit)
        answers = [submit("pick", index(0), size=size) for size in (10, 500, 600, 100_000)]
        gated.open.set()
        await asyncio.gather(*answers)
        assert gated.rows == [2, 1, 1]


async def test_groups_take_turns(engine: Any) -> None:
    async with batching(engine, max_batch_size=2) as (gated, submit):
        await hold(gated, submit)
        answers = [submit("pick", index(0)) for _ in range(6)] + [submit("sums", *sums([1])) for _ in range(2)]
        gated.open.set()
        await asyncio.gather(*answers)
        assert [name for name, _ in gated.runs][:3] == ["pick", "sums", "pick"]


async def test_batches_run_at_the_same_time_in_named_threads(engine: Any) -> None:
    async with batching(engine, num_batch_threads=2, thread_pool_name="pool") as (gated, submit):
        await hold(gated, submit)
        other = submit("pick", index(0))
        await eventually(lambda: gated.runs)
        assert len(set(gated.threads)) == 2
        assert all(name.startswith("pool") for name in gated.threads)
        gated.open.set()
        await other
    until(lambda: not any(thread.name.startswith("pool") for thread in threading.enumerate()))


async def until_run_here(gated: Gated, ask: Callable[[], Awaitable[Any]]) -> None:
    """Asks one request after another until one needs no other thread."""
    async with asyncio.timeout(60):
        while gated.threads[-1:] != ["MainThread"]:
            await ask()


async def test_what_was_long_on_the_event_loop_is_not_soon_thought_to_be_quick_again(engine: Any) -> None:
    async with batching(engine, thread_pool_name="pool") as (gated, submit):
        ask = functools.partial(submit, "sums", *sums([1, 2]))
        long_here = False
        while not long_here:
            await until_run_here(gated, ask)
            gated.seconds = 0.05
            await ask()
            gated.seconds = 0.0
            long_here = gated.threads[-1] == "MainThread"
        for _ in range(16):
            await ask()
        assert set(gated.threads[-16:]) == {"pool_0"}


async def test_quick_runs_of_a_lone_client_need_no_other_thread(engine: Any) -> None:
    async with batching(engine, thread_pool_name="pool") as (gated, submit):
        ask = functools.partial(submit, "sums", *sums([1, 2]))
        for _ in range(8):
            await ask()
        assert set(gated.threads) == {"pool_0"}
        await until_run_here(gated, ask)
        assert (await ask())[1].tolist() == [3.0]
        await asyncio.gather(ask(), ask())
        assert gated.rows[-1] == 2
        assert gated.threads[-1] == "pool_0"  # company
        await ask()
        assert gated.threads[-1] == "pool_0"

        await until_run_here(gated, ask)
        await submit("sums", *sums([1, 2]), size=100)
        assert gated.threads[-1] == "pool_0"  # larger than any that is known to be quick

        await until_run_here(gated, ask)
        gated.seconds = 0.01
        for _ in range(2):
            await ask()
        assert gated.threads[-1] == "pool_0"  # the one before was slow

        gated.seconds = 0.0
        for _ in range(64):
            await submit("double", np.float32(1))
        assert set(gated.threads[-64:]) == {"pool_0"}  # a scalar


async def test_closing_runs_what_waits(engine: Any) -> None:
    async with batching(engine, max_batch_size=1) as (gated, submit):
        await hold(gated, submit)
        answers = [submit("pick", index(row % 3)) for row in range(5)]
    assert [float(answer.result()[0][0]) for answer in answers] == [10, 20, 30, 10, 20]


async def test_another_engine_takes_over_and_the_one_before_is_closed_when_its_last_run_ends(engine: Any) -> None:
    gated, other = Gated(engine), Gated(engine)
    batcher = Batcher(gated, BatchingParameters(num_batch_threads=2))

    def submit(*rows: int) -> "asyncio.Future[Any]":
        return batcher.submit(engine.signatures["pick"], [index(*rows)], 8)

    gated.open.clear()
    held = submit(0)
    await eventually(lambda: gated.runs)
    replacing = asyncio.create_task(batcher.replace(other))
    for _ in range(3):  # while the old one still runs
        assert (await submit(1))[0].tolist() == [20.0]
    assert (len(gated.runs), len(other.runs)) == (1, 3)
    assert not gated.closed
    gated.open.set()
    await replacing
    assert gated.closed
    assert (await held)[0].tolist() == [10.0]
    assert not other.closed
    await batcher.close()
    assert other.closed


async def test_texts_count_by_their_length(engine: Any) -> None:
    def join(text: bytes, rows: int) -> tuple[Any, Any]:
        return np.zeros((rows, 2, 0), np.float32), np.broadcast_to(np.array([text], object), (rows, 1))

    async with batching(engine, max_queued_bytes=10_000) as (gated, submit):
        await hold(gated, submit)
        answers = [submit("join", *join(b"x" * 4000, 1)), submit("join", *join(b"x", 200))]
        with pytest.raises(StatusError, match=f"^{FULL}$"):
            submit("join", *join(b"x" * 1000, 3))
        answers.append(submit("join", *join(b"x" * 300, 1)))
        gated.open.set()
        await asyncio.gather(*answers)


async def test_each_thread_does_what_it_is_told_to() -> None:
    threads, names = Threads("several", 3), []
    for _ in range(2):
        await threads.each(lambda: names.append(threading.current_thread().name))
    threads.close()
    assert sorted(names) == sorted(2 * [f"several_{number}" for number in range(3)])
    assert threads.all_idle
