"""Why a JSON value is not a tensor of a type, in TensorFlow Serving's words."""

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np

from unroll.serving.protocol import protos
from unroll.serving.protocol.status import StatusError, invalid
from unroll.serving.rest.json import text as json_text
from unroll.serving.rest.json.numbers import Items, Numbers
from unroll.serving.rest.json.types import BOOL, FLOATS, INTEGERS, MAX_RANK, STRING, SUPPORTED


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
    if len(shape) > MAX_RANK:
        return invalid(f"Encountered list at unexpected level: {MAX_RANK} expected < {MAX_RANK}")
    return _refusal(value, 0, shape, data_type)


def suspect(numbers: Numbers, data_type: int) -> int:
    """Where the first number is that is not of a type, or else the first, in a flat array."""
    flat = numbers.flat
    wrong: Any = np.zeros(1, bool)
    if data_type in INTEGERS:
        _, low, high = INTEGERS[data_type]
        with np.errstate(invalid="ignore"):
            wrong = flat % 1 != 0 if flat.dtype.kind == "f" else (flat < low) | (flat > high)
    return int(np.argmax(wrong))


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
    if isinstance(value, dict) and data_type == STRING:
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
    _, low, high = INTEGERS[data_type]
    return lambda value: type(value) is int and low <= value <= high


_ACCEPTS: dict[int, Callable[[Any], bool]] = {
    **dict.fromkeys(FLOATS, lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    **{data_type: _is_integer(data_type) for data_type in INTEGERS},
    STRING: lambda value: isinstance(value, str),
    BOOL: lambda value: isinstance(value, bool),
}
