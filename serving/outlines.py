"""What a large request is made of, looked at before it is parsed.

protobuf makes an object of every entry of a list or map: one of two bytes takes up to 180 in memory and half a
microsecond. What no request has many of is counted first, so that memory stays in proportion to what was sent.
"""

from google.protobuf.message import DecodeError

from serving import text_protos, wire
from serving.status import invalid

LARGE = 1 << 20
"""Bytes below which it does not matter what a request is made of."""

_MOST_FIELDS = 4096  # of a request itself: its inputs, its filter's names, its tasks
_MOST_SHAPE_BYTES = 1 << 18  # of all inputs
_SMALL = 1 << 10  # bytes of an input that so many of a request may have without a look
_INPUTS, _VALUE = 2, 2
_VARINT, _FIXED64, _BYTES, _BEGIN, _END, _FIXED32 = range(6)

# Of a TensorProto, that which is made of messages.
_Tensor = text_protos.message(
    "unroll.TensorOutline",
    {
        "tensor_shape": (2, "repeated bytes"),
        "resource_handle_val": (14, "repeated bytes"),
        "variant_val": (15, "repeated bytes"),
    },
)


def check_request(message: bytes) -> None:
    """Refuses a request that is made of very many parts. What is no message is for the parser to judge.

    Args:
        message: of `LARGE` bytes or more, else it is not worth its time.

    Raises:
        StatusError: INVALID_ARGUMENT.
    """
    _fields(message)


def check_predict_request(message: bytes) -> None:
    """As `check_request`, of a PredictRequest; and its tensors must be of numbers or strings.

    Raises:
        StatusError: INVALID_ARGUMENT.
    """
    shape_bytes = 0  # of all that the parser would make: where a field comes again, it merges
    for number, entry in _fields(message):
        if number != _INPUTS or len(entry) < _SMALL:
            continue
        for part, tensor in _fields(entry):
            if part == _VALUE:
                try:
                    outline = _Tensor.FromString(bytes(tensor))
                except DecodeError:
                    raise invalid("The request is not a PredictRequest message") from None
                if outline.resource_handle_val or outline.variant_val:
                    raise invalid("tensor parsing error: resources and variants cannot be sent")
                shape_bytes += sum(map(len, outline.tensor_shape))
                if shape_bytes > _MOST_SHAPE_BYTES:
                    raise invalid("tensor parsing error: the shape has too many dimensions")


def _fields(message: bytes | memoryview) -> list[tuple[int, memoryview]]:
    """Number and value of the fields that hold bytes, messages or strings, as far as they are a message's.

    Those of a group, which is unknown to all messages here, are taken for the message's own.
    """
    view = memoryview(message)
    found: list[tuple[int, memoryview]] = []
    position = 0
    try:
        for _ in range(_MOST_FIELDS):
            if position >= len(view):
                return found
            tag, position = wire.read_varint(view, position)
            kind = tag & 7
            if kind == _BYTES:
                size, position = wire.read_varint(view, position)
                found.append((tag >> 3, view[position : position + size]))
                position += size
            elif kind == _VARINT:
                _, position = wire.read_varint(view, position)
            elif kind in (_FIXED64, _FIXED32):
                position += 8 if kind == _FIXED64 else 4
            elif kind not in (_BEGIN, _END):
                return found  # the parser gets as far
    except ValueError:
        return found
    if position >= len(view):
        return found
    raise invalid(f"The request has more than {_MOST_FIELDS} parts. Send what it asks for in several requests.")
