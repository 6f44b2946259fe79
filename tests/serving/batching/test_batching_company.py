"""Who else is in a batch makes no difference to an answer."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.batching_fixtures import batching
from unroll.serving.batching.padding import Arrays
from unroll.serving.protocol.status import StatusError

REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["sums", "pick", "distinct", "double"]),
        st.integers(0, 7),  # rows
        st.integers(0, 5),  # length
        st.sampled_from([None, None, None, 0, 1, 12]),  # turns of the loop after which it is cancelled
        st.sampled_from([False, False, False, True]),  # whether it is at fault
        st.integers(0, 2),  # turns of the loop before it is sent
    ),
    max_size=12,
)
PARAMETERS = st.fixed_dictionaries(
    {
        "allowed_batch_sizes": st.sampled_from([(), (8,), (2, 5, 8)]),
        "batch_timeout_micros": st.sampled_from([0, 0, 1000]),
        "num_batch_threads": st.sampled_from([1, 2, None]),
        "pad_variable_length_inputs": st.booleans(),
        "length_buckets": st.sampled_from([(), (2, 4)]),
    },
    optional={"max_execution_batch_size": st.sampled_from([3, 8])},
)


def feeds_of(signature: str, rows: int, length: int, fault: bool) -> Arrays:
    if signature == "double":
        return [np.float32(length)]
    if signature == "sums":
        ids = np.arange(rows * length, dtype=np.int64).reshape(rows, length) * (-1 if fault else 1)
        return [ids, np.arange(rows, dtype=np.float32)]
    return [np.arange(rows, dtype=np.int64) % 3 + (5 if fault else 0)]


@settings(max_examples=100, deadline=None)
@given(requests=REQUESTS, parameters=PARAMETERS)
def test_the_answer_in_company_is_the_answer_alone(engine: Any, requests: list[Any], parameters: Any) -> None:
    longest = parameters.get("max_execution_batch_size", 8)  # a longer request runs in parts

    def alone(signature: str, feeds: Arrays) -> Any:
        try:
            return engine.run(signature, feeds)
        except StatusError as error:
            return error.code, error.message

    async def ask(submit: Callable[..., Any], request: Any) -> None:
        signature, rows, length, cancelled, fault, turns = request
        if signature == "distinct":
            rows = min(rows, longest)  # what it answers in parts cannot be put together
        feeds = feeds_of(signature, rows, length, fault)
        for _ in range(turns):
            await asyncio.sleep(0)
        answer = submit(signature, *feeds)
        if cancelled is not None:
            for _ in range(cancelled):
                await asyncio.sleep(0)
            answer.cancel()
            await asyncio.wait([answer])
            if answer.cancelled():
                return
        try:
            got = await answer
        except StatusError as error:
            got = (error.code, error.message)
        wanted = alone(signature, feeds)
        if isinstance(wanted, tuple) or isinstance(got, tuple):
            assert got[0] is wanted[0]
            if rows == 1 and not parameters["allowed_batch_sizes"]:  # else it may name others, or fillings
                assert got[1] == wanted[1]
            return
        for mine, theirs in zip(got, wanted, strict=True):
            if not rows and signature != "double":  # sizes that only a run can tell are 0
                assert (mine.dtype, mine.ndim, len(mine)) == (theirs.dtype, theirs.ndim, 0)
                continue
            if mine.ndim == 2 and parameters["pad_variable_length_inputs"]:
                assert not mine[:, length:].any()
                mine = mine[:, :length]
            np.testing.assert_array_equal(mine, theirs)

    async def all_of_them() -> None:
        padded = {"padding_values": {"ids": "0"}} if parameters["pad_variable_length_inputs"] else {}
        async with batching(engine, max_batch_size=8, **parameters, **padded) as (_, submit):
            async with asyncio.timeout(60):
                await asyncio.gather(*(ask(submit, request) for request in requests))

    asyncio.run(all_of_them())
