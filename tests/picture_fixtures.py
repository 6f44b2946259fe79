"""Small pictures as files, good and bad, drawn with Pillow."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def noise(width: int = 30, height: int = 40, seed: int = 0, channels: int = 3) -> Image.Image:
    """A picture of random pixels."""
    shape = (height, width, channels)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def plain(colour: str, width: int = 24, height: int = 24) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, content: bytes = b"") -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def numpy_file(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def exif(orientation: int, little: bool = True, kind: int = 3, before: int = 2) -> bytes:
    """A TIFF of EXIF whose first directory has the tag of orientation behind others."""
    order = "<" if little else ">"
    number = "H" if kind == 3 else "I"
    entries = [struct.pack(f"{order}HHI4s", 0x0080 + place, 3, 1, b"\1\0\0\0") for place in range(before)]
    value = struct.pack(f"{order}{number}", orientation).ljust(4, b"\0")
    entries.append(struct.pack(f"{order}HHI", 0x0112, kind, 1) + value)
    entries.append(struct.pack(f"{order}HHI", 0x9003, 2, 20) + b"\0\0\0\0")
    head = (b"II" if little else b"MM") + struct.pack(f"{order}HI", 42, 12) + b"pad."
    return head + struct.pack(f"{order}H", len(entries)) + b"".join(entries) + b"\0\0\0\0"


def segment(content: bytes, marker: int = 0xE1) -> bytes:
    """A segment of a JPEG."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def with_exif(content: bytes, tiff: bytes) -> bytes:
    """A JPEG or PNG with EXIF behind what its writer put first."""
    if content.startswith(b"\xff\xd8"):
        at = 2 + 2 + struct.unpack(">H", content[4:6])[0]  # behind JFIF's segment
        return content[:at] + segment(b"Exif\0\0" + tiff) + content[at:]
    return content[:33] + chunk(b"eXIf", tiff) + content[33:]


def png_of_size(width: int, height: int, *before_pixels: bytes, depth: int = 1, lines: bytes = b"\0\xff") -> bytes:
    """A grey PNG of any claimed size, with chunks before its lines."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(lines))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before_pixels) + pixels + chunk(b"IEND")


def with_flipped_byte(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def bad_pictures() -> dict[str, bytes]:
    """Files that are refused, by the reason that is given for a limit of 10,000 pixels."""
    picture = noise()
    deep = Image.fromarray(np.arange(16, dtype=np.uint16).reshape(4, 4) * 4000)
    jpeg = encoded(picture, "JPEG")
    frame = jpeg.index(b"\xff\xc0")
    return {
        "is empty": b"",
        "is a GIF, not JPEG or PNG": encoded(picture, "GIF"),
        "is a WebP, not JPEG or PNG": encoded(picture, "WEBP"),
        "is a BMP, not JPEG or PNG": encoded(picture, "BMP"),
        "is a TIFF, not JPEG or PNG": encoded(picture, "TIFF"),
        "is base64 text, not JPEG or PNG": b"iVBORw0KGgoAAAANSUhEUg",
        "is a NumPy array, not JPEG or PNG": numpy_file(np.zeros(4, np.float32)),
        "is neither JPEG nor PNG": b"%PDF-1.7",
        "is an animated PNG": encoded(picture, save_all=True, append_images=[noise(seed=1)]),
        "is a CMYK JPEG, not RGB or grey": encoded(picture.convert("CMYK"), "JPEG"),
        "has more than 8 bits a channel (16)": encoded(deep),
        "has no pixels": png_of_size(0, 5),
        "has more than 10,000 pixels (30000 x 30000)": png_of_size(30_000, 30_000),
        "has more than 10,000 pixels (65535 x 65535)": jpeg[: frame + 5] + b"\xff" * 4 + jpeg[frame + 9 :],
        "has a damaged header": jpeg[: frame + 3],
    }


def corrupt_pictures() -> dict[str, bytes]:
    """Files whose headers are fine and whose pixels are not."""
    picture = noise()
    png, jpeg = encoded(picture), encoded(picture, "JPEG")
    return {
        "a PNG that ends too early": png[: len(png) // 2],
        "a PNG without its end": png[:-12],
        "a JPEG that ends too early": jpeg[: len(jpeg) * 3 // 4],
        "a PNG with a flipped byte": with_flipped_byte(png, len(png) // 2),
    }
