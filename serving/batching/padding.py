"""Which requests of one signature may run together, and how their arrays become one."""

import bisect
import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unroll.errors import UserError
from unroll.serving.batching.parameters import BatchingParameters
from unroll.serving.engine.session_engine import Signature
from unroll.serving.protocol.tensors import runtime_bytes

Arrays = list[NDArray[Any]]

MAX_ADDED = 1 << 28
"""Bytes that padding, or filling up, may add to a batch: a few long or wide rows make all rows so."""


class UnequalError(Exception):
    """Requests whose sizes differ so much that running them together would take more than `MAX_ADDED`."""


class Padding:
    """How the arrays of one signature's requests are made alike.

    Without `pad_variable_length_inputs`, only requests of the same shapes run together. With it, sizes that
    the signature leaves free are padded at their ends to the longest of the batch. A tensor without an
    element has no first one to be padded with, so it runs with its likes unless its input has a value.

    Args:
        signature: whose first dimensions are rows.
        parameters: whether and how to pad.

    Raises:
        UserError: a padding value that its input cannot hold.
    """

    def __init__(self, signature: Signature, parameters: BatchingParameters) -> None:
        self._pads = parameters.pad_variable_length_inputs
        self._edges = parameters.length_buckets
        self._to_edge = parameters.pad_to_bucket
        self._shapes = [spec.shape or () for spec in signature.inputs.values()]
        self._values = [
            _value(signature, alias, parameters.padding_values[alias]) if alias in parameters.padding_values else None
            for alias in signature.inputs
        ]

    def key(self, feeds: Arrays) -> Hashable:
        """What two requests have in common if they may run together.

        Args:
            feeds: arrays in the signature's order, rows first.
        """
        if not self._pads:
            return feeds[0].shape[1:] if len(feeds) == 1 else tuple([array.shape[1:] for array in feeds])
        return tuple(self._group(position, array) for position, array in enumerate(feeds))

    def merged(self, requests: Sequence[Arrays], filling: int = 0) -> Arrays:
        """Puts the rows of requests below each other.

        Args:
            requests: each request's arrays, in the signature's order.
            filling: rows to add, each like the last request's first.

        Returns:
            Arrays in the signature's order. None is filled, nor one request's padded, beyond `MAX_ADDED`.

        Raises:
            UnequalError: several requests would be.
        """
        inputs = list(enumerate(zip(*requests, strict=True)))
        alike = [self._alike(position, arrays) if self._pads else list(arrays) for position, arrays in inputs]
        if filling and filling * sum(runtime_bytes(arrays[-1][:1]) for arrays in alike) <= MAX_ADDED:
            for arrays in alike:
                arrays.append(np.repeat(arrays[-1][:1], filling, axis=0))
        return [np.concatenate(arrays) if len(arrays) > 1 else arrays[0] for arrays in alike]

    def _group(self, position: int, array: NDArray[Any]) -> Hashable:
        if not self._can_pad(position, array):
            return array.shape
        sizes = zip(array.shape[1:], self._shapes[position][1:], strict=True)
        return tuple(size if fixed is not None else self._edge(size) for size, fixed in sizes)

    def _can_pad(self, position: int, array: NDArray[Any]) -> bool:
        has_value = array.size > 0 or self._values[position] is not None
        return has_value and array.ndim == len(self._shapes[position])

    def _edge(self, size: int) -> int | None:
        """The upper edge of a size's bucket; None where there are no buckets, itself beyond the last."""
        if not self._edges:
            return None
        bucket = bisect.bisect_left(self._edges, size)
        return self._edges[bucket] if bucket < len(self._edges) else size

    def _alike(self, position: int, arrays: Sequence[NDArray[Any]]) -> Arrays:
        if not self._can_pad(position, arrays[0]):
            return list(arrays)  # alike already: see `_group`
        longest = [max(sizes) for sizes in zip(*(array.shape[1:] for array in arrays), strict=True)]
        if self._to_edge:
            fixed = self._shapes[position][1:]
            longest = [
                size if known is not None else self._edge(size) or size
                for size, known in zip(longest, fixed, strict=True)
            ]
        value = self._values[position]
        if sum(_added(array, longest, value) for array in arrays if list(array.shape[1:]) != longest) > MAX_ADDED:
            if len(arrays) > 1:
                raise UnequalError
            return list(arrays)
        return [_padded(array, tuple(longest), value) for array in arrays]


def _added(array: NDArray[Any], longest: list[int], value: Any) -> int:
    """Bytes that padding adds to an array."""
    pad = np.full(1, array.flat[0] if value is None else value, array.dtype)
    return (len(array) * math.prod(longest) - array.size) * runtime_bytes(pad)


def _padded(array: NDArray[Any], longest: tuple[int, ...], value: Any) -> NDArray[Any]:
    if array.shape[1:] == longest:
        return array
    padded = np.full((len(array), *longest), array.flat[0] if value is None else value, array.dtype)
    padded[tuple(slice(size) for size in array.shape)] = array
    return padded


def _value(signature: Signature, alias: str, text: str) -> Any:
    dtype = signature.inputs[alias].dtype
    try:
        if dtype.kind == "O":
            return text.encode()
        if dtype.kind == "b":
            return {"true": True, "false": False}[text]
        if dtype.names:  # quantised: a record of one integer
            return np.array((int(text),), dtype)[()]
        number = {"i": int, "u": int, "c": complex}.get(dtype.kind, float)(text)
        return dtype.type(number)
    except (KeyError, ValueError, OverflowError):
        raise UserError(
            f"--padding_values: input {alias!r} of signature {signature.name!r} is {dtype}; received {text!r}. "
            "Give a value of that type."
        ) from None
