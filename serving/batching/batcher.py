"""Requests that arrive while the engine is busy run together, as one.

Unless the parameters name a timeout there is no timer: an idle engine starts as soon as the event loop has
read what has arrived, so a lone client does not wait for company, and under load the batches grow by
themselves.
"""

import asyncio
import functools
import logging
import time
from collections import OrderedDict
from collections.abc import Hashable

import grpc

from unroll.serving.batching.padding import Arrays
from unroll.serving.batching.parameters import BatchingParameters
from unroll.serving.batching.queues import Group, Queue, Ran, Request, expected_seconds, run_batch, settle, together
from unroll.serving.batching.runner import Engine, Runner
from unroll.serving.batching.running import Running
from unroll.serving.batching.shares import WORTH
from unroll.serving.batching.threads import Threads
from unroll.serving.engine.cores import cores
from unroll.serving.engine.session_engine import Signature
from unroll.serving.front.metrics import Metrics
from unroll.serving.protocol.status import StatusError, invalid
from unroll.serving.protocol.tensors import runtime_bytes

_log = logging.getLogger(__name__)
QUIET_TURNS = 8  # of the event loop without a new request, before a batch starts; a few microseconds each
_QUICK = 2e-3  # seconds that a run may keep the event loop from its other work
_ALONE = 8e-4  # seconds of a run from which on all cores may gain, whose changes of threads cost a third of that
_PATIENCE = 5e-3  # seconds that little work waits for what runs, rather than to run beside it
_HELD = 2e-2  # seconds of a run on the event loop's thread from which on its like is long not thought to be quick
_FULL = "The batch scheduling queue to which this task was submitted is full"


