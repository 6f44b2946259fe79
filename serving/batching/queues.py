"""What a batcher holds: requests that wait, in groups of those that may run together; how a batch of them runs."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from unroll.serving.batching.padding import Arrays
from unroll.serving.batching.runner import Runner, joined
from unroll.serving.batching.shares import Shares

PROVEN = 8
"""Quick runs of lone requests, one after another, before the next is thought to be one too."""


@dataclass(eq=False, slots=True)
class Queue:
    """What waits for one signature; and how many of its latest runs were quick ones of a lone request, how large."""

    runner: Runner
    shares: Shares = field(default_factory=Shares)
    rows: int = 0
    quick_runs: int = 0
    quick_bytes: int = 0
    proof: int = PROVEN  # quick runs that it takes: more, each time that one was long all the same


@dataclass(eq=False, slots=True)
class Group:
    """Requests that may run together, or the parts of a large one; or one alone, which is its own key."""

    key: Hashable
    queue: Queue
    of_parts: bool
    rows: int = 0
    requests: "deque[Request]" = field(default_factory=deque)


class Request(asyncio.Future[Arrays]):
    """A request, and the promise of its outputs: one object, so that giving it up empties its place at once."""

    __slots__ = ("due", "feeds", "group", "queued", "rows", "size", "withdraw")

    withdraw: "Callable[[Request], None]"  # called when it is cancelled
    group: Group
    feeds: Arrays
    rows: int
    size: int
    queued: float  # in seconds of `time.monotonic`
    due: float  # when it has waited long enough for company, in the loop's time

    def cancel(self, msg: Any = None) -> bool:
        cancelled = super().cancel(msg)
        if cancelled:
            self.withdraw(self)
        return cancelled


def settle(batch: list[Request], outcomes: Sequence[Arrays | BaseException]) -> None:
    for request, outcome in zip(batch, outcomes, strict=True):
        if request.done():  # cancelled while it ran
            continue
        if isinstance(outcome, BaseException):
            request.set_exception(outcome)
        else:
            request.set_result(outcome)


def expected_seconds(group: Group, batch: list[Request]) -> float:
    """Seconds that a batch takes; without end where nothing is known of its like."""
    if group.key is batch[0]:  # of a scalar, such as a number of steps, the time may depend
        return math.inf
    return group.queue.shares.expected(sum([request.rows for request in batch])) or math.inf


Ran = tuple[list[Arrays | Exception], float]
"""Each request's outputs, or why it has none; and the seconds that the batch took."""


def run_batch(group: Group, batch: list[Request], alone: bool) -> Ran:
    started = time.perf_counter()
    runner = group.queue.runner
    if group.key is batch[0]:
        outcomes = [runner.run_alone(batch[0].feeds, alone)]
    else:
        outcomes = runner.run_together([request.feeds for request in batch], alone)
    return outcomes, time.perf_counter() - started


async def together(parts: list[Request]) -> Arrays:
    """The outputs of a large request, from those of its parts."""
    return joined(await asyncio.gather(*parts), [part.rows for part in parts])
