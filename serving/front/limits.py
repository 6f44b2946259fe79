"""Limits on what a client may send, beyond TensorFlow Serving's."""

import contextlib
import functools
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from unroll.serving.protocol.status import invalid

_PIXEL_BYTES, _BESIDE_PIXELS = 8, 1 << 20  # four channels of 16 bits; comments, profiles, thumbnails


ROW_BYTES = 64
"""What a row counts at least, where requests are counted by their bytes: one without an element costs its run too."""


@dataclass(frozen=True)
class Limits:
    """Limits of one request; None stands for no limit.

    Args:
        max_batch_rows: rows of an input, or examples (`--max_request_rows`).
        max_text_bytes: bytes of one string that is not a picture. A picture has 8 bytes a pixel and a megabyte at most,
            since what begins like one may be a text as well.
        max_image_pixels: width times height, of one frame, of a string that begins as a PNG, JPEG, GIF, BMP or WebP
            picture does. Only its header is read: a small file may hold a picture that takes gigabytes to decode.
    """

    max_batch_rows: int | None = None
    max_text_bytes: int | None = None
    max_image_pixels: int | None = None

    @functools.cached_property
    def any(self) -> bool:
        """Whether there is anything to check."""
        return self.max_batch_rows is not None or self.of_strings

    @functools.cached_property
    def of_strings(self) -> bool:
        """Whether strings are to be checked."""
        return (self.max_text_bytes, self.max_image_pixels) != (None, None)

    def check(self, name: str, array: NDArray[Any], by_row: bool = True, strings: bool = True) -> None:
        """Refuses an input that is too large.

        Args:
            name: the input, for the message.
            array: its values; strings as `object`.
            by_row: whether the first dimension is of rows. What has no element is counted by it all the same: it costs
                nothing to send.
            strings: whether its strings are yet to be checked.

        Raises:
            StatusError: INVALID_ARGUMENT, with the limit, what was received and what to do.
        """
        if array.ndim and (by_row or not array.size):
            self.check_rows(name, len(array))
        if strings and self.of_strings and array.dtype.hasobject:
            self.check_strings(name, array.ravel().tolist())

    def check_rows(self, name: str, rows: int, more: bool = False) -> None:
        """As `check`, of the number of rows alone; `more`: there may be more of them."""
        if self.max_batch_rows is not None and rows > self.max_batch_rows:
            count = f"{rows} or more" if more else f"{rows}"
            raise invalid(
                f"Input {name!r} has {count} rows; this server takes at most {self.max_batch_rows} a request "
                "(--max_request_rows). Send the rest in further requests."
            )

    def check_strings(self, name: str, strings: Iterable[bytes]) -> None:
        """As `check`, of the strings alone."""
        for position, string in enumerate(strings):
            pixels = None
            if (size := image_size(string)) is not None:
                pixels = size[0] * size[1]
                if self.max_image_pixels is not None and pixels > self.max_image_pixels:
                    raise invalid(
                        f"Input {name!r}: picture {position} has {size[0]}x{size[1]} = {pixels} pixels; this server "
                        f"takes at most {self.max_image_pixels} (--max_image_pixels). Send it scaled down."
                    )
            if self.max_text_bytes is None or len(string) <= self.max_text_bytes:
                continue
            if pixels is None:
                raise invalid(
                    f"Input {name!r}: text {position} has {len(string)} bytes; this server takes at most "
                    f"{self.max_text_bytes} (--max_text_bytes). Shorten it, or send it in parts."
                )
            if len(string) > (limit := _PIXEL_BYTES * pixels + _BESIDE_PIXELS):
                raise invalid(
                    f"Input {name!r}: picture {position} has {len(string)} bytes; this server takes at most {limit} of "
                    f"one with {pixels} pixels. Leave out what is not a picture."
                )


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of an encoded picture, from its header.

    Returns:
        Pixels, or None where the bytes are not a PNG, JPEG, GIF, BMP or WebP picture.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return struct.unpack_from(">II", data, 16)
        if data.startswith(b"\xff\xd8\xff"):
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


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Walks the segments up to the frame header (ITU T.81, B.2.2), over garbage as decoders do."""
    position = 2
    while (position := data.find(b"\xff", position)) >= 0:
        marker = data[position + 1]
        if marker in (0x00, 0xFF):  # no marker, fill byte
            position += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a segment
            position += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        else:
            position += 2 + struct.unpack_from(">H", data, position + 2)[0]
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
