"""JSON values to the bytes of TensorProtos.

Lists are flattened level by level, with no recursion and without a Python call an element. What does not fit is
gone through once more, element by element, for the words in which TensorFlow Serving refuses it.
"""

import contextlib
import io
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from unroll.serving.protocol import wire
from unroll.serving.protocol.status import StatusError, invalid
from unroll.serving.rest.json import text as json_text
from unroll.serving.rest.json.numbers import LISTS, Items, Numbers, Part, Unread, narrowed
from unroll.serving.rest.json.types import BOOL, FLOATS, INTEGERS, MAX_RANK, STRING

_MANY = 1 << 14  # numbers that are converted at once

_NUMBERS = {int, float, json_text.Infinite}


class Mismatch(Exception):  # noqa: N818 - no error yet: `refusal` words it
    """A value is not a tensor of the asked type; `refusal` says why."""


class Cast:
    """Numbers in the bytes of another type, which are made when the message is written.

    Args:
        part: the numbers.
        dtype: the other type.
    """

    __slots__ = ("_dtype", "_part")

    def __init__(self, part: Part, dtype: type) -> None:
        self._part = part
        self._dtype = np.dtype(dtype)

    def __len__(self) -> int:
        return self._part.size * self._dtype.itemsize

    def write(self, stream: BinaryIO) -> None:
        """Writes them, a bounded number at a time."""
        arrays = self._part.arrays() if isinstance(self._part, Unread) else _cut(self._part)
        for array in arrays:
            if self._dtype.kind == "f" and array.dtype.itemsize == 8:
                array = array.astype(np.float64, copy=False)  # rounded to a double first, as RapidJSON reads numbers
            with np.errstate(over="ignore"):  # as in TensorFlow Serving, beyond float is infinity
                stream.write(array.astype(self._dtype, copy=False).data.cast("B"))


Content = wire.Part | Cast
"""Of a tensor, or of a message: what `written` puts together."""


def written(parts: Collection[Content]) -> bytes:
    """The bytes of a message that comes in parts."""
    # Takes what it needs at once, and hands it out as it is: one that grows is copied, and leaves memory in shreds.
    stream = io.BytesIO(bytes(sum(map(len, parts))))
    for part in parts:
        if isinstance(part, Cast):
            part.write(stream)
        else:
            stream.write(part)
    return stream.getvalue()


def tensor(value: Any, data_type: int, alias: str) -> list[Content]:
    """Writes a value as a TensorProto.

    Args:
        value: a parsed JSON value: a scalar, a `{"b64": ...}`, or lists of them.
        data_type: DataType's number.
        alias: the input's name, for errors.

    Returns:
        The parts of a serialized TensorProto; numbers as `tensor_content`.

    Raises:
        Mismatch: ragged lists, or a value that is not of the type.
        StatusError: a number does not fit TensorFlow's type.
    """
    if isinstance(value, Items):
        column = Column(data_type, alias)
        for batch in value.batches():
            column.add(batch)
        return column.tensor()
    shape, parts = _parts(value)
    return _proto(shape, data_type, [_content(part, data_type, alias) for part in parts])


class Column:
    """A tensor of rows that come some at a time.

    Args:
        data_type: DataType's number.
        alias: the input's name, for errors.
    """

    def __init__(self, data_type: int, alias: str) -> None:
        self._data_type = data_type
        self._alias = alias
        self._shape: list[int] | None = None
        self._contents: list[Content] = []

    def add(self, rows: list[Any] | Numbers) -> None:
        """Appends rows.

        Raises:
            Mismatch, StatusError: as `tensor`.
        """
        shape, parts = _parts(rows)
        if self._shape is None:
            self._shape = list(shape)
        elif self._shape[1:] != shape[1:]:
            raise Mismatch
        else:
            self._shape[0] += shape[0]
        self._contents += [_content(part, self._data_type, self._alias) for part in parts]

    def tensor(self) -> list[Content]:
        """As `tensor`."""
        assert self._shape is not None, "rows come first"
        return _proto(self._shape, self._data_type, self._contents)


def array(flat: list[Any]) -> NDArray[Any]:
    """Numbers as an array.

    Args:
        flat: whole numbers and others.

    Returns:
        Whole numbers if all are and 64 bits hold them, or else float64.

    Raises:
        Mismatch: there are other values among them.
        StatusError: INVALID_ARGUMENT: a number is too big for a double.
    """
    types = set(map(type, flat))
    if types - _NUMBERS:
        raise Mismatch
    if types == {int}:
        for dtype in (np.int64, np.uint64):
            with contextlib.suppress(OverflowError):
                return narrowed(np.array(flat, dtype))
    return _doubles(flat, types)


