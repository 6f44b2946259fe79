"""JSON values to the bytes of TensorProtos.

Lists are flattened level by level, with no recursion and without a Python call an element. What does not fit is
gone through once more, element by element, for the words in which TensorFlow Serving refuses it.
"""

import contextlib
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain
from typing import Any, BinaryIO

import grpc
import numpy as np
from numpy.typing import NDArray

from unroll.serving.protocol import protos, wire
from unroll.serving.protocol.status import StatusError, invalid
from unroll.serving.rest.json import text as json_text
from unroll.serving.rest.json.numbers import LISTS, Items, Numbers, Part, Unread, narrowed

_MAX_RANK = 254  # TensorShape's
_MANY = 1 << 14  # numbers that are converted at once
_FLOATS: dict[int, type] = {1: np.float32, 2: np.float64}
# DataType: what holds it, and the range of JSON numbers that are taken for it.
_INTEGERS: dict[int, tuple[type, int, int]] = {
    3: (np.int32, -(2**31), 2**31 - 1),
    4: (np.uint8, -(2**31), 2**31 - 1),
    5: (np.int16, -(2**31), 2**31 - 1),
    6: (np.int8, -(2**31), 2**31 - 1),
    9: (np.int64, -(2**63), 2**63 - 1),
    22: (np.uint32, 0, 2**32 - 1),
    23: (np.uint64, 0, 2**64 - 1),
}
_STRING, _BOOL = 7, 10
_NUMBERS = {int, float, json_text.Infinite}
SUPPORTED = frozenset((*_FLOATS, *_INTEGERS, _STRING, _BOOL))


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
        Mismatch: ragged lists, or a value that is none of the type.
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


def dense_shape(value: Any) -> list[int]:
    """The shape that a value has if it is not a ragged list: read off the first element of each level."""
    shape: list[int] = []
    while isinstance(value, list | Items):
        shape.append(len(value))
        if not len(value):
            break
        value = value[0]
    return shape + value.shape if isinstance(value, Numbers) else shape


def refusal(value: Any, data_type: int) -> StatusError | None:
    """Why a value is not a tensor of a type, in TensorFlow Serving's words; None if it is one."""
    shape = dense_shape(value)
    if len(shape) > _MAX_RANK:
        return invalid(f"Encountered list at unexpected level: {_MAX_RANK} expected < {_MAX_RANK}")
    return _refusal(value, 0, shape, data_type)


def suspect(numbers: Numbers, data_type: int) -> int:
    """Where the first number is that is none of a type, or else the first, in a flat array."""
    flat = numbers.flat
    wrong: Any = np.zeros(1, bool)
    if data_type in _INTEGERS:
        _, low, high = _INTEGERS[data_type]
        with np.errstate(invalid="ignore"):
            wrong = flat % 1 != 0 if flat.dtype.kind == "f" else (flat < low) | (flat > high)
    return int(np.argmax(wrong))


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
            if any(part.shape != parts[0].shape for part in parts) or len(shape + parts[0].shape) > _MAX_RANK + 1:
                raise Mismatch
            return shape + parts[0].shape, [part for numbers in parts for part in numbers.parts]
        if types - {list, Items} or len(shape) > _MAX_RANK:  # rows add one dimension
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
    if contents and data_type != _STRING:
        contents = wire.nested(4, contents)
    return [wire.integer(1, data_type) + wire.block(2, dims), *contents]


def _content(flat: list[Any] | Part, data_type: int, alias: str) -> Content:
    """What `tensor_content` holds, or the fields with the strings."""
    if not isinstance(flat, list):
        return _numbers(flat, data_type, alias)
    types = set(map(type, flat))
    if data_type == _STRING and not types - {str, dict}:
        try:
            return wire.blocks(8, list(map(_bytes if dict in types else json_text.utf8, flat)))
        except StatusError:
            raise Mismatch from None
    if data_type in _FLOATS and not types - _NUMBERS:
        with np.errstate(over="ignore"):  # as in TensorFlow Serving, beyond float is infinity
            return _doubles(flat, types).astype(_FLOATS[data_type]).tobytes()
    if data_type in _INTEGERS and not types - {int}:
        return _integers(flat, data_type, alias)
    if data_type == _BOOL and not types - {bool}:
        return bytes(flat)
    raise Mismatch


def _numbers(part: Part, data_type: int, alias: str) -> Cast:
    if data_type in _FLOATS:
        return Cast(part, _FLOATS[data_type])
    if data_type not in _INTEGERS or isinstance(part, Unread) or part.dtype.kind == "f":
        raise Mismatch
    dtype, low, high = _INTEGERS[data_type]
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
    dtype, low, high = _INTEGERS[data_type]
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


def _refusal(value: Any, level: int, shape: list[int], data_type: int) -> StatusError | None:
    if isinstance(value, Numbers):
        if value.shape == shape[level:]:
            return _scalar_refusal(value.flat[suspect(value, data_type)].item(), data_type)
    elif not isinstance(value, list | Items):
        if level != len(shape):
            return invalid(
                f"JSON Value: {json_text.debug(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        return _scalar_refusal(value, data_type)
    if level >= len(shape):
        return invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        return invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    if level == len(shape) - 1 and (accepts := _ACCEPTS.get(data_type)):
        value = (item for item in value if not accepts(item))
    return next(filter(None, (_refusal(item, level + 1, shape, data_type) for item in value)), None)


def _scalar_refusal(value: Any, data_type: int) -> StatusError | None:
    name = protos.DataType.Name(data_type).removeprefix("DT_").lower()
    if isinstance(value, dict) and data_type == _STRING:
        try:
            json_text.unbase64(value)
        except StatusError as error:
            return error
        return None
    if data_type not in SUPPORTED and not isinstance(value, dict):
        return StatusError(
            grpc.StatusCode.UNIMPLEMENTED, f"Conversion of JSON Value: {json_text.debug(value)} to type: {name}"
        )
    if not isinstance(value, dict) and _ACCEPTS[data_type](value):
        return None
    return invalid(
        f"JSON Value: {json_text.debug(value)} Type: {json_text.kind(value)} is not of expected type: {name}"
    )


def _is_integer(data_type: int) -> Callable[[Any], bool]:
    _, low, high = _INTEGERS[data_type]
    return lambda value: type(value) is int and low <= value <= high


_ACCEPTS: dict[int, Callable[[Any], bool]] = {
    **dict.fromkeys(_FLOATS, lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    **{data_type: _is_integer(data_type) for data_type in _INTEGERS},
    _STRING: lambda value: isinstance(value, str),
    _BOOL: lambda value: isinstance(value, bool),
}
