"""What a large request holds, read where it lies in the message, piece by piece.

protobuf reads a message in one go, during which no other thread runs Python, and makes an object of every entry of a
list or map: 16 MiB of empty strings take it 0.3 s and 250 MB. Here, numbers that lie in the message as they do in an
array are not even copied; the rest is read by protobuf a few kilobytes at a time, and no more of it than is asked for.
What no request has many of is counted.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from unroll.serving.front.limits import Limits
from unroll.serving.protocol import dtypes, examples, protos, tensors, wire
from unroll.serving.protocol.status import StatusError, invalid

LARGE = 1 << 16
"""Bytes of a message from which on it is worth while."""

Pace = Callable[[], None]
"""Called about every half millisecond; may wait, or raise."""

Tensor = NDArray[Any] | ValueError
"""An array, or why there is none."""

_Piece = tuple[int | None, int, int]
"""A part of a TensorProto: fields; or the value of one, whose number it begins with."""

_MAX_PARTS = 1 << 15  # of what no request has many of: its inputs, its filter's names, its tasks
_MAX_SMALL_BYTES = 1 << 18  # of what says only what is wanted: models, names, types, shapes
_INPUTS, _KEY, _VALUE = 2, 1, 2  # of a PredictRequest, and of an entry of that map
_SHAPE, _CONTENT, _STRINGS, _RESOURCES, _VARIANTS = 2, 4, 8, 14, 15  # of a TensorProto
_OF_BYTES = {_CONTENT: "tensor_content", 18: "float8_val"}
_IN_MEMORY = (5, 6, 9, 12)  # typed fields whose packed numbers lie there as they do in an array
_INPUT, _ALONE, _SHARING, _EXAMPLE, _CONTEXT = 2, 1, 2, 1, 2  # of a ClassificationRequest and the like, of an Input
_PIECE = 1 << 13  # bytes that are read at once
_GUESSES = 4
_MAX_VARINT = 10
_PACE_STEPS = 1 << 8


def predict(message: bytes, limits: Limits, pace: Pace) -> tuple[Any, dict[str, Tensor]]:
    """Reads a PredictRequest.

    Args:
        message: the request.
        limits: on its strings. On its rows they are for who knows what has rows.
        pace: see the module.

    Returns:
        The request without its inputs, and these by name.

    Raises:
        StatusError: INVALID_ARGUMENT.
    """
    try:
        reader = _Reader(message, pace)
        request, entries = reader.split(protos.PredictRequest, _INPUTS)
        sent: dict[str, list[tuple[int, int]]] = {}
        for entry in entries:
            key, values = b"", []
            for number, kind, _, begin, end in reader.fields(*entry):
                if kind == wire.BYTES and number == _KEY:
                    key = message[begin:end]
                elif kind == wire.BYTES and number == _VALUE:
                    values.append((begin, end))
            sent[key.decode()] = values
        inputs = {name: reader.tensor(values) for name, values in sent.items()}
    except (ValueError, DecodeError):
        raise _no_message(protos.PredictRequest) from None
    for alias, array in inputs.items():
        if limits.of_strings and isinstance(array, np.ndarray) and array.dtype.hasobject:
            limits.check_strings(alias, reader.paced(array.flat))
    return request, inputs


def decoded(tensor: Tensor) -> NDArray[Any]:
    """The array.

    Raises:
        ValueError: there is none.
    """
    if isinstance(tensor, ValueError):
        raise tensor
    return tensor


def of_examples(message_class: Any, message: bytes, limits: Limits, pace: Pace) -> tuple[Any, NDArray[Any]]:
    """Reads a ClassificationRequest, RegressionRequest or MultiInferenceRequest.

    Args:
        message_class: which of them.
        message: the request.
        limits: on its rows and strings.
        pace: see the module.

    Returns:
        The request without its input, and what `examples.serialized` makes of that. Whether each is an Example is for
        the graph to find out.

    Raises:
        StatusError: INVALID_ARGUMENT.
    """
    try:
        reader = _Reader(message, pace)
        request, inputs = reader.split(message_class, _INPUT)
        found = reader.examples(inputs, limits)
        if limits.of_strings:
            parsed = (protos.Example.FromString(example) for part in found for example in part)
            strings = (string for example in parsed for string in examples.strings_of(example))
            limits.check_strings("examples", reader.paced(strings))
    except (ValueError, DecodeError):
        raise _no_message(message_class) from None
    alone, contexts, sharing = found
    return request, examples.joined(alone, b"".join(contexts), sharing)


def _no_message(message_class: Any) -> StatusError:
    return invalid(f"The request is not a {message_class.DESCRIPTOR.name} message")


class _Reader:
    """Reads one message; raises ValueError or DecodeError where it is not one.

    Args:
        message: the request.
        pace: see the module.
    """

    def __init__(self, message: bytes, pace: Pace) -> None:
        self._data = message
        self._pace = pace
        self._parts = 0
        self._shape_bytes = 0

    def paced(self, items: Iterable[Any]) -> Iterator[Any]:
        for number, item in enumerate(items):
            if not number % _PACE_STEPS:
                self._pace()
            yield item

    def fields(self, begin: int, end: int) -> Iterator[wire.Field]:
        """The fields of a message of which there are few."""
        for field in wire.fields(self._data, begin, end):
            self._count_part()
            yield field

    def split(self, message_class: Any, number: int) -> tuple[Any, list[tuple[int, int]]]:
        """The request without that field, and where the field's values are."""
        rest, values = [], []
        for found, kind, start, begin, end in self.fields(0, len(self._data)):
            if (found, kind) == (number, wire.BYTES):
                values.append((begin, end))
            else:
                rest.append((start, end))
        if (size := sum(end - start for start, end in rest)) > _MAX_SMALL_BYTES:
            raise invalid(
                f"The request has {size} bytes beside its inputs or examples; this server takes at most "
                f"{_MAX_SMALL_BYTES}. Leave out what says nothing of what is wanted."
            )
        return message_class.FromString(b"".join([self._data[start:end] for start, end in rest])), values

    def examples(self, inputs: list[tuple[int, int]], limits: Limits) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """The examples of an Input that have no context, the parts of the context, and the examples that have it."""
        alone, contexts, sharing = found = [], [], []  # type: tuple[list[bytes], list[bytes], list[bytes]]
        rows = 0
        for which, kind, _, *place in (field for one in inputs for field in self.fields(*one)):
            if kind != wire.BYTES or which not in (_ALONE, _SHARING):
                continue
            if alone if which == _SHARING else sharing or contexts:  # of the two, the one that comes last counts
                rows = 0
                for part in found:
                    part.clear()
            for number, kind, _, begin, end in self.paced(wire.fields(self._data, *place)):
                if (number, kind) != (_EXAMPLE, wire.BYTES):
                    self._count_part()
                    if (number, kind, which) == (_CONTEXT, wire.BYTES, _SHARING):
                        contexts.append(self._data[begin:end])
                    continue
                rows += 1
                limits.check_rows("examples", rows, more=True)
                (alone if which == _ALONE else sharing).append(self._data[begin:end])
        return found

    def tensor(self, places: list[tuple[int, int]]) -> Tensor:
        """Reads a TensorProto whose parts are at those places."""
        head = protos.TensorProto()
        last: dict[int, wire.Part] = {}  # of fields of bytes, of which the last one counts
        pieces = [piece for place in places for piece in self._pieces(*place)]
        for number, begin, end in pieces:
            self._pace()
            if number is None:
                piece = protos.TensorProto.FromString(self._data[begin:end])
                self._add(head, piece)
                last |= {of: value for of, name in _OF_BYTES.items() if (value := getattr(piece, name))}
            elif number == _SHAPE:
                self._add(head, protos.TensorProto.FromString(wire.block(_SHAPE, self._data[begin:end])))
            elif number in (_RESOURCES, _VARIANTS):
                raise _no_values()
            elif number in _OF_BYTES:
                last[number] = memoryview(self._data)[begin:end]
        try:
            kind, shape, size = tensors.layout(head)
            if not size:
                return np.empty(shape, kind.dtype)
            if content := last.get(_CONTENT):
                return self._from_content(content, kind.dtype, size).reshape(shape)
            if kind.number in _OF_BYTES:
                array = np.frombuffer(last.get(kind.number, b""), kind.dtype)
            else:
                array = self._typed(pieces, kind, size)
            array = array[:size] if len(array) >= size else tensors.filled(array, shape, size)
            return array.reshape(shape)
        except ValueError as error:
            return error

    def _pieces(self, position: int, end: int) -> Iterator[_Piece]:
        """Cuts a message where fields end: each large value by itself, and between them a few kilobytes at a time."""
        while position < end:
            self._pace()
            first = next(wire.fields(self._data, position, end))
            number, kind, _, begin, behind = first
            if kind == wire.BYTES and behind - begin > _PIECE:
                yield number, begin, behind
            else:
                behind = end if end - position <= _PIECE else self._cut(position, end)
                yield None, position, behind
            position = behind

    def _cut(self, start: int, end: int) -> int:
        """Where fields end that come to a piece or so."""
        # What protobuf can read ends where a field does. Where the next one may begin as the first did is a good guess.
        guess = start + _PIECE
        for _ in range(_GUESSES):
            guess = self._data.find(self._data[start], guess + 1, min(end, start + 2 * _PIECE))
            if guess < 0:
                break
            with contextlib.suppress(DecodeError):
                protos.TensorProto.FromString(self._data[start:guess])
                return guess
        for _, kind, at, begin, behind in self.paced(wire.fields(self._data, start, end)):
            if kind == wire.BYTES and behind - begin > _PIECE:
                return at
            if behind - start >= _PIECE:
                return behind
        return end

    def _add(self, head: Any, piece: Any) -> None:
        if piece.resource_handle_val or piece.variant_val:
            raise _no_values()
        head.dtype = piece.dtype or head.dtype
        if piece.HasField("tensor_shape"):
            self._shape_bytes += piece.tensor_shape.ByteSize()
            if self._shape_bytes > _MAX_SMALL_BYTES:
                raise invalid("tensor parsing error: the shape has too many dimensions")
            head.tensor_shape.MergeFrom(piece.tensor_shape)

    def _from_content(self, content: wire.Part, dtype: np.dtype[Any], size: int) -> NDArray[Any]:
        if dtype.hasobject:
            return tensors.strings_from(bytes(content), size, self._pace)
        return tensors.numbers_from(content, dtype, size)

    def _typed(self, pieces: list[_Piece], kind: dtypes.Kind, size: int) -> NDArray[Any]:
        """The values of a typed field, as far as they are needed."""
        wanted = 2 * size if kind.dtype.kind == "c" else size
        values, count = np.empty(0, kind.stored), 0
        for piece in self._read(pieces, kind):
            self._pace()
            taken = piece[: wanted - count]
            if not count and len(taken) == wanted and isinstance(taken, np.ndarray):
                return tensors.viewed(taken, kind)
            if not len(values):  # no more than as many as there are bytes
                values = np.empty(min(wanted, sum(end - begin for _, begin, end in pieces)), kind.stored)
            values[count : count + len(taken)] = taken
            count += len(taken)
            if count == len(values):
                break
        return tensors.viewed(values[:count], kind)

    def _read(self, pieces: list[_Piece], kind: dtypes.Kind) -> Iterator[NDArray[Any] | list[bytes]]:
        """The values of a typed field, as they are stored."""
        for number, begin, end in pieces:
            if number is None:
                yield _of_field(self._data[begin:end], kind)
            elif number != kind.number:
                pass
            elif number == _STRINGS:
                yield [self._data[begin:end]]
            elif number in _IN_MEMORY:
                if (end - begin) % kind.stored.itemsize:
                    raise DecodeError("half a number")
                yield np.frombuffer(memoryview(self._data)[begin:end], kind.stored)
            else:
                while begin < end:
                    behind = min(begin + _PIECE, end)
                    longest = min(behind + _MAX_VARINT, end)
                    while behind < longest and self._data[behind - 1] >= 0x80:  # in the middle of a number
                        behind += 1
                    yield _of_field(wire.block(number, self._data[begin:behind]), kind)
                    begin = behind

    def _count_part(self) -> None:
        self._parts += 1
        if not self._parts % _PACE_STEPS:
            self._pace()
        if self._parts > _MAX_PARTS:
            raise invalid(f"The request has more than {_MAX_PARTS} parts. Send what it asks for in several requests.")


def _of_field(data: bytes, kind: dtypes.Kind) -> NDArray[Any] | list[bytes]:
    """The values in a part of a TensorProto."""
    values = getattr(protos.TensorProto.FromString(data), kind.field)
    return values[:] if kind.number == _STRINGS else tensors.stored(values, kind)


def _no_values() -> StatusError:
    return invalid("tensor parsing error: resources and variants cannot be sent")
