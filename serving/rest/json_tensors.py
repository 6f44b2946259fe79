"""JSON values to the bytes of TensorProtos.

Lists are flattened level by level, with no recursion and without a Python call an element. What does not fit is
gone through once more, element by element, for the words in which TensorFlow Serving refuses it.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any

import grpc
import numpy as np

from serving import protos, wire
from serving.rest import json_text
from serving.status import StatusError, invalid

_MAX_RANK = 254  # TensorShape's
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
SUPPORTED = frozenset((*_FLOATS, *_INTEGERS, _STRING, _BOOL))


class Mismatch(Exception):  # noqa: N818 - no error yet: `refusal` words it
    """A value is no tensor of the asked type; `refusal` says why."""


def tensor(value: Any, data_type: int, alias: str) -> bytes:
    """Writes a value as a TensorProto.

    Args:
        value: a parsed JSON value: a scalar, a `{"b64": ...}`, or lists of them.
        data_type: DataType's number.
        alias: the input's name, for errors.

    Returns:
        A serialized TensorProto; numbers as `tensor_content`.

    Raises:
        Mismatch: ragged lists, or a value that is none of the type.
        StatusError: a number does not fit TensorFlow's type.
    """
    shape, flat = _flattened(value)
    dims = wire.blocks(2, [wire.integer(1, size) for size in shape])
    return wire.integer(1, data_type) + wire.block(2, dims) + (_payload(flat, data_type, alias) if flat else b"")


def dense_shape(value: Any) -> list[int]:
    """The shape that a value has if it is no ragged list: read off the first element of each level."""
    shape: list[int] = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return shape


def refusal(value: Any, data_type: int) -> StatusError | None:
    """Why a value is no tensor of a type, in TensorFlow Serving's words; None if it is one."""
    shape = dense_shape(value)
    if len(shape) > _MAX_RANK:
        return invalid(f"Encountered list at unexpected level: {_MAX_RANK} expected < {_MAX_RANK}")
    return _refusal(value, 0, shape, data_type)


def _flattened(value: Any) -> tuple[list[int], list[Any]]:
    shape: list[int] = []
    level = [value]
    while level and isinstance(level[0], list):
        if set(map(type, level)) != {list} or len(shape) > _MAX_RANK:  # rows add one dimension
            raise Mismatch
        sizes = set(map(len, level))
        if len(sizes) > 1:
            raise Mismatch
        shape.append(sizes.pop())
        level = list(chain.from_iterable(level))
    return shape, level


def _payload(flat: list[Any], data_type: int, alias: str) -> bytes:
    types = set(map(type, flat))
    if data_type == _STRING and not types - {str, dict}:
        try:
            return wire.blocks(8, list(map(_bytes if dict in types else json_text.utf8, flat)))
        except StatusError:
            raise Mismatch from None
    if data_type in _FLOATS and not types - {int, float, json_text.Infinite}:
        return wire.block(4, _floats(flat, types, data_type))
    if data_type in _INTEGERS and not types - {int}:
        return wire.block(4, _integers(flat, data_type, alias))
    if data_type == _BOOL and not types - {bool}:
        return wire.block(4, bytes(flat))
    raise Mismatch


def _floats(flat: list[Any], types: set[type], data_type: int) -> bytes:
    try:
        array = np.array(flat, np.float64)
    except OverflowError:
        raise invalid(json_text.TOO_BIG) from None
    if json_text.Infinite not in types and np.isinf(array).any():
        raise invalid(json_text.TOO_BIG)
    with np.errstate(over="ignore"):  # as in TensorFlow Serving, beyond float is infinity
        return array.astype(_FLOATS[data_type]).tobytes()


def _integers(flat: list[int], data_type: int, alias: str) -> bytes:
    dtype, low, high = _INTEGERS[data_type]
    if not low <= min(flat) <= max(flat) <= high:
        raise Mismatch
    try:
        return np.array(flat, dtype).tobytes()
    except OverflowError:  # RapidJSON knows no number of less than 32 bits: TensorFlow is left to find out
        raise invalid(f"tensor parsing error: {alias}") from None


def _bytes(value: Any) -> bytes:
    return json_text.utf8(value) if isinstance(value, str) else json_text.unbase64(value)


def _refusal(value: Any, level: int, shape: list[int], data_type: int) -> StatusError | None:
    if not isinstance(value, list):
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