class Batcher:
    """The queue in front of one engine. Its methods are called in the event loop's thread.

    Args:
        engine: what runs the batches; closed with the batcher.
        parameters: the queue's limits.
        metrics: what counts the batches, or None.

    Raises:
        UserError: a padding value that an input of the engine's cannot hold.
    """

    def __init__(self, engine: Engine, parameters: BatchingParameters, metrics: Metrics | None = None) -> None:
        self._engine = engine
        self._parameters = parameters
        self._metrics = metrics
        self._pool = parameters.thread_pool_name
        self._run_rows = parameters.rows_of_a_run
        self._timeout = parameters.batch_timeout_micros / 1e6
        self._loop = asyncio.get_running_loop()
        self._queues = {
            name: Queue(Runner(engine, signature, parameters)) for name, signature in engine.signatures.items()
        }
        self._groups: OrderedDict[Hashable, Group] = OrderedDict()  # whose turn it is comes first
        self.queued = 0  # requests that wait
        self._bytes = 0
        self._quiet = 0  # turns of the loop since the last request came or the last batch ended
        self._watching = False
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._closing: asyncio.Future[None] | None = None
        self._divides = parameters.num_batch_threads is None
        self.threads = Threads(self._pool, parameters.num_batch_threads or cores())
        self.running = Running()

    def submit(self, signature: Signature, feeds: Arrays, size: int) -> "asyncio.Future[Arrays]":
        """Queues one request.

        Args:
            signature: what to run.
            feeds: arrays in the signature's order.
            size: bytes of the request; those of its arrays count, where they are more. Unless there are length buckets,
                only requests of like size per row run together, since a batch costs as much as its longest row.

        Returns:
            The outputs in the signature's order. Cancelling it takes the request out of the queue.

        Raises:
            StatusError: INVALID_ARGUMENT for more rows than a request may have, UNAVAILABLE for a full queue.
        """
        queue = self._queues[signature.name]
        rows = queue.runner.rows(feeds)
        size = max(size, sum(map(runtime_bytes, feeds)))  # a few bytes may stand for a large array
        self._admit(queue, rows or 1, size)
        if not rows or rows <= self._run_rows:
            return self._enqueue(queue, feeds, rows or None, size)
        starts = range(0, rows, self._run_rows)
        slices = [[array[start : start + self._run_rows] for array in feeds] for start in starts]
        # Among themselves, parts take turns with what else waits; and padded beside other requests, each would have
        # lengths of its own, so that they would not fit together.
        kin = object()
        parts = [self._enqueue(queue, part, len(part[0]), size * len(part[0]) // rows, kin) for part in slices]
        self.queued += 1
        whole = self._loop.create_task(together(parts))
        whole.add_done_callback(lambda _: self._end_parts(parts))
        return whole

    @property
    def overdue(self) -> object | None:
        """The request whose turn it is although an engine's thread is idle, or None.

        It is only on its way to the thread, unless it is still the same one when the loop has turned many times.
        """
        group = next(iter(self._groups.values()), None)
        if group is None or not self.threads.idle or not self._is_worth_a_thread(group):
            return None
        head = group.requests[0]
        return None if self._timeout and head.due > self._loop.time() else head

    async def replace(self, engine: Engine) -> None:
        """Has another engine run what comes, and closes the one before when nothing runs there any more.

        Args:
            engine: of the same signatures.
        """
        replaced, self._engine = self._engine, engine
        for queue in self._queues.values():
            queue.runner.engine = engine
        last = self.running.begun
        while self.running.any_of(last):
            await asyncio.sleep(_PATIENCE)
        await asyncio.to_thread(replaced.close)

    async def close(self) -> None:
        """Runs what is queued, then closes the engine."""
        self._closing = self._loop.create_future()
        self._dispatch()
        await self._closing
        self.threads.close()
        await asyncio.to_thread(self._engine.close)  # which may give gigabytes back

    def _end_parts(self, parts: list[Request]) -> None:
        self.queued -= 1
        for part in parts:  # where one failed, or all were cancelled (perhaps before their task began)
            part.cancel()

    def _admit(self, queue: Queue, rows: int, size: int) -> None:
        limits = self._parameters
        if rows > limits.max_batch_size:
            raise invalid(f"Task size {rows} is larger than maximum input batch size {limits.max_batch_size}")
        too_large = self._bytes and self._bytes + size > limits.max_queued_bytes
        if self.queued >= limits.max_queued_requests or too_large:
            raise StatusError(grpc.StatusCode.UNAVAILABLE, _FULL)
        batches = limits.max_enqueued_batches
        if batches is not None and queue.rows + rows > batches * self._run_rows:
            waiting = -(-queue.rows // self._run_rows)
            raise StatusError(
                grpc.StatusCode.UNAVAILABLE,
                f"{_FULL}; currently {waiting} batches enqueued and max_enqueued_batches is {batches}",
            )

    def _enqueue(self, queue: Queue, feeds: Arrays, rows: int | None, size: int, kin: object | None = None) -> Request:
        request = Request(loop=self._loop)
        request.withdraw, request.feeds, request.rows, request.size = self._withdraw, feeds, rows or 1, size
        request.queued = time.monotonic()
        key = request if rows is None else (queue.runner.key(feeds, rows, size), kin)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(key, queue, kin is not None)
        request.group = group
        group.requests.append(request)
        self._count(group, 1, request.rows, size)
        self._quiet = 0
        if self._timeout:
            request.due = self._loop.time() + (0 if rows is None or kin else self._timeout)
        if self.threads.idle and not self._watching:
            if self._is_worth_a_thread(group):
                self._dispatch_when_quiet()
            else:
                self._look_again()
        return request

    def _count(self, group: Group, requests: int, rows: int, size: int) -> None:
        """Books requests in; with negative numbers, out."""
        group.rows += rows
        group.queue.rows += rows
        if not group.of_parts:  # which count as the one request that they are
            self.queued += requests
        self._bytes += size

    def _withdraw(self, request: Request) -> None:
        """Takes a request that was cancelled out of the queue, unless it runs already."""
        group = request.group
        try:
            group.requests.remove(request)
        except ValueError:
            return
        self._count(group, -1, -request.rows, -request.size)
        if not group.requests:
            del self._groups[group.key]
        self._note_drained()

    def _dispatch_when_quiet(self) -> None:
        """Starts a batch once the loop has read what has already arrived.

        Reading a request takes the loop several turns. An engine that took what is there after each turn
        would run many small batches, and on a busy machine take the very time in which to read the rest.
        """
        if self.threads.idle and self._groups and not self._watching:
            self._watching = True
            self._loop.call_soon(self._watch)

    def _watch(self) -> None:
        self._watching = False  # first, so that nothing below can keep the next request from being watched for
        self._quiet += 1
        if self._quiet <= QUIET_TURNS and not self._is_lone():
            self._dispatch_when_quiet()
        else:
            self._dispatch()

    def _is_lone(self) -> bool:
        """Whether the one request that waits is, by experience, all that will come until it is answered."""
        if len(self._groups) != 1:
            return False
        (group,) = self._groups.values()
        return len(group.requests) == 1 and group.queue.quick_runs >= group.queue.proof

    def _dispatch(self) -> None:
        while self.threads.idle and (group := self._ready()):
            if not self._is_worth_a_thread(group):
                self._look_again()
                break
            batch = self._next_batch(group)
            try:
                self._start(group, batch)
            except Exception as error:  # a fault of ours costs these requests, not the queue
                _log.exception("a batch could not be started")
                settle(batch, [error] * len(batch))
        self._note_drained()

    def _is_worth_a_thread(self, group: Group) -> bool:
        """Whether a group is to run beside what runs, or better waits for it, and for company."""
        if not self._divides or self.threads.all_idle:
            return True
        if group.queue.shares.expected(group.rows) >= WORTH:
            return True
        return abs(self.running.seconds_left) > _PATIENCE  # far off, or overdue

    def _look_again(self) -> None:
        """Has what waits for a run looked at when the run is overdue, should it take longer than is expected."""
        if self._looking is None:
            patience = max(self.running.seconds_left + _PATIENCE, 0.0)
            self._looking = self._loop.call_later(patience + _PATIENCE / 10, self._look)

    def _look(self) -> None:
        self._looking = None
        self._dispatch()

    def _start(self, group: Group, batch: list[Request]) -> None:
        expected = expected_seconds(group, batch)
        alone = self.threads.all_idle and not self._groups and expected >= _ALONE
        here = self._may_run_here(group, batch)
        number = self.running.begin()
        run = functools.partial(run_batch, group, batch, alone)
        deliver = functools.partial(self._deliver, group, batch, number)
        if not here:
            self.threads.submit(run, deliver)
            self.running.expect(number, expected)
        if self._metrics:
            self._note_batch(self._metrics, group, batch)
        if here:
            ran = run()
            if ran[1] >= _HELD:  # its time depends on more than its size
                group.queue.proof *= 4
            deliver(ran)

    def _may_run_here(self, group: Group, batch: list[Request]) -> bool:
        """Whether a batch runs in the event loop's own thread.

        Two changes of threads cost a client that asks one request after another as much as a small model does. What is
        known to run quickly need not change threads while there is nobody else to wait for. Only what has rows: of a
        scalar, such as a number of steps, the time may depend.
        """
        queue, request = group.queue, batch[0]
        lone = len(batch) == 1 and not self._groups and self.threads.all_idle and group.key is not request
        return lone and queue.quick_runs >= queue.proof and request.size <= 2 * queue.quick_bytes

    def _ready(self) -> Group | None:
        """The group whose turn it is, of those that are full or have waited long enough."""
        if not self._timeout or self._closing:
            return next(iter(self._groups.values()), None)
        now = self._loop.time()
        for group in self._groups.values():
            if group.rows >= self._run_rows or group.requests[0].due <= now:
                return group
        if self._timer:
            self._timer.cancel()
        if self._groups:
            due = min(group.requests[0].due for group in self._groups.values())
            self._timer = self._loop.call_at(due, self._dispatch)
        return None

    def _next_batch(self, group: Group) -> list[Request]:
        """Takes the group's oldest requests; what remains waits for its next turn, after the other groups."""
        waiting = group.requests
        limit = self._run_rows
        if self._divides:
            limit = min(limit, group.queue.shares.divided(group.rows, self.threads.idle))
        batch: list[Request] = []
        rows = size = 0
        while waiting and (not batch or rows + waiting[0].rows <= limit):
            request = waiting.popleft()
            batch.append(request)
            rows += request.rows
            size += request.size
        self._count(group, -len(batch), -rows, -size)
        if waiting:
            self._groups.move_to_end(group.key)
        else:
            del self._groups[group.key]
        return batch

    def _note_batch(self, metrics: Metrics, group: Group, batch: list[Request]) -> None:
        now, rows = time.monotonic(), [request.rows for request in batch]
        processed = 1 if group.key is batch[0] else group.queue.runner.filled(sum(rows))
        metrics.batched(self._pool, [now - request.queued for request in batch], rows, processed)

    def _note_drained(self) -> None:
        if self._closing and not self._groups and self.threads.all_idle and not self._closing.done():
            self._closing.set_result(None)

    def _deliver(self, group: Group, batch: list[Request], number: int, ran: Ran | BaseException) -> None:
        self.running.end(number)
        outcomes, seconds = ([ran] * len(batch), _QUICK) if isinstance(ran, BaseException) else ran
        try:
            queue = group.queue
            if group.key is not batch[0] and not isinstance(outcomes[0], Exception):
                queue.shares.note(sum([request.rows for request in batch]), seconds)
            if len(batch) == 1 and seconds < _QUICK and not self._groups:
                queue.quick_runs += 1
                queue.quick_bytes = max(queue.quick_bytes, batch[0].size)
            else:
                queue.quick_runs = queue.quick_bytes = 0
            self._quiet = 0
            self._dispatch_when_quiet()
            self._note_drained()
        finally:
            settle(batch, outcomes)
