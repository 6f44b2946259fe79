"""What the headers of encoded pictures say, by TensorFlow operations alone. Nothing is decoded, however large it is.

The formats' constants are those of `unroll.picture_header`, which reads the same without TensorFlow.
"""

import tensorflow as tf

from unroll.picture_header import (
    APP1,
    EXIF,
    FRAME_MARKERS,
    JPEG,
    LONG,
    MAX_TAGS,
    ORIENTATION_TAG,
    OTHERS,
    PNG,
    SHORT,
    TIFF_MAGIC,
)

_IHDR = PNG + b"\0\0\0\rIHDR"
_START = max(offset + len(magic) for offset, magic, _ in OTHERS)
_IDAT, _ACTL, _EXIF = (int.from_bytes(name, "big") for name in (b"IDAT", b"acTL", b"eXIf"))
_FRAMES = [marker in FRAME_MARKERS for marker in range(256)]
_MAX_SEGMENTS = 1000  # of a header; a file of nothing but tiny ones would keep the loop busy
_LITTLE, _BIG = (int.from_bytes(order, "big") for order in (b"II", b"MM"))


def picture_problem(encoded: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Why pictures are refused.

    JPEG (ITU-T T.81, annex B) and PNG (W3C PNG, third edition) of up to 8 bits a channel are taken; animated PNG and
    CMYK JPEG are not.

    Args:
        encoded: string `[...]`, bytes of files.
        max_pixels: width times height, at most.

    Returns:
        string `[...]`; empty for a picture that may be decoded, else the rest of a sentence that begins with the
        picture's name. Particulars of one picture are in brackets at its end.

    Example:
        >>> picture_problem(tf.constant(["", b"GIF89a"]), max_pixels=50_000_000).numpy()
        array([b'is empty', b'is a GIF, not JPEG or PNG'], dtype=object)
    """
    return read_header(encoded, max_pixels)[0]


def picture_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """How pictures must be turned to stand upright, as `unroll.picture_header.orientation` says.

    EXIF is looked for in a JPEG before its frame and in a PNG before its pixels, where the standards have it.

    Args:
        encoded: string `[...]`, bytes of files.

    Returns:
        int32 `[...]`, 1 to 8; 1 where it is not said, or not understood.

    Example:
        >>> picture_orientation(tf.constant(["not a picture"])).numpy()
        array([1], dtype=int32)
    """
    return read_header(encoded, 1)[1]


def read_header(encoded: tf.Tensor, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """`picture_problem` and `picture_orientation` at once."""
    png = tf.equal(tf.strings.substr(encoded, 0, len(PNG)), PNG)
    position, tiff, end = _walk(encoded, png)
    orientation = tf.cond(
        tf.reduce_any(tiff > 0),
        lambda: _orientation(encoded, tiff, end),
        lambda: tf.ones_like(tiff, tf.int32),  # as most pictures are
    )
    return _problem(encoded, png, position, max_pixels), orientation


def _problem(encoded: tf.Tensor, png: tf.Tensor, position: tf.Tensor, max_pixels: int) -> tf.Tensor:
    jpeg = tf.equal(tf.strings.substr(encoded, 0, len(JPEG)), JPEG)
    last = _bytes(encoded, position, 10)  # PNG: length, name; JPEG: FF, marker, length, depth, height, width, channels
    chunk, marker = _number(last[..., 4:8]), last[..., 1]
    fields = _bytes(encoded, tf.fill(tf.shape(encoded), tf.constant(16, tf.int64)), 9)  # PNG: width, height, depth
    width = tf.where(png, _number(fields[..., 0:4]), _number(last[..., 7:9]))
    height = tf.where(png, _number(fields[..., 4:8]), _number(last[..., 5:7]))
    depth = tf.where(png, fields[..., 8], last[..., 4])
    whole_png = tf.equal(tf.strings.substr(encoded, 0, len(_IHDR)), _IHDR) & ((chunk == _IDAT) | (chunk == _ACTL))
    whole_jpeg = (last[..., 0] == 0xFF) & tf.gather(_FRAMES, marker) & (last[..., 9] > 0)
    bits = tf.strings.join(["has more than 8 bits a channel (", tf.strings.as_string(depth), ")"])
    size = tf.strings.join([tf.strings.as_string(width), " x ", tf.strings.as_string(height)])
    reasons = [
        (tf.equal(encoded, ""), "is empty"),
        *_foreign(encoded),
        (~(png | jpeg), "is neither JPEG nor PNG"),
        (~tf.where(png, whole_png, whole_jpeg), "has a damaged header"),
        (png & (chunk == _ACTL), "is an animated PNG"),
        (jpeg & (last[..., 9] == 4), "is a CMYK JPEG, not RGB or grey"),
        (depth > 8, bits),
        ((width == 0) | (height == 0), "has no pixels"),
        (width * height > max_pixels, tf.strings.join([f"has more than {max_pixels:,} pixels (", size, ")"])),
    ]
    problem = tf.fill(tf.shape(encoded), "")
    for refused, reason in reversed(reasons):
        problem = tf.where(refused, reason, problem)
    return problem


def _orientation(encoded: tf.Tensor, tiff: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """Of the EXIF between two positions."""
    end = tf.minimum(end, tf.cast(tf.strings.length(encoded), tf.int64))
    head = _bytes(encoded, tiff, 8)  # order, 42, and where the first directory begins
    order = _number(head[..., 0:2])
    little = order == _LITTLE
    directory = tiff + _number(head[..., 4:8], little)
    count = _number(_bytes(encoded, directory, 2), little)
    entries = tf.reshape(
        _bytes(encoded, directory + 2, MAX_TAGS * 12), tf.concat([tf.shape(encoded), [MAX_TAGS, 12]], axis=0)
    )  # tag, kind, count and value of each

    def field(first: int, length: int) -> tf.Tensor:
        return _number(entries[..., first : first + length], little[..., None])  # [..., tags]

    kind = field(2, 2)
    value = tf.where(kind == SHORT, field(8, 2), field(8, 4))
    number = tf.range(MAX_TAGS, dtype=tf.int64)
    inside = (number < count[..., None]) & (directory[..., None] + 2 + 12 * (number + 1) <= end[..., None])
    found = inside & (field(0, 2) == ORIENTATION_TAG) & ((kind == SHORT) | (kind == LONG)) & (value >= 1) & (value <= 8)
    understood = (little | (order == _BIG)) & (_number(head[..., 2:4], little) == TIFF_MAGIC)
    said = tf.reduce_max(tf.where(found, value, 1), axis=-1)
    return tf.cast(tf.where(understood, said, 1), tf.int32)


def _walk(encoded: tf.Tensor, png: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Three positions, int64 `[...]`: where a PNG's first IDAT or acTL chunk, or a JPEG's frame header begins, or what
    stands there; and where the first EXIF before it begins and ends, 0 where there is none."""

    one = tf.constant(1, tf.int64)
    exif_number = int.from_bytes(EXIF, "big")

    def step(
        position: tf.Tensor, done: tf.Tensor, begin: tf.Tensor, end: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        head = _bytes(encoded, position, 4 + len(EXIF))
        chunk, marker = _number(head[..., 4:8]), head[..., 1]
        done_png = (chunk == _IDAT) | (chunk == _ACTL) | (chunk == 0)  # 0: past the end
        fill = marker == 0xFF  # any number of these bytes may come before a marker
        done_jpeg = (head[..., 0] != 0xFF) | tf.gather(_FRAMES, marker) | ((marker >= 0xD0) & (marker <= 0xDA))
        done |= tf.where(png, done_png, done_jpeg)
        length = tf.where(png, _number(head[..., 0:4]) + 12, tf.where(fill, one, _number(head[..., 2:4]) + 2))
        is_exif = tf.where(png, chunk == _EXIF, (marker == APP1) & (_number(head[..., 4:]) == exif_number))
        first = is_exif & ~done & (begin == 0)
        begin = tf.where(first, position + tf.where(png, 8 * one, (4 + len(EXIF)) * one), begin)
        end = tf.where(first, position + length - tf.where(png, 4 * one, 0 * one), end)
        return tf.where(done, position, position + length), done, begin, end

    position = tf.where(png, 8 * one, 2 * one)
    none = tf.zeros_like(position)
    position, _, begin, end = tf.while_loop(
        lambda position, done, begin, end: ~tf.reduce_all(done),
        step,
        (position, tf.zeros_like(png), none, none),
        maximum_iterations=_MAX_SEGMENTS,
    )
    return position, begin, end


def _foreign(encoded: tf.Tensor) -> list[tuple[tf.Tensor, str]]:
    start = tf.strings.join([tf.strings.substr(encoded, 0, _START), "\0" * _START])  # long enough for every offset
    return [
        (tf.equal(tf.strings.substr(start, offset, len(magic)), magic), f"is {name}, not JPEG or PNG")
        for offset, magic, name in OTHERS
    ]


def _bytes(encoded: tf.Tensor, position: tf.Tensor, count: int) -> tf.Tensor:
    """int64 `[..., count]` from a position `[...]`; zeros past the end."""
    inside = tf.minimum(position, tf.cast(tf.strings.length(encoded), tf.int64))
    taken = tf.strings.substr(encoded, inside, tf.fill(tf.shape(inside), tf.constant(count, tf.int64)))
    return tf.cast(tf.io.decode_raw(taken, tf.uint8, fixed_length=count), tf.int64)


def _number(digits: tf.Tensor, little: tf.Tensor | None = None) -> tf.Tensor:
    """Bytes `[..., n]` as a number `[...]`: big-endian, or little-endian where `little` says so."""
    powers = tf.constant([256**power for power in reversed(range(digits.shape[-1]))], tf.int64)
    big = tf.reduce_sum(digits * powers, axis=-1)
    return big if little is None else tf.where(little, tf.reduce_sum(digits * powers[::-1], axis=-1), big)
