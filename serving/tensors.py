"""TensorProto to numpy and back, without TensorFlow.

Strings are numpy arrays of dtype `object` that hold `bytes`.
"""

import functools
import math
import reprlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from serving import protos, wire

MAX_BYTES = 1 << 28
"""A tensor that a few bytes of request could blow up to more than this (256 MiB) is refused."""

_MAX_RANK = 32
"""TensorFlow's runtime crashes when it makes a numpy array of more dimensions."""

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
    np.dtype(dtype): (wire.integer(1, protos.DataType.Value(name)), field, number)
    for name, (dtype, field, number) in _FIELDS.items()
}
_AS_IN_MEMORY = {5, 6, 11}  # fields whose packed values are the array's own bytes
_CONTENT = 4
_STRINGS = 8
_FEW = 48  # values that are read faster one by one than as an array
_STRING_BYTES = 24  # what TensorFlow spends on an empty string


def dtype_of(data_type: int) -> np.dtype[Any]:
    """The numpy dtype of a DataType's number. KeyError where numpy has none."""
    return _BY_NUMBER[data_type][0]


def data_type_of(dtype: np.dtype[Any]) -> str:
    """TensorFlow's name of a numpy dtype, as its messages say it: "float", "int64", "string"."""
    return next(name.removeprefix("DT_").lower() for name, (known, _, _) in _FIELDS.items() if np.dtype(known) == dtype)


def decode(proto: Any) -> NDArray[Any]:
    """Reads a TensorProto, as TensorFlow does.

    Fewer values than elements repeat the last one (zero, or the empty string, where there is none); surplus values are
    dropped.

    Args:
        proto: a TensorProto of this package's pool, or of TensorFlow's.

    Returns:
        An array with the message's dtype and shape. It may be read-only.

    Raises:
        ValueError: an unknown dtype, an invalid shape, or values that do not fill it.
    """
    # What comes before the values is the same for all tensors of a shape: looked up as bytes, it costs a quarter of
    # what asking the message for each dimension does; and for most types, the values are the bytes that are left.
    data = proto.SerializeToString()
    if len(data) > 4 and data[0] == 0x08 and data[2] == 0x12 and data[3] < 0x80:
        head = 4 + data[3]
        dtype, shape, size, field, starts = _layout(data[:head])
        start = len(data) - size * dtype.itemsize
        if start > 0 and data[head:start] in starts:
            return np.frombuffer(data, dtype, size, start).reshape(shape)
    else:
        alike = protos.TensorProto(dtype=proto.dtype)
        alike.tensor_shape.MergeFromString(proto.tensor_shape.SerializeToString())
        dtype, shape, size, field, _ = _layout(alike.SerializeToString())
    return _values(proto, dtype, size, field).reshape(shape)


@functools.lru_cache(4096)
def _layout(head: bytes) -> tuple[np.dtype[Any], tuple[int, ...], int, str, tuple[bytes, ...]]:
    """What a TensorProto without values says of them.

    Returns:
        The array's dtype, shape and size; the typed field; and what stands before values that are the array's bytes.
    """
    proto = protos.TensorProto.FromString(head)
    if proto.dtype not in _BY_NUMBER:
        raise ValueError(f"dtype {proto.dtype} is not supported")
    dtype, field = _BY_NUMBER[proto.dtype]
    if proto.tensor_shape.unknown_rank:
        raise ValueError("the shape has no rank")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if any(dim < 0 for dim in shape):
        raise ValueError(f"the shape {shape} is negative")
    if len(shape) > _MAX_RANK:
        raise ValueError(f"the shape has {len(shape)} dimensions")
    size = math.prod(shape)
    numbers = [_BY_DTYPE[dtype][2]] if _BY_DTYPE[dtype][2] in _AS_IN_MEMORY else []
    if dtype.kind not in "bO":  # not every byte is a boolean
        numbers.append(_CONTENT)
    starts = tuple(wire.prefix(number, size * dtype.itemsize) for number in numbers) if size else ()
    return dtype, shape, size, field, starts


def _values(proto: Any, dtype: np.dtype[Any], size: int, field: str) -> NDArray[Any]:
    if not size:
        return np.empty(0, dtype)
    if proto.tensor_content:
        return _from_content(proto.tensor_content, dtype, size)
    values = getattr(proto, field)
    array = _from_typed(values if len(values) > _FEW and not dtype.hasobject else values[:], dtype)
    if len(array) < size:
        last: Any = array[-1] if len(array) else (b"" if dtype.hasobject else 0)
        weight = _STRING_BYTES + len(last) if dtype.hasobject else dtype.itemsize
        if size * weight > MAX_BYTES:
            raise ValueError(f"{len(array)} values for {size} elements")
        array = np.concatenate([array, np.full(size - len(array), last, dtype)])
    return array[:size]


