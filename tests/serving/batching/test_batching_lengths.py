"""Requests of different lengths: apart, padded, in buckets."""

import asyncio
import contextlib
import tracemalloc
from typing import Any

import numpy as np
import pytest

from tests.batching_fixtures import Gated, batching, hold, sums
from unroll.errors import UserError
from unroll.serving.batching.batcher import Batcher
from unroll.serving.batching.parameters import BatchingParameters
from unroll.serving.protocol.status import StatusError


async def test_mixed_lengths_fail_nobody(engine: Any) -> None:
    async with batching(engine) as (gated, submit):
        await hold(gated, submit)
        answers = [submit("sums", *sums([1] * length)) for length in (1, 3, 2, 3, 1, 0)]
        gated.open.set()
        assert [total.tolist() for _, total in await asyncio.gather(*answers)] == [[1], [3], [2], [3], [1], [0]]
        assert sorted(gated.rows) == [1, 1, 2, 2]


async def test_lengths_are_padded_with_each_tensors_own_first_element(engine: Any) -> None:
    async with batching(engine, pad_variable_length_inputs=True) as (gated, submit):
        await hold(gated, submit)
        answers = [submit("sums", *sums([7, 1, 2])), submit("sums", *sums([5], [6])), submit("sums", *sums([]))]
        words = submit("join", np.ones((1, 2, 1), np.float32), np.array([[b"a", b"b"]], object))
        more = submit("join", np.full((1, 2, 3), 4, np.float32), np.array([[b"c"]], object))
        gated.open.set()
        (three, _), (one, padded), (empty, _) = await asyncio.gather(*answers)
        assert three.tolist() == [[7, 1, 2]]
        assert one.tolist() == [[5, 5, 5], [6, 5, 5]], "the tensor's first element, in its every row"
        assert padded.tolist() == [15, 16]
        assert empty.shape == (1, 0), "nothing to be padded with: it ran by itself"
        assert [text.tolist() for _, text in (await words, await more)] == [[b"a b"], [b"c c"]]
        assert (await words)[0].tolist() == [[[1, 1, 1], [1, 1, 1]]]
        assert len(gated.runs) == 3


async def test_a_padding_value_for_an_input(engine: Any) -> None:
    values = {"ids": "0", "text": "", "grid": "-0.5", "no such input": "1"}
    async with batching(engine, pad_variable_length_inputs=True, padding_values=values) as (gated, submit):
        await hold(gated, submit)
        answers = [submit("sums", *sums([7, 1, 2])), submit("sums", *sums([5], [6])), submit("sums", *sums([]))]
        words = submit("join", np.ones((1, 2, 1), np.float32), np.array([[b"a", b"b"]], object))
        more = submit("join", np.full((1, 2, 2), 4, np.float32), np.array([[b"c"]], object))
        gated.open.set()
        seen = [ids.tolist() for ids, _ in await asyncio.gather(*answers)]
        assert seen == [[[7, 1, 2]], [[5, 0, 0], [6, 0, 0]], [[0, 0, 0]]]
        assert [text.tolist() for _, text in (await words, await more)] == [[b"a b"], [b"c "]]
        assert (await words)[0].tolist() == [[[1, -0.5], [1, -0.5]]]
        assert len(gated.runs) == 2


@pytest.mark.parametrize("value", ["none", "0.5", str(2**63)])
async def test_a_padding_value_that_its_input_cannot_hold(engine: Any, value: str) -> None:
    parameters = BatchingParameters(pad_variable_length_inputs=True, padding_values={"ids": value})
    with pytest.raises(UserError, match=f"--padding_values: input 'ids' of .* is int64; received '{value}'. "):
        Batcher(Gated(engine), parameters)


