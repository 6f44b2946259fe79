"""TensorProto to numpy and back, without TensorFlow.

Strings are numpy arrays of dtype `object` that hold `bytes`; for numbers, see `unroll.serving.protocol.dtypes`.
"""

import functools
import itertools
import math
import reprlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unroll.serving.protocol import dtypes, protos, wire

MAX_BYTES = 1 << 24
"""A tensor whose shape stands for more than this (16 MiB) must send its values: see `decode`."""

STRING_BYTES = 24
"""What TensorFlow spends on an empty string."""

_FREE_BYTES, _FILLING = 1 << 20, 16  # that are filled for any number of values, and times as many as were sent

_SHOWN = 1000  # texts of an array that are measured

_MAX_RANK = 32
"""TensorFlow's runtime crashes when it makes a numpy array of more dimensions."""

_AS_IN_MEMORY = {5, 6, 9, 11, 12, 18}  # fields whose packed values are the array's own bytes
_CONTENT = 4
_STRINGS = 8
_FEW = 48  # values that are read faster one by one than as an array
_RUN = 1 << 16  # numbers that are read or written at once
_STRINGS_A_PIECE = 1 << 12


class UnsentError(ValueError):
    """A shape that stands for far more than was sent."""


def data_type_of(dtype: np.dtype[Any]) -> str:
    """TensorFlow's name of a numpy dtype, as its messages say it: "float", "int64", "string"."""
    return dtypes.name_of(dtypes.BY_DTYPE[dtype].data_type)


def decode(proto: Any) -> NDArray[Any]:
    """Reads a TensorProto, as TensorFlow does.

    Fewer values than elements repeat the last one (zero, or the empty string, where there is none), up to `MAX_BYTES`,
    or where there are several, sixteen times as much as these; surplus values are dropped. A shape of unknown rank is
    read by its dimensions: without any, it is a scalar's.

    Args:
        proto: a TensorProto of this package's pool, or of TensorFlow's.

    Returns:
        An array with the message's dtype and shape. It may be read-only.

    Raises:
        UnsentError: a shape that stands for more than that (a size of 0 taken for 1) without values to fill it.
        ValueError: an unknown dtype, an invalid shape, or values that do not fill it.
    """
    # What comes before the values is the same for all tensors of a shape: looked up as bytes, it costs a quarter of
    # what asking the message for each dimension does; and for most types, the values are the bytes that are left.
    data = proto.SerializeToString()
    if len(data) > 4 and data[0] == 0x08 and data[1] < 0x80 and data[2] == 0x12 and data[3] < 0x80:
        head = 4 + data[3]
        kind, shape, size, starts = _layout(data[:head])
        dtype = kind.dtype
        start = len(data) - size * dtype.itemsize
        if start > 0 and data[head:start] in starts:
            return np.frombuffer(data, dtype, size, start).reshape(shape)
    else:
        kind, shape, size = layout(proto)
    return _values(proto, kind, shape, size).reshape(shape)


def layout(proto: Any) -> tuple[dtypes.Kind, tuple[int, ...], int]:
    """What a TensorProto says of its values: their kind, the array's shape and its size.

    Raises:
        ValueError: see `decode`.
    """
    # Of many dimensions or long names of theirs, nothing is to be remembered.
    shape = {"dim": [{"size": dim.size} for dim in itertools.islice(proto.tensor_shape.dim, _MAX_RANK + 1)]}
    return _layout(protos.TensorProto(dtype=proto.dtype, tensor_shape=shape).SerializeToString())[:3]


