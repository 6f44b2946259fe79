"""Requests that arrive while the engine is busy run together, as one.

There is no timer: an idle engine starts as soon as the event loop has read what has arrived, so a lone
client does not wait for company, and under load the batches grow by themselves.
"""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
import numpy as np
from numpy.typing import NDArray

from serving.session_engine import Signature
from serving.status import StatusError, invalid

Arrays = list[NDArray[Any]]
_QUIET_TURNS = 8  # of the event loop without a new request, before a batch starts; a few microseconds each


class Engine(Protocol):
    """What runs a batch: see `serving.session_engine.SessionEngine`."""

    def run(self, signature: str, feeds: Arrays) -> Arrays: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class BatchingParameters:
    """Limits of a model version's queue.

    Args:
        max_batch_size: rows in one run, and so in one request.
        max_queued_requests: requests that wait, beyond which new ones are turned away.
        max_queued_bytes: their size in all.
        num_batch_threads: batches that run at the same time. On two cores, one leaves the other core to
            the protocol.
    """

    max_batch_size: int = 256
    max_queued_requests: int = 4096
    max_queued_bytes: int = 256 << 20
    num_batch_threads: int = 1


@dataclass(eq=False, slots=True)
class _Task:
    order: int
    signature: Signature
    feeds: Arrays
    rows: int
    size: int
    future: "asyncio.Future[Arrays]" = field(repr=False)


class Batcher:
    """The queue in front of one engine. Its methods are called in the event loop's thread.

    Args:
        engine: what runs the batches; closed with the batcher.
        parameters: the queue's limits.
    """

    def __init__(self, engine: Engine, parameters: BatchingParameters) -> None:
        self._engine = engine
        self._parameters = parameters
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(parameters.num_batch_threads, thread_name_prefix="engine")
        self._idle = parameters.num_batch_threads
        self._order = itertools.count()
        self._quiet = 0  # turns of the loop since the last request came or the last batch ended
        self._watching = False
        self._waiting: dict[Any, deque[_Task]] = {}
        self._requests = 0
        self._bytes = 0
        self._drained = asyncio.Event()
        self._drained.set()

    def submit(self, signature: Signature, feeds: Arrays, size: int) -> "asyncio.Future[Arrays]":
        """Queues one request.

        Args:
            signature: what to run.
            feeds: arrays in the signature's order.
            size: bytes of the request. Only requests of like size per row run together, since a batch
                costs as much as its longest row.

        Returns:
            The outputs in the signature's order. Cancelling it takes the request out of the queue.

        Raises:
            StatusError: INVALID_ARGUMENT for more rows than a batch holds, UNAVAILABLE for a full queue.
        """
        limits = self._parameters
        rows = len(feeds[0]) if signature.batchable else 1
        if rows > limits.max_batch_size:
            raise invalid(f"Task size {rows} is larger than maximum input batch size {limits.max_batch_size}")
        if self._requests >= limits.max_queued_requests or self._bytes + size > limits.max_queued_bytes:
            raise StatusError(
                grpc.StatusCode.UNAVAILABLE,
                "The batch scheduling queue to which this task was submitted is full",
            )
        task = _Task(next(self._order), signature, feeds, rows, size, self._loop.create_future())
        key: Any = task
        if signature.batchable:
            key = (signature.name, *(array.shape[1:] for array in feeds), _size_class(size // max(rows, 1)))
        self._waiting.setdefault(key, deque()).append(task)
        self._requests += 1
        self._bytes += size
        self._drained.clear()
        self._quiet = 0
        self._dispatch_when_quiet()
        return task.future

    async def close(self) -> None:
        """Runs what is queued, then closes the engine."""
        await self._drained.wait()
        self._threads.shutdown()
        self._engine.close()

    def _dispatch_when_quiet(self) -> None:
        """Starts a batch once the loop has read what has already arrived.

        Reading a request takes the loop several turns. An engine that took what is there after each turn
        would run many small batches, and on a busy machine take the very time in which to read the rest.
        """
        if self._idle and self._waiting and not self._watching:
            self._watching = True
            self._loop.call_soon(self._watch)

    def _watch(self) -> None:
        self._quiet += 1
        if self._quiet <= _QUIET_TURNS:
            self._loop.call_soon(self._watch)
        else:
            self._watching = False
            self._dispatch()

    def _dispatch(self) -> None:
        while self._idle and self._waiting:
            if batch := self._next_batch():
                self._idle -= 1
                self._threads.submit(self._work, batch)
        self._note_drained()

    def _note_drained(self) -> None:
        if not self._waiting and self._idle == self._parameters.num_batch_threads:
            self._drained.set()

    def _next_batch(self) -> list[_Task]:
        """Takes the oldest request and those that may run with it, without the ones given up."""
        key = min(self._waiting, key=lambda key: self._waiting[key][0].order)
        queue = self._waiting[key]
        batch: list[_Task] = []
        rows = 0
        while queue and rows + queue[0].rows <= self._parameters.max_batch_size:
            task = queue.popleft()
            self._requests -= 1
            self._bytes -= task.size
            if not task.future.cancelled():
                batch.append(task)
                rows += task.rows
        if not queue:
            del self._waiting[key]
        return batch

    def _work(self, batch: list[_Task]) -> None:
        outcomes = _run(self._engine, batch)
        self._loop.call_soon_threadsafe(self._deliver, batch, outcomes)

    def _deliver(self, batch: list[_Task], outcomes: "list[Arrays | Exception]") -> None:
        self._idle += 1
        self._quiet = 0
        self._dispatch_when_quiet()
        self._note_drained()
        for task, outcome in zip(batch, outcomes, strict=True):
            if task.future.cancelled():
                continue
            if isinstance(outcome, Exception):
                task.future.set_exception(outcome)
            else:
                task.future.set_result(outcome)


def _run(engine: Engine, batch: list[_Task]) -> "list[Arrays | Exception]":
    if len(batch) == 1:
        return [_run_alone(engine, batch[0])]
    with contextlib.suppress(Exception):  # whoever caused it gets it below, alone
        feeds = [np.concatenate(parts) for parts in zip(*(task.feeds for task in batch), strict=True)]
        outputs = engine.run(batch[0].signature.name, feeds)
        if all(len(output) == len(feeds[0]) for output in outputs):
            return list(_split(outputs, batch))
    return [_run_alone(engine, task) for task in batch]


def _run_alone(engine: Engine, task: _Task) -> "Arrays | Exception":
    try:
        return engine.run(task.signature.name, task.feeds)
    except Exception as error:
        return error


def _split(outputs: Arrays, batch: list[_Task]) -> Iterable[Arrays]:
    start = 0
    for task in batch:
        yield [output[start : start + task.rows] for output in outputs]
        start += task.rows


def _size_class(row_bytes: int) -> int:
    """Below 512 bytes all rows are alike; above, those within a factor of four."""
    return max(row_bytes, 511).bit_length() // 2
