"""Limits on what a client may send, beyond TensorFlow Serving's."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from unroll.picture_header import image_size
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