def _from_typed(values: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype == np.float16:
        return np.array(values, np.int32).astype(np.uint16).view(np.float16)
    if dtype.itemsize < 4 and dtype.kind in "iu":
        return np.array(values, np.int32).astype(dtype)
    return np.array(values, dtype)


def _from_content(content: bytes, dtype: np.dtype[Any], size: int) -> NDArray[Any]:
    if dtype.hasobject:
        return _strings_from(content, size)
    if len(content) != size * dtype.itemsize:
        raise ValueError(f"{len(content)} bytes for {size} elements of {dtype}")
    if dtype.kind == "b" and max(content) > 1:
        raise ValueError("a byte that is no boolean")
    return np.frombuffer(content, dtype)


def _strings_from(content: bytes, size: int) -> NDArray[Any]:
    """Reads strings as TensorFlow packs them: all lengths, then all bytes."""
    if size > len(content):
        raise ValueError(f"{len(content)} bytes for {size} strings")
    lengths, position = [], 0
    for _ in range(size):
        length, position = wire.read_varint(content, position)
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise ValueError("the strings' lengths do not add up")
    array = np.empty(size, object)
    for index, length in enumerate(lengths):
        array[index] = content[position : position + length]
        position += length
    return array


def encode(array: NDArray[Any], content: bool = False) -> bytes:
    """Writes an array as the bytes of a TensorProto.

    Args:
        array: a number or boolean type, or `object` that holds `bytes`; any shape.
        content: whether its values go into `tensor_content`, instead of the typed field.

    Returns:
        A serialized TensorProto.

    Raises:
        KeyError: TensorProto has no such dtype.
    """
    return b"".join(parts(array, content))


def parts(array: NDArray[Any], content: bool = False) -> tuple[bytes, bytes]:
    """The two halves of `encode`, for who joins many tensors at once."""
    dtype = array.dtype
    head, field, as_in_memory = _head(dtype, array.shape, content)
    if as_in_memory:
        return head, array.tobytes()
    values = (array.view(np.uint16) if dtype == np.float16 else array).ravel().tolist()
    if not dtype.hasobject:
        return head, protos.TensorProto(**{field: values}).SerializeToString()
    if content and values:
        return head, wire.block(_CONTENT, b"".join((*(wire.varint(len(text)) for text in values), *values)))
    return head, wire.blocks(_STRINGS, values)


@functools.lru_cache(4096)
def _head(dtype: np.dtype[Any], shape: tuple[int, ...], content: bool) -> tuple[bytes, str, bool]:
    """The bytes before the values, the values' field, and whether the array's own bytes follow."""
    data_type, field, number = _BY_DTYPE[dtype]
    head = data_type + wire.block(2, wire.blocks(2, [wire.integer(1, size) for size in shape]))
    as_in_memory = not dtype.hasobject and (content or number in _AS_IN_MEMORY)
    size = math.prod(shape) * dtype.itemsize
    if as_in_memory and size:
        head += wire.prefix(_CONTENT if content else number, size)
    return head, field, as_in_memory


def from_python(values: ArrayLike) -> NDArray[Any]:
    """Makes the array that `encode` takes from what a person has: nested lists, str, bytes, numbers.

    Text becomes UTF-8 bytes, with `?` for half of an emoji that was cut in two, which is no text.

    Raises:
        TypeError: neither numbers nor all str and bytes.
        ValueError: the lists have different lengths.

    Example:
        >>> from_python(["naïve"])
        array([b'na\\xc3\\xafve'], dtype=object)
    """
    if isinstance(values, np.ndarray) and values.dtype.kind not in "OSU":
        return values
    array = np.array(values, dtype=object)
    if array.size and not isinstance(array.flat[0], str | bytes):
        numbers = np.asarray(values)
        if numbers.dtype.kind not in "OSU":
            return numbers
    encoded = np.empty(array.size, dtype=object)
    encoded[:] = [_bytes(value) for value in array.flat]
    return encoded.reshape(array.shape)


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode(errors="replace")
    if isinstance(value, bytes):
        return bytes(value)
    raise TypeError(f"expected numbers, or str and bytes alone; received {reprlib.repr(value)}")
