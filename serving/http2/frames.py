"""Frames of HTTP/2, RFC 9113, section 4 and 6."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
DEPENDENCY_BYTES = 5
"""What PRIORITY frames hold, and HEADERS with HAS_PRIORITY begin with."""
SETTING_BYTES = 6
MAX_FRAME_BYTES = 16384
"""Payload of a frame, unless the other side says that it takes larger ones."""
FIRST_WINDOW = 65535
MAX_WINDOW = 2**31 - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 5, 6, 7, 8, 9
ENHANCE_YOUR_CALM = 11

_HEAD = struct.Struct(">HBBBL")
_U32 = struct.Struct(">L")
_SETTING = struct.Struct(">HL")


class ProtocolError(Exception):
    """What ends a connection.

    Args:
        code: of RFC 9113, section 7.
        message: for whoever debugs the client.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame with its head."""
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in values.items()))


def window_update(stream: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 stands for the connection."""
    return frame(WINDOW_UPDATE, 0, stream, _U32.pack(increment))


def rst_stream(stream: int, code: int) -> bytes:
    """A RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, _U32.pack(code))


def goaway(last_stream: int, code: int, message: str = "") -> bytes:
    """A GOAWAY frame: streams above `last_stream` were not looked at."""
    return frame(GOAWAY, 0, 0, struct.pack(">LL", last_stream, code) + message.encode())


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Identifiers and values of a SETTINGS frame.

    Raises:
        ProtocolError: its size or a value is not one that the protocol has.
    """
    if len(payload) % SETTING_BYTES:
        raise ProtocolError(FRAME_SIZE_ERROR, "SETTINGS of a size that is not a multiple of 6")
    values = list(_SETTING.iter_unpack(payload))
    for identifier, value in values:
        if identifier == INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise ProtocolError(FLOW_CONTROL_ERROR, f"SETTINGS_INITIAL_WINDOW_SIZE {value}")
        if identifier == MAX_FRAME_SIZE and not MAX_FRAME_BYTES <= value < 1 << 24:
            raise ProtocolError(PROTOCOL_ERROR, f"SETTINGS_MAX_FRAME_SIZE {value}")
        if identifier == ENABLE_PUSH and value > 1:
            raise ProtocolError(PROTOCOL_ERROR, f"SETTINGS_ENABLE_PUSH {value}")
    return values


def read_u32(payload: bytes) -> int:
    """The number that RST_STREAM and WINDOW_UPDATE hold.

    Raises:
        ProtocolError: the frame is not of four bytes.
    """
    if len(payload) != 4:
        raise ProtocolError(FRAME_SIZE_ERROR, f"a frame of {len(payload)} bytes where 4 are due")
    return _U32.unpack(payload)[0]


def read_dependency(payload: bytes) -> int:
    """The stream on which, by a PRIORITY frame's payload or what HEADERS begin with, another one depends.

    Raises:
        ProtocolError: the payload is too short for that.
    """
    if len(payload) < DEPENDENCY_BYTES:
        raise ProtocolError(FRAME_SIZE_ERROR, f"a priority of {len(payload)} bytes")
    return _U32.unpack_from(payload)[0] & MAX_WINDOW


def unpadded(payload: bytes) -> bytes:
    """The payload of a PADDED frame without its padding.

    Raises:
        ProtocolError: more padding than frame.
    """
    if not payload or payload[0] >= len(payload):
        raise ProtocolError(PROTOCOL_ERROR, "more padding than frame")
    return payload[1 : len(payload) - payload[0]]