async def test_only_lengths_of_the_same_bucket_run_together(engine: Any) -> None:
    buckets = {"pad_variable_length_inputs": True, "padding_values": {"ids": "0"}, "length_buckets": (2, 4)}
    async with batching(engine, **buckets) as (gated, submit):
        await hold(gated, submit)
        answers = [submit("sums", *sums([1] * length)) for length in (1, 2, 3, 4, 5, 6, 5)]
        answers.append(submit("sums", *sums([1]), size=1 << 20))
        gated.open.set()
        assert [int(total[0]) for _, total in await asyncio.gather(*answers)] == [1, 2, 3, 4, 5, 6, 5, 1]
        shapes = [feeds[0].shape for _, feeds in gated.runs]
        assert shapes == [(3, 2), (2, 4), (2, 5), (1, 6)], "beyond the last edge, only equals"


async def test_lengths_are_padded_up_to_the_buckets_edge_when_asked_for(engine: Any) -> None:
    edges = {"pad_variable_length_inputs": True, "length_buckets": (2, 4), "pad_to_bucket": True}
    async with batching(engine, **edges) as (_, submit):
        ids, _ = await submit("sums", *sums([3, 1, 2]))
        assert ids.tolist() == [[3, 1, 2, 3]], "alone as in company"
        grid, _ = await submit("join", np.ones((1, 2, 1), np.float32), np.array([[b"a"]], object))
        assert grid.shape == (1, 2, 2), "the size that the signature fixes stays"
        ids, _ = await submit("sums", *sums([1, 2, 3, 4, 5]))
        assert ids.tolist() == [[1, 2, 3, 4, 5]]


async def test_sizes_that_the_signature_fixes_are_not_padded(engine: Any) -> None:
    async with batching(engine, pad_variable_length_inputs=True) as (gated, submit):
        await hold(gated, submit)
        text = np.array([[b"a"]], object)
        right = submit("join", np.ones((1, 2, 1), np.float32), text)
        wrong = submit("join", np.ones((1, 1, 1), np.float32), text)
        gated.open.set()
        assert (await right)[0].shape == (1, 2, 1)
        with contextlib.suppress(StatusError):
            assert (await wrong)[0].shape == (1, 1, 1)


async def test_sizes_that_differ_too_much_are_not_padded_to_each_other(engine: Any) -> None:
    """A long row and a row of long text would make every row, or every element, so: gigabytes of a few kilobytes."""
    async with batching(engine, pad_variable_length_inputs=True) as (gated, submit):
        await hold(gated, submit)
        grid = np.ones((1, 2, 1), np.float32)
        answers = [
            submit("sums", *sums(*[[1]] * 127, [0])),
            submit("sums", *sums([1] * (1 << 20))),
            submit("join", grid, np.array([[b"a"] * 1000], object)),
            submit("join", grid, np.array([[b"b" * (1 << 20)]], object)),
        ]
        tracemalloc.start()
        gated.open.set()
        short, long, joined, text = await asyncio.gather(*answers)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert [total.tolist()[0] for _, total in (short, long)] == [1, 1 << 20]
        assert [len(one[1][0]) for one in (joined, text)] == [1999, 1 << 20]
        assert sorted(gated.rows) == [1, 1, 1, 128], "each by itself"
        assert peak < 100 << 20


async def test_a_batch_is_filled_up_only_while_that_costs_little(engine: Any) -> None:
    async with batching(engine, allowed_batch_sizes=(64,), max_batch_size=64) as (gated, submit):
        ids, _ = await submit("sums", *sums([1, 2]))
        assert (ids.tolist(), gated.rows) == ([[1, 2]], [64])
        tracemalloc.start()
        ids, _ = await submit("sums", *sums([1] * (1 << 20)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (ids.shape, gated.rows) == ((1, 1 << 20), [64, 1]), "64 such rows are half a gigabyte"
        assert peak < 100 << 20


async def test_a_rare_shape_is_not_padded_to_edges_that_make_it_huge(engine: Any) -> None:
    edges = {"pad_variable_length_inputs": True, "length_buckets": (2, 1 << 26), "pad_to_bucket": True}
    async with batching(engine, **edges) as (_, submit):
        ids, _ = await submit("sums", *sums([3, 1, 2]))
        assert ids.tolist() == [[3, 1, 2]]
