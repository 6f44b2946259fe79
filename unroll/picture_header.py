"""What the header of an encoded picture says, and the bytes by which formats are told apart. Nothing is decoded.

All that read headers stand on this module: the server's limits and the monitor call it, and the graph that is served
(`unroll.models.image_header`) reads the same fields by TensorFlow's operations, with the same constants.
"""

import contextlib
import struct
from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Second bytes of the markers that begin a JPEG's frame header (ITU-T T.81, table B.1): SOF0 to SOF15."""
OTHERS = (
    (0, b"GIF8", "a GIF"),
    (8, b"WEBP", "a WebP"),
    (0, b"BM", "a BMP"),
    (0, b"II*\0", "a TIFF"),
    (0, b"MM\0*", "a TIFF"),
    (4, b"ftyp", "a HEIC, AVIF or video file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"/9j/", "base64 text"),
    (0, b"iVBORw", "base64 text"),
)
"""Offset, bytes there, and what has them: files that are taken for pictures, or are pictures of other kinds."""

APP1, EXIF = 0xE1, b"Exif\0\0"
"""Marker and first bytes of the JPEG segment that holds EXIF, a TIFF without pixels (CIPA DC-008, 4.7.2)."""
TIFF_MAGIC, ORIENTATION_TAG, SHORT, LONG = 42, 0x0112, 3, 4
MAX_TAGS = 64
"""Of EXIF's first directory; they are sorted, and cameras write about 15."""


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of an encoded picture as it is stored, before `orientation` turns it.

    Returns:
        Pixels, or None where the bytes are not a PNG, JPEG, GIF, BMP or WebP picture.
    """
    try:
        if data.startswith(PNG):
            return struct.unpack_from(">II", data, 16)
        if data.startswith(JPEG):
            return _jpeg_size(data)
        if data.startswith(b"GIF8"):
            return _gif_size(data)
        if data.startswith(b"BM"):
            return _bmp_size(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_size(data)
    except (struct.error, IndexError):  # cut off: nothing that an op would decode
        pass
    return None


def orientation(data: bytes) -> int:
    """How a JPEG or PNG must be turned to stand upright: EXIF's tag, as CIPA DC-008 (4.6.5.1.6) numbers it.

    Returns:
        1, as it is; 2, mirrored left to right; 3, by 180 degrees; 4, mirrored top to bottom; 5, transposed; 6, by 90
        degrees clockwise; 7, transposed along the other diagonal; 8, by 90 degrees counterclockwise. 1 where it is not
        said, or not understood.
    """
    try:
        return _tiff_orientation(_exif(data))
    except (struct.error, IndexError):
        return 1


def _exif(data: bytes) -> bytes:
    if data.startswith(JPEG):
        for marker, content in _segments(data):
            if marker == APP1 and data.startswith(EXIF, content):
                return data[content + len(EXIF) : content + struct.unpack_from(">H", data, content - 2)[0] - 2]
    elif data.startswith(PNG):
        position = len(PNG)
        while (name := data[position + 4 : position + 8]) not in (b"IDAT", b""):
            (length,) = struct.unpack_from(">I", data, position)
            if name == b"eXIf":
                return data[position + 8 : position + 8 + length]
            position += 12 + length
    return b""


def _tiff_orientation(tiff: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or struct.unpack_from(f"{order}H", tiff, 2)[0] != TIFF_MAGIC:
        return 1
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, directory)
    for entry in range(directory + 2, directory + 2 + 12 * min(count, MAX_TAGS), 12):
        tag, kind, value = struct.unpack_from(f"{order}HH4x4s", tiff, entry)
        if tag == ORIENTATION_TAG and kind in (SHORT, LONG):
            (number,) = struct.unpack_from(f"{order}{'H' if kind == SHORT else 'I'}", value)
            return number if 1 <= number <= 8 else 1
    return 1


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Markers of a JPEG and where their contents begin, up to the frame header (ITU-T T.81, B.1.1.4), over garbage as
    decoders do."""
    position = 2
    while (position := data.find(b"\xff", position)) >= 0:
        marker = data[position + 1]
        if marker in (0x00, 0xFF):  # no marker, fill byte
            position += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a segment
            position += 2
        else:
            yield marker, position + 4
            if marker in FRAME_MARKERS:
                return
            position += 2 + struct.unpack_from(">H", data, position + 2)[0]


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    for marker, content in _segments(data):
        if marker in FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", data, content + 1)
            return width, height
    return None


def _gif_size(data: bytes) -> tuple[int, int]:
    """The largest of the screen and the frames: decoders make room for a frame, however small a screen it is for."""
    width, height = struct.unpack_from("<HH", data, 6)
    with contextlib.suppress(struct.error, IndexError):  # cut off: the frames up to there are decoded
        position = 13 + _gif_colours(data[10])
        while data[position] in b"!,":
            if data[position] == ord("!"):
                position += 2
            else:
                frame = struct.unpack_from("<HH", data, position + 5)
                width, height = max(width, frame[0]), max(height, frame[1])
                position += 11 + _gif_colours(data[position + 9])
            while data[position]:
                position += 1 + data[position]
            position += 1
    return width, height


def _gif_colours(flags: int) -> int:
    """Bytes of a table of colours."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _bmp_size(data: bytes) -> tuple[int, int] | None:
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:
        return struct.unpack_from("<HH", data, 18)
    if struct.unpack_from("<H", data, 28)[0] not in (1, 4, 8, 16, 24, 32):  # bits a pixel: a text may begin with "BM"
        return None
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)  # rows from the top have a negative height


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None
