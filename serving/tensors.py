"""TensorProto to numpy and back, without TensorFlow.

Strings are numpy arrays of dtype `object` that hold `bytes`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from serving import protos, wire

MAX_BYTES = 1 << 28
"""A tensor that a few bytes of request could blow up to more than this (256 MiB) is refused."""

# DataType: numpy dtype, typed field of TensorProto, its number.
_FIELDS: dict[str, tuple[Any, str, int]] = {
    "DT_FLOAT": (np.float32, "float_val", 5),
    "DT_DOUBLE": (np.float64, "double_val", 6),
    "DT_INT32": (np.int32, "int_val", 7),
    "DT_UINT8": (np.uint8, "int_val", 7),
    "DT_INT16": (np.int16, "int_val", 7),
    "DT_INT8": (np.int8, "int_val", 7),
    "DT_UINT16": (np.uint16, "int_val", 7),
    "DT_STRING": (np.object_, "string_val", 8),
    "DT_INT64": (np.int64, "int64_val", 10),
    "DT_BOOL": (np.bool_, "bool_val", 11),
    "DT_HALF": (np.float16, "half_val", 13),
    "DT_UINT32": (np.uint32, "uint32_val", 16),
    "DT_UINT64": (np.uint64, "uint64_val", 17),
}
_BY_NUMBER = {protos.DataType.Value(name): (np.dtype(dtype), field) for name, (dtype, field, _) in _FIELDS.items()}
_BY_DTYPE = {
    np.dtype(dtype): (wire.integer(1, protos.DataType.Value(name)), field_number)
    for name, (dtype, _, field_number) in _FIELDS.items()
}


def dtype_of(data_type: int) -> np.dtype[Any]:
    """The numpy dtype of a DataType's number. KeyError where numpy has none."""
    return _BY_NUMBER[data_type][0]


def data_type_of(dtype: np.dtype[Any]) -> str:
    """TensorFlow's name of a numpy dtype, as its messages say it: "float", "int64", "string"."""
    return next(name.removeprefix("DT_").lower() for name, (known, _, _) in _FIELDS.items() if np.dtype(known) == dtype)


def decode(proto: Any) -> NDArray[Any]:
    """Reads a TensorProto.

    As in TensorFlow, fewer values than elements repeat the last one (zero, or the empty string, where
    there is none). More values than elements are refused, where TensorFlow drops the surplus.

    Args:
        proto: a TensorProto of this package's pool, or of TensorFlow's.

    Returns:
        An array with the message's dtype and shape. It may be read-only.

    Raises:
        ValueError: an unknown dtype, an invalid shape, or values that do not fill it.
    """
    if proto.dtype not in _BY_NUMBER:
        raise ValueError(f"dtype {proto.dtype} is not supported")
    dtype, field = _BY_NUMBER[proto.dtype]
    if proto.tensor_shape.unknown_rank:
        raise ValueError("the shape has no rank")
    shape = [dim.size for dim in proto.tensor_shape.dim]
    size = 1
    for dim in shape:
        if dim < 0:
            raise ValueError(f"the shape {shape} is negative")
        size *= dim
    if proto.tensor_content:
        if dtype.hasobject or len(proto.tensor_content) != size * dtype.itemsize:
            raise ValueError(f"{len(proto.tensor_content)} bytes do not fill {dtype} {shape}")
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)

    values = getattr(proto, field)
    if len(values) > size:
        raise ValueError(f"{len(values)} values for the {size} elements of {shape}")
    if field == "half_val":
        array = np.array(values).astype(np.uint16).view(np.float16)
    elif field == "int_val":
        array = np.array(values, np.int32).astype(dtype)
        if array.tolist() != list(values):
            raise ValueError(f"the values do not fit {dtype}")
    else:
        array = np.array(values, dtype)
    if len(array) < size:
        if size * dtype.itemsize > MAX_BYTES:
            raise ValueError(f"{len(array)} values for the {size} elements of {shape}")
        last = array[-1] if len(array) else (b"" if dtype.hasobject else 0)
        array = np.concatenate([array, np.full(size - len(array), last, dtype)])
    return array.reshape(shape)


def encode(array: NDArray[Any]) -> bytes:
    """Writes an array as the bytes of a TensorProto, with its values in the typed field.

    Args:
        array: a number or boolean type, or `object` that holds `bytes`; any shape.

    Returns:
        A serialized TensorProto.

    Raises:
        KeyError: TensorProto has no such dtype.
    """
    data_type, number = _BY_DTYPE[array.dtype]
    shape = wire.block(2, wire.blocks(2, [wire.integer(1, size) for size in array.shape]))
    return data_type + shape + _VALUES[number](number, array)


def _strings(number: int, array: NDArray[Any]) -> bytes:
    return wire.blocks(number, array.ravel().tolist())


def _packed(number: int, array: NDArray[Any]) -> bytes:
    return wire.block(number, array.tobytes()) if array.size else b""


def _varints(number: int, array: NDArray[Any]) -> bytes:
    if array.dtype == np.float16:
        array = array.view(np.uint16)
    return wire.block(number, b"".join(map(wire.varint, array.ravel().tolist()))) if array.size else b""


_VALUES: dict[int, Callable[[int, NDArray[Any]], bytes]] = {
    5: _packed,
    6: _packed,
    7: _varints,
    8: _strings,
    10: _varints,
    11: _packed,
    13: _varints,
    16: _varints,
    17: _varints,
}


def from_python(values: ArrayLike) -> NDArray[Any]:
    """Makes the array that `encode` takes from what a person has: nested lists, str, bytes, numbers.

    Text becomes UTF-8 bytes, with `?` for half of an emoji that was cut in two, which is no text.

    Example:
        >>> from_python(["naïve"])
        array([b'na\\xc3\\xafve'], dtype=object)
    """
    if isinstance(values, np.ndarray) and values.dtype.kind not in "OSU":
        return values
    array = np.array(values, dtype=object)
    if array.size and not isinstance(array.flat[0], str | bytes):
        return np.asarray(values)
    texts = [text.encode(errors="replace") if isinstance(text, str) else bytes(text) for text in array.flat]
    encoded = np.empty(len(texts), dtype=object)
    encoded[:] = texts
    return encoded.reshape(array.shape)
