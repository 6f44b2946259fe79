"""Configuration files in protobuf's text format, of message types that no installed package describes.

TensorFlow Serving's configuration messages for batching, TLS and monitoring are in none of its Python packages: here
they are described by name, number and type of their fields.

https://protobuf.dev/reference/protobuf/textformat-spec/
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from unroll.errors import UserError
from unroll.serving.files import regular_files

_POOL = descriptor_pool.DescriptorPool()
_Field = descriptor_pb2.FieldDescriptorProto


def message(name: str, fields: Mapping[str, tuple[int, str | type]]) -> Any:
    """Makes the class of a message.

    Args:
        name: its full name, as in `tensorflow.serving.SSLConfig`; each name can be described once.
        fields: number and type by field name. A type is one of proto's scalar types or the class of a message (made
            here, or one of `google.protobuf`'s own); `repeated int64` and the like for lists of scalars.

    Example:
        >>> from google.protobuf.wrappers_pb2 import Int64Value
        >>> Queue = message("example.Queue", {"limit": (1, Int64Value), "sizes": (2, "repeated int64")})
        >>> parse("limit { value: 3 } sizes: 1 sizes: 2", Queue, "queue.pbtxt").limit.value
        3
    """
    package, _, short = name.rpartition(".")
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package=package, syntax="proto3")
    described = file.message_type.add(name=short)
    for field_name, (number, kind) in fields.items():
        field = described.field.add(name=field_name, number=number, label=_Field.LABEL_OPTIONAL)
        if isinstance(kind, str):
            repeated, _, scalar = kind.rpartition(" ")
            field.type = _Field.Type.Value(f"TYPE_{scalar.upper()}")
            if repeated:
                field.label = _Field.LABEL_REPEATED
        else:
            other: Any = kind
            field.type = _Field.TYPE_MESSAGE
            field.type_name = f".{other.DESCRIPTOR.full_name}"
            if other.DESCRIPTOR.file.name not in file.dependency:
                file.dependency.append(other.DESCRIPTOR.file.name)
                _POOL.AddSerializedFile(other.DESCRIPTOR.file.serialized_pb)
    _POOL.Add(file)
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


def parse(text: str, message_class: Any, source: str) -> Any:
    """Reads a message of a class from text format.

    Args:
        text: what a file holds.
        message_class: the class, of this module or any other.
        source: how messages name the file.

    Raises:
        UserError: it cannot be parsed, says file, line and reason; or a field is unknown, given twice or out of range.
    """
    try:
        return text_format.Parse(text, message_class())
    except text_format.ParseError as error:
        line = f":{error.GetLine()}" if error.GetLine() else ""
        reason = str(error).split(" : ", 1)[-1]
        expected = ", ".join(field.name for field in message_class.DESCRIPTOR.fields)
        raise UserError(
            f"{source}{line}: {reason.rstrip('.')}. Expected protobuf's text format of "
            f"{message_class.DESCRIPTOR.name}, whose fields are: {expected}."
        ) from None


def read(path: Path, message_class: Any, option: str) -> Any:
    """Reads a message of a class from the file that an option names.

    Raises:
        UserError: as `parse`, or the file cannot be read.
    """
    return parse(text_of(path, option), message_class, f"{option} {path}")


def text_of(path: Path, option: str) -> str:
    """The text of the file that an option names.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        return regular_files.read(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError(
            f"{option} {path}: cannot be read ({reason}). Name a text file that this user may read."
        ) from None