def _cut(flat: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (flat[start : start + _MANY] for start in range(0, flat.size, _MANY))


def _parts(value: Any) -> tuple[list[int], Sequence[list[Any] | Part]]:
    """The shape of a value, and its elements in one part or several, none of which is empty."""
    if isinstance(value, Numbers):
        return value.shape, value.parts
    shape: list[int] = []
    level = [value]
    while level and isinstance(level[0], LISTS):
        types = set(map(type, level))
        if Numbers in types:
            parts = [_dense(item) for item in level]
            if any(part.shape != parts[0].shape for part in parts) or len(shape + parts[0].shape) > MAX_RANK + 1:
                raise Mismatch
            return shape + parts[0].shape, [part for numbers in parts for part in numbers.parts]
        if types - {list, Items} or len(shape) > MAX_RANK:  # rows add one dimension
            raise Mismatch
        sizes = set(map(len, level))
        if len(sizes) > 1:
            raise Mismatch
        shape.append(sizes.pop())
        level = list(chain.from_iterable(level))
    return shape, [level] if level else []


def _dense(value: Any) -> Numbers:
    if isinstance(value, Numbers):
        return value
    shape, parts = _parts(value)
    return Numbers([array(part) if isinstance(part, list) else part for part in parts], shape)


def _proto(shape: list[int], data_type: int, contents: list[Content]) -> list[Content]:
    dims = wire.blocks(2, [wire.integer(1, size) for size in shape])
    if contents and data_type != STRING:
        contents = wire.nested(4, contents)
    return [wire.integer(1, data_type) + wire.block(2, dims), *contents]


def _content(flat: list[Any] | Part, data_type: int, alias: str) -> Content:
    """What `tensor_content` holds, or the fields with the strings."""
    if not isinstance(flat, list):
        return _numbers(flat, data_type, alias)
    types = set(map(type, flat))
    if data_type == STRING and not types - {str, dict}:
        try:
            return wire.blocks(8, list(map(_bytes if dict in types else json_text.utf8, flat)))
        except StatusError:
            raise Mismatch from None
    if data_type in FLOATS and not types - _NUMBERS:
        with np.errstate(over="ignore"):  # as in TensorFlow Serving, beyond float is infinity
            return _doubles(flat, types).astype(FLOATS[data_type]).tobytes()
    if data_type in INTEGERS and not types - {int}:
        return _integers(flat, data_type, alias)
    if data_type == BOOL and not types - {bool}:
        return bytes(flat)
    raise Mismatch


def _numbers(part: Part, data_type: int, alias: str) -> Cast:
    if data_type in FLOATS:
        return Cast(part, FLOATS[data_type])
    if data_type not in INTEGERS or isinstance(part, Unread) or part.dtype.kind == "f":
        raise Mismatch
    dtype, low, high = INTEGERS[data_type]
    least, most = int(part.min()), int(part.max())
    if not low <= least <= most <= high:
        raise Mismatch
    if least < np.iinfo(dtype).min or most > np.iinfo(dtype).max:
        raise _unfit(alias)
    return Cast(part, dtype)


def _doubles(flat: list[Any], types: set[type]) -> NDArray[np.float64]:
    try:
        doubles = np.array(flat, np.float64)
    except OverflowError:
        raise invalid(json_text.TOO_BIG) from None
    if json_text.Infinite not in types and np.isinf(doubles).any():
        raise invalid(json_text.TOO_BIG)
    return doubles


def _integers(flat: list[int], data_type: int, alias: str) -> bytes:
    dtype, low, high = INTEGERS[data_type]
    if not low <= min(flat) <= max(flat) <= high:
        raise Mismatch
    try:
        return np.array(flat, dtype).tobytes()
    except OverflowError:
        raise _unfit(alias) from None


def _unfit(alias: str) -> StatusError:
    """RapidJSON knows no number of less than 32 bits: TensorFlow is left to find out."""
    return invalid(f"tensor parsing error: {alias}")


def _bytes(value: Any) -> bytes:
    return json_text.utf8(value) if isinstance(value, str) else json_text.unbase64(value)
