"""TFRecord files, read and written without TensorFlow.

A record is its length (uint64), the length's masked CRC-32C, the data and the data's masked CRC-32C, all
little-endian: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import struct
from collections.abc import Iterator, Sequence
from mmap import mmap

import google_crc32c

_HEADER = struct.Struct("<QI")
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")


def spans(buffer: bytes | mmap) -> list[tuple[int, int]]:
    """Start and end of the data of each whole record, up to the end or the first damaged length."""
    found, at, size = [], 0, len(buffer)
    while at + _HEADER.size <= size:
        length, check = _HEADER.unpack_from(buffer, at)
        start = at + _HEADER.size
        at = start + length + _CRC.size
        if at > size or _masked_crc(buffer[start - _HEADER.size : start - _CRC.size]) != check:
            break
        found.append((start, start + length))
    return found


def is_damaged(buffer: bytes | mmap, at: int) -> bool:
    """Whether what begins there is not a record: not one that is still being written, nor the end of the file.

    Args:
        buffer: the file.
        at: where the last record that `spans` found ends, its checksum included.
    """
    head = buffer[at : at + _HEADER.size]
    return len(head) == _HEADER.size and _masked_crc(head[: _LENGTH.size]) != _CRC.unpack_from(head, _LENGTH.size)[0]


def end_of(found: Sequence[tuple[int, int]]) -> int:
    """Where the last of the records that `spans` found ends, its checksum included."""
    return found[-1][1] + _CRC.size if found else 0


def intact(buffer: bytes | mmap, records: Sequence[tuple[int, int]]) -> list[bool]:
    """Whether the data of each record agrees with its checksum."""
    return [_masked_crc(buffer[start:end]) == _CRC.unpack_from(buffer, end)[0] for start, end in records]


def records(buffer: bytes | mmap) -> Iterator[bytes]:
    """The data of each record, up to the first damaged one, as TensorFlow's reader gives them."""
    found = spans(buffer)
    for (start, end), whole in zip(found, intact(buffer, found), strict=True):
        if not whole:
            return
        yield buffer[start:end]


def record(data: bytes) -> bytes:
    """The record that holds some data.

    Example:
        >>> [*records(record(b"one") + record(b"two"))]
        [b'one', b'two']
    """
    length = _LENGTH.pack(len(data))
    return length + _CRC.pack(_masked_crc(length)) + data + _CRC.pack(_masked_crc(data))


def _masked_crc(data: bytes) -> int:
    """Since a checksum of data that hold their own checksum says little: rotated, and a constant added."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
