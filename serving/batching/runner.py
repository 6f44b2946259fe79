"""Runs requests of one signature together, and gives each its own rows of the outputs."""

import itertools
from collections.abc import Hashable, Mapping, Sequence
from typing import Protocol

import grpc
import numpy as np

from unroll.serving.batching.padding import Arrays, Padding
from unroll.serving.batching.parameters import BatchingParameters
from unroll.serving.engine.session_engine import Signature
from unroll.serving.protocol.status import StatusError


class Engine(Protocol):
    """What runs a batch: see `unroll.serving.engine.session_engine.SessionEngine`."""

    @property
    def signatures(self) -> Mapping[str, Signature]: ...

    def run(self, signature: str, feeds: Arrays, alone: bool = False) -> Arrays: ...

    def close(self) -> None: ...


class Runner:
    """What a batch of one signature's requests goes through.

    Args:
        engine: what runs it.
        signature: one of the engine's.
        parameters: the sizes that a batch may have, and how lengths are made alike.

    Raises:
        UserError: a padding value that an input cannot hold.
    """

    def __init__(self, engine: Engine, signature: Signature, parameters: BatchingParameters) -> None:
        self.signature = signature
        self.padding = Padding(signature, parameters)
        self.engine = engine
        self._sizes = parameters.allowed_batch_sizes
        self._by_length = bool(parameters.length_buckets)

    def rows(self, feeds: Arrays) -> int | None:
        """The rows of a request that may run with others; None for one that must run alone."""
        if not self.signature.batchable:
            return None
        first = feeds[0].shape[:1]
        if not first or (len(feeds) > 1 and any(array.shape[:1] != first for array in feeds)):
            return None
        return first[0]

    def key(self, feeds: Arrays, rows: int, size: int) -> Hashable:
        """What requests of a model have in common if they may run together.

        Args:
            feeds: the request's arrays.
            rows: theirs, one or more.
            size: bytes of the request.
        """
        like = 0 if self._by_length else _size_class(size // rows)
        return self.signature.name, like, self.padding.key(feeds)

    def filled(self, rows: int) -> int:
        """The rows with which a batch of so many runs."""
        return next((size for size in self._sizes if size >= rows), rows)

    def run_alone(self, feeds: Arrays, alone: bool = False) -> Arrays | Exception:
        """Runs what has no rows: those of no request, or none at all.

        Where a graph cannot run without a row, its outputs are empty, and sizes that only a run can tell are 0.

        Args:
            feeds: the request's arrays.
            alone: whether the engine runs nothing else meanwhile.
        """
        try:
            return self.engine.run(self.signature.name, feeds, alone)
        except Exception as error:
            if self.rows(feeds) == 0:
                outputs = self.signature.outputs.values()
                return [np.empty([size or 0 for size in spec.shape or ()], spec.dtype) for spec in outputs]
            return error

    def run_together(self, requests: Sequence[Arrays], alone: bool = False) -> list[Arrays | Exception]:
        """Runs requests as one.

        If that fails, each half runs by itself, and so on, until only who is at fault is refused.

        Args:
            requests: each request's arrays, with a row or more; all have the same `key`.
            alone: whether the engine runs nothing else meanwhile.

        Returns:
            Each request's outputs, or why it has none.
        """
        try:
            return [*self._run(requests, alone)]
        except Exception as error:
            if len(requests) == 1:
                return [error]
        half = len(requests) // 2
        return self.run_together(requests[:half], alone) + self.run_together(requests[half:], alone)

    def _run(self, requests: Sequence[Arrays], alone: bool) -> list[Arrays]:
        ends = [0, *itertools.accumulate(feeds[0].shape[0] for feeds in requests)]
        rows = ends[-1]
        merged = self.padding.merged(requests, self.filled(rows) - rows)
        filled = len(merged[0])
        outputs = self.engine.run(self.signature.name, merged, alone)
        if all(output.shape[:1] == (filled,) for output in outputs):
            if len(requests) == 1 and filled == rows:
                return [outputs]
            return [[output[start:end] for output in outputs] for start, end in itertools.pairwise(ends)]
        if len(requests) > 1:
            raise not_by_row()  # whom each output belongs to shows only when they run alone
        return [outputs if filled == rows else self.engine.run(self.signature.name, requests[0], alone)]


def joined(parts: Sequence[Arrays], rows: Sequence[int]) -> Arrays:
    """The outputs of a request that ran in parts.

    Args:
        parts: the outputs of each.
        rows: of each part's inputs.

    Raises:
        StatusError: FAILED_PRECONDITION, if the outputs are not row by row.
    """
    for outputs, count in zip(parts, rows, strict=True):
        if any(output.shape[:1] != (count,) for output in outputs):
            raise not_by_row()
    return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]


def not_by_row() -> StatusError:
    """Outputs that cannot be told apart by row, in TensorFlow Serving's words."""
    return StatusError(
        grpc.StatusCode.FAILED_PRECONDITION,
        "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors",
    )


def _size_class(row_bytes: int) -> int:
    """Below 512 bytes all rows are alike; above, those within a factor of four."""
    return max(row_bytes, 511).bit_length() // 2