@functools.lru_cache(4096)
def _layout(head: bytes) -> tuple[dtypes.Kind, tuple[int, ...], int, tuple[bytes, ...]]:
    """What a TensorProto without values says of them.

    Returns:
        The array's kind, shape and size; and what stands before values that are the array's bytes.
    """
    proto = protos.TensorProto.FromString(head)
    if proto.dtype not in dtypes.BY_NUMBER:
        raise ValueError(dtypes.unsupported(proto.dtype))
    kind = dtypes.BY_NUMBER[proto.dtype]
    dtype = kind.dtype
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if any(dim < 0 for dim in shape):
        raise ValueError(f"the shape {shape} is negative")
    if len(shape) > _MAX_RANK:
        raise ValueError(f"the shape has {len(shape)} dimensions")
    size = math.prod(shape)
    if not size:  # sizes beside a zero cost nothing to send, but outputs may have them
        _check_sent(shape, math.prod(filter(None, shape)) * dtype.itemsize, 0)
    numbers = [kind.number] if kind.number in _AS_IN_MEMORY else []
    if dtype.kind not in "bO":  # not every byte is a boolean
        numbers.append(_CONTENT)
    starts = tuple(wire.prefix(number, size * dtype.itemsize) for number in numbers) if size else ()
    return kind, shape, size, starts


def _check_sent(shape: tuple[int, ...], size: int, values: int, maximum: int = MAX_BYTES) -> None:
    if size > maximum:
        shown = ",".join(map(str, shape))
        raise UnsentError(
            f"the shape [{shown}] stands for {size} bytes, and {values} values were sent. Send all values of what has "
            f"more than {maximum} bytes"
        )


