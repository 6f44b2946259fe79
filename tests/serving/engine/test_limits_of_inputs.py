"""Limits on rows, texts and pictures."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unroll.picture_header import image_size
from unroll.serving.front.limits import Limits
from unroll.serving.protocol.status import StatusError
from unroll.serving.protocol.tensors import from_python


def picture(kind: str, width: int, height: int, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "comment": b"x" * 300}),
        ("GIF", {}),
        ("BMP", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0"}),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (300, 20), (20, 300)])
def test_the_size_of_a_picture_is_read_from_its_header(kind: str, options: Any, size: tuple[int, int]) -> None:
    data = picture(kind, *size, **options)
    assert image_size(data) == size
    for end in range(len(data)):
        assert image_size(data[:end]) in (None, size)


def test_garbage_between_segments_hides_no_size() -> None:
    data = picture("JPEG", 300, 20)
    assert image_size(data[:20] + b"\x00\xff\x00\x01\xff\xff" + data[20:]) == (300, 20)


def test_a_frame_of_a_gif_may_be_larger_than_its_screen() -> None:
    file = io.BytesIO()
    frames = [Image.new("RGB", (300, 200), colour) for colour in ("red", "green", "blue")]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], comment=b"a picture")
    data = file.getvalue()
    assert image_size(data[:6] + bytes((1, 0, 1, 0)) + data[10:]) == (300, 200)
    alone = io.BytesIO()
    Image.new("RGB", (1, 1)).save(alone, "GIF")
    small, last = alone.getvalue(), data.rindex(b",\0\0\0\0")  # the last frame's descriptor
    assert image_size(small[:-1] + data[last:]) == (300, 200)


@pytest.mark.parametrize(
    "data", [b"", b"BM, said the text, and went on for a good while", b"GIF89", b"RIFF1234WEBPVP8 "]
)
def test_what_is_no_picture_has_no_size(data: bytes) -> None:
    assert image_size(data) is None


@pytest.mark.parametrize(
    ("limits", "values", "message"),
    [
        (
            Limits(max_batch_rows=2),
            np.ones((3, 4)),
            "Input 'x' has 3 rows; this server takes at most 2 a request (--max_request_rows). "
            "Send the rest in further requests.",
        ),
        (
            Limits(max_text_bytes=3),
            ["abc", "abcd"],
            "Input 'x': text 1 has 4 bytes; this server takes at most 3 (--max_text_bytes). "
            "Shorten it, or send it in parts.",
        ),
        (
            Limits(max_image_pixels=99),
            [picture("PNG", 10, 10)],
            "Input 'x': picture 0 has 10x10 = 100 pixels; this server takes at most 99 (--max_image_pixels). "
            "Send it scaled down.",
        ),
        (
            Limits(max_text_bytes=3),
            [b"GIF89a\1\0\1\0\0\0\0" + b"x" * (1 << 20)],
            "Input 'x': picture 0 has 1048589 bytes; this server takes at most 1048584 of one with 1 pixels. "
            "Leave out what is not a picture.",
        ),
    ],
)
def test_beyond_a_limit(limits: Limits, values: Any, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        limits.check("x", from_python(values))
    assert refused.value.message == message


def test_within_the_limits() -> None:
    limits = Limits(max_batch_rows=2, max_text_bytes=4, max_image_pixels=100)
    assert limits.any
    limits.check("x", from_python(["abcd", picture("JPEG", 10, 10)]))  # a picture is not text
    limits.check("x", np.ones((2, 100)))
    limits.check("x", np.array(7.0))
    assert not Limits().any
    Limits().check("x", from_python(["a" * 1000] * 1000))
