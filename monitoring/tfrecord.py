"""TFRecord files, read without TensorFlow.

A record is its length (uint64), the length's masked CRC-32C, the data and the data's masked CRC-32C, all
little-endian: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import struct
from collections.abc import Sequence
from mmap import mmap

import numpy as np

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, reflected
_ROW = 128
_HEADER = struct.Struct("<QI")
_CRC = struct.Struct("<I")


def spans(buffer: bytes | mmap) -> list[tuple[int, int]]:
    """Start and end of the data of each whole record, up to the end or the first damaged length."""
    found, at, size = [], 0, len(buffer)
    while at + _HEADER.size <= size:
        length, check = _HEADER.unpack_from(buffer, at)
        start = at + _HEADER.size
        at = start + length + _CRC.size
        if at > size or _masked(_crc32c_bytewise(buffer[start - 12 : start - 4])) != check:
            break
        found.append((start, start + length))
    return found


def intact(buffer: bytes | mmap, records: Sequence[tuple[int, int]]) -> list[bool]:
    """Whether the data of each record agrees with its checksum."""
    crcs = crc32c([buffer[start:end] for start, end in records])
    return [_masked(crc) == _CRC.unpack_from(buffer, end)[0] for crc, (_, end) in zip(crcs, records, strict=True)]


def crc32c(messages: Sequence[bytes]) -> list[int]:
    """CRC-32C of each message.

    A byte at a time in Python would take seconds a window. The register is linear in the message and, once
    the initial ones are moved into its first four bytes, blind to leading zeros; so messages are padded in
    front to rows of equal length, all rows are worked through at once, and a message's rows are folded
    together.

    Example:
        >>> hex(crc32c([b"123456789"])[0])
        '0xe3069283'
    """
    rows = [-(-max(len(message), 4) // _ROW) for message in messages]
    padded = np.zeros(sum(rows) * _ROW, np.uint8)
    end = 0
    for message, count in zip(messages, rows, strict=True):
        end += count * _ROW
        if len(message) >= 4:
            padded[end - len(message) : end] = np.frombuffer(message, np.uint8)
            padded[end - len(message) : end - len(message) + 4] ^= 0xFF
    registers = np.zeros(sum(rows), np.uint32)
    for column in np.ascontiguousarray(padded.reshape(-1, _ROW).T):
        registers = _TABLE[(registers ^ column) & 0xFF] ^ (registers >> 8)

    each, at, crcs = registers.tolist(), 0, []
    for message, count in zip(messages, rows, strict=True):
        crc = 0
        for register in each[at : at + count]:
            crc = _past_row(crc) ^ register
        crcs.append(crc ^ 0xFFFFFFFF if len(message) >= 4 else _crc32c_bytewise(message))
        at += count
    return crcs


def _crc32c_bytewise(message: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in message:
        crc = _INTS[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _masked(crc: int) -> int:
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _past_row(crc: int) -> int:
    """The register after a row of zeros."""
    first, second, third, fourth = _PAST_ROW
    return first[crc & 0xFF] ^ second[crc >> 8 & 0xFF] ^ third[crc >> 16 & 0xFF] ^ fourth[crc >> 24]


def _table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


def _past_row_tables() -> list[list[int]]:
    registers = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
    for _ in range(_ROW):
        registers = _TABLE[registers & 0xFF] ^ (registers >> 8)
    return registers.tolist()


_TABLE = _table()
_INTS: list[int] = _TABLE.tolist()
_PAST_ROW = _past_row_tables()