def runtime_bytes(array: NDArray[Any]) -> int:
    """What TensorFlow spends on an array. Of many texts, as much as if all were as long as a thousand of them."""
    if not array.dtype.hasobject:
        return array.nbytes
    shown = array.flat[:: -(-array.size // _SHOWN) or 1].tolist()
    return array.size * STRING_BYTES + sum(map(len, shown)) * array.size // (len(shown) or 1)


def _values(proto: Any, kind: dtypes.Kind, shape: tuple[int, ...], size: int) -> NDArray[Any]:
    dtype = kind.dtype
    if not size:
        return np.empty(0, dtype)
    if proto.tensor_content:
        return _from_content(proto.tensor_content, dtype, size)
    array = _from_typed(getattr(proto, kind.field), kind)
    if len(array) < size:
        return filled(array, shape, size)
    return array[:size]


def filled(array: NDArray[Any], shape: tuple[int, ...], size: int) -> NDArray[Any]:
    """Values whose last one stands for all that are missing. A single one takes no memory for that, nor time."""
    dtype = array.dtype
    last = array[-1:] if len(array) else np.array([b""], object) if dtype.hasobject else np.zeros(1, dtype)
    weight = STRING_BYTES + len(last[0]) if dtype.hasobject else dtype.itemsize
    if len(array) < 2:
        _check_sent(shape, size * weight, len(array))
        return np.broadcast_to(last, size)
    _check_sent(shape, size * weight, len(array), min(MAX_BYTES, max(_FREE_BYTES, _FILLING * weight * len(array))))
    whole = np.empty(size, dtype)
    whole[: len(array)], whole[len(array) :] = array, last
    return whole


def _from_typed(values: Any, kind: dtypes.Kind) -> NDArray[Any]:
    if isinstance(values, bytes):
        return np.frombuffer(values, kind.dtype)
    return viewed(stored(values, kind), kind)


def stored(values: Any, kind: dtypes.Kind) -> NDArray[Any]:
    """The values of a repeated field, as they are in the memory of an array of that kind."""
    if len(values) <= _FEW or kind.dtype.hasobject:
        values = values[:]
    if kind.stored.itemsize < 4 and kind.stored.kind in "iu":  # what does not fit wraps around
        return np.array(values, np.int32).astype(kind.stored)
    return np.array(values, kind.stored)


def viewed(values: NDArray[Any], kind: dtypes.Kind) -> NDArray[Any]:
    """What is stored, as an array of that kind."""
    return (values[: len(values) & ~1] if kind.dtype.kind == "c" else values).view(kind.dtype)


def _from_content(content: bytes, dtype: np.dtype[Any], size: int) -> NDArray[Any]:
    return strings_from(content, size) if dtype.hasobject else numbers_from(content, dtype, size)


def numbers_from(content: wire.Part, dtype: np.dtype[Any], size: int) -> NDArray[Any]:
    """Reads `tensor_content`. The array is that memory."""
    if len(content) != size * dtype.itemsize:
        raise ValueError(f"{len(content)} bytes for {size} elements of {dtype}")
    if dtype.kind == "b" and np.frombuffer(content, np.uint8).max() > 1:
        raise ValueError("a byte that is not a boolean")
    return np.frombuffer(content, dtype)


def strings_from(content: bytes, size: int, pace: Callable[[], None] = lambda: None) -> NDArray[Any]:
    """Reads strings as TensorFlow packs them: all lengths, then all bytes.

    Args:
        content: `tensor_content`.
        size: how many strings.
        pace: called now and then.
    """
    if size > len(content):
        raise ValueError(f"{len(content)} bytes for {size} strings")
    position, end = 0, _end_of_varints(content, size)
    array = np.empty(size, object)
    for start in range(0, size, _STRINGS_A_PIECE):
        count = min(size - start, _STRINGS_A_PIECE)
        lengths = list(content[position : position + count])
        if max(lengths) < 0x80:
            position += count
        else:  # some take more than a byte
            lengths = []
            for _ in range(count):
                length, position = wire.read_varint(content, position)
                lengths.append(length)
        ends = [*itertools.accumulate(lengths, initial=end)]
        array[start : start + count] = [content[begin:end] for begin, end in itertools.pairwise(ends)]
        end = ends[-1]
        pace()
    if end != len(content):
        raise ValueError("the strings' lengths do not add up")
    return array


def _end_of_varints(content: bytes, count: int) -> int:
    """Where so many numbers end."""
    for start in range(0, len(content), _RUN):
        ends = np.flatnonzero(np.frombuffer(content, np.uint8, min(_RUN, len(content) - start), start) < 0x80)
        if len(ends) >= count:
            return start + int(ends[count - 1]) + 1
        count -= len(ends)
    raise ValueError("the strings' lengths are cut short")


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
    head, kind, as_in_memory = _head(dtype, array.shape, content)
    if as_in_memory:
        return head, array.tobytes()
    if not dtype.hasobject:
        return head, _packed(array, kind)
    values = array.ravel().tolist()
    if content and values:
        return head, wire.block(_CONTENT, b"".join((*(wire.varint(len(text)) for text in values), *values)))
    return head, wire.blocks(_STRINGS, values)


def least_bytes(array: NDArray[Any], content: bool = False) -> int:
    """How many bytes `parts` makes of an array at least, without making them."""
    if array.dtype.hasobject:
        return int(array.size) + sum(map(len, array.flat))
    as_in_memory = content or dtypes.BY_DTYPE[array.dtype].number in _AS_IN_MEMORY
    return array.nbytes if as_in_memory else int(array.size)


def _packed(array: NDArray[Any], kind: dtypes.Kind) -> bytes:
    """A typed field of numbers, in runs: all of them at once as Python's would take ten times the memory."""
    flat = array.ravel()
    # An int4 is a byte of which not all bits count; a half's bits are its number.
    flat = flat.view(kind.stored) if kind.field == "half_val" else flat.astype(kind.stored, copy=False)
    runs = (flat[start : start + _RUN].tolist() for start in range(0, len(flat), _RUN))
    return b"".join([protos.TensorProto(**{kind.field: run}).SerializeToString() for run in runs])


@functools.lru_cache(4096)
def _head(dtype: np.dtype[Any], shape: tuple[int, ...], content: bool) -> tuple[bytes, dtypes.Kind, bool]:
    """The bytes before the values, their kind, and whether the array's own bytes follow."""
    kind = dtypes.BY_DTYPE[dtype]
    head = wire.integer(1, kind.data_type) + wire.block(2, wire.blocks(2, [wire.integer(1, size) for size in shape]))
    as_in_memory = not dtype.hasobject and (content or kind.number in _AS_IN_MEMORY)
    size = math.prod(shape) * dtype.itemsize
    if as_in_memory and size:
        head += wire.prefix(_CONTENT if content else kind.number, size)
    return head, kind, as_in_memory


def from_python(values: ArrayLike) -> NDArray[Any]:
    """Makes the array that `encode` takes from what a person has: nested lists, str, bytes, numbers.

    Text becomes UTF-8 bytes, with `?` for half of an emoji that was cut in two, which is not text.

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
