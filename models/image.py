"""Encoded pictures to pixels, by TensorFlow operations alone, so that training and serving share the bits."""

import tensorflow as tf

_PNG = b"\x89PNG\r\n\x1a\n"
_IHDR = _PNG + b"\0\0\0\rIHDR"
_JPEG = b"\xff\xd8\xff"
_OTHERS = (  # offset, bytes, what it is
    (0, b"GIF8", "a GIF"),
    (8, b"WEBP", "a WebP"),
    (0, b"BM", "a BMP"),
    (0, b"II*\0", "a TIFF"),
    (0, b"MM\0*", "a TIFF"),
    (4, b"ftyp", "a HEIC, AVIF or video file"),
    (0, b"/9j/", "base64 text"),
    (0, b"iVBORw", "base64 text"),
)
_START = max(offset + len(magic) for offset, magic, _ in _OTHERS)
_IDAT, _ACTL = (int.from_bytes(name, "big") for name in (b"IDAT", b"acTL"))
_FRAMES = [0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) for marker in range(256)]  # SOF0 to SOF15
_MAX_SEGMENTS = 1000  # of a header; a file of nothing but tiny ones would keep the loop busy
_WHITE = 255


def picture_problem(encoded: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Why pictures are refused, from their headers alone: nothing is decoded, however large it would be.

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
    png = tf.equal(tf.strings.substr(encoded, 0, len(_PNG)), _PNG)
    jpeg = tf.equal(tf.strings.substr(encoded, 0, len(_JPEG)), _JPEG)
    position = _walk(encoded, png)
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


def decode_picture(encoded: tf.Tensor, size: int) -> tf.Tensor:
    """Pixels of one picture that `picture_problem` has nothing against.

    Transparent pixels are composited on white. The picture is resized with antialiasing to fit a square, keeping its
    aspect, and centred there on white.

    Args:
        encoded: scalar string, JPEG or PNG.
        size: S, pixels of a side.

    Returns:
        uint8 `[S, S, 3]`, RGB.

    Raises:
        tf.errors.InvalidArgumentError: a file that is corrupt or ends too early.
    """
    pixels = tf.cond(
        tf.equal(tf.strings.substr(encoded, 0, len(_PNG)), _PNG),
        lambda: _on_white(_rgba(encoded)),
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
    )  # [H, W, 3]
    shape = tf.cast(tf.shape(pixels)[:2], tf.float32)
    fitted = tf.maximum(tf.round(shape * (size / tf.reduce_max(shape))), 1.0)
    # as tf.image.resize(antialias=True), which would make floats of the whole picture first
    resized = tf.raw_ops.ScaleAndTranslate(
        images=pixels[None],
        size=tf.cast(fitted, tf.int32),
        scale=fitted / shape,
        translation=tf.zeros([2]),
        kernel_type="triangle",
        antialias=True,
    )[0]
    resized = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
    margin = size - tf.shape(resized)[:2]
    before = margin // 2
    padding = tf.stack([before, margin - before], axis=1)  # [2, 2]
    square = tf.pad(resized, tf.concat([padding, [[0, 0]]], axis=0), constant_values=_WHITE)
    return tf.ensure_shape(square, [size, size, 3])


def read_pictures(encoded: tf.Tensor, size: int, max_pixels: int) -> tf.Tensor:
    """Pixels of a request's pictures.

    Args:
        encoded: string `[B]`, JPEG or PNG.
        size: S, pixels of a side.
        max_pixels: width times height of each, at most.

    Returns:
        uint8 `[B, S, S, 3]`, RGB, as `decode_picture` has them.

    Raises:
        tf.errors.InvalidArgumentError: a picture that is refused, by its row and the reason, or one that is corrupt.
            No picture is decoded unless all headers are fine.
    """
    problem = picture_problem(encoded, max_pixels)  # [B]
    refused = tf.where(tf.not_equal(problem, ""))[:, 0]
    named = tf.strings.join(["image ", tf.strings.as_string(refused), " ", tf.gather(problem, refused)])
    sentence = tf.strings.reduce_join(named, separator="; ")
    with tf.control_dependencies([tf.debugging.Assert(tf.equal(sentence, ""), [sentence])]):
        encoded = tf.identity(encoded)
    pixels = tf.TensorSpec([size, size, 3], tf.uint8)
    return tf.map_fn(lambda one: decode_picture(one, size), encoded, fn_output_signature=pixels)


def _walk(encoded: tf.Tensor, png: tf.Tensor) -> tf.Tensor:
    """Where a PNG's first IDAT or acTL chunk, or a JPEG's frame header begins, int64 `[...]`; or what stands there."""

    one = tf.constant(1, tf.int64)

    def step(position: tf.Tensor, done: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        head = _bytes(encoded, position, 8)
        chunk, marker = _number(head[..., 4:8]), head[..., 1]
        done_png = (chunk == _IDAT) | (chunk == _ACTL) | (chunk == 0)  # 0: past the end
        fill = marker == 0xFF  # any number of these bytes may come before a marker
        done_jpeg = (head[..., 0] != 0xFF) | tf.gather(_FRAMES, marker) | ((marker >= 0xD0) & (marker <= 0xDA))
        done |= tf.where(png, done_png, done_jpeg)
        length = tf.where(png, _number(head[..., 0:4]) + 12, tf.where(fill, one, _number(head[..., 2:4]) + 2))
        return tf.where(done, position, position + length), done

    position = tf.where(png, 8 * one, 2 * one)
    done = tf.zeros_like(png)
    position, _ = tf.while_loop(
        lambda position, done: ~tf.reduce_all(done), step, (position, done), maximum_iterations=_MAX_SEGMENTS
    )
    return position


def _foreign(encoded: tf.Tensor) -> list[tuple[tf.Tensor, str]]:
    start = tf.strings.join([tf.strings.substr(encoded, 0, _START), "\0" * _START])  # long enough for every offset
    return [
        (tf.equal(tf.strings.substr(start, offset, len(magic)), magic), f"is {name}, not JPEG or PNG")
        for offset, magic, name in _OTHERS
    ]


def _bytes(encoded: tf.Tensor, position: tf.Tensor, count: int) -> tf.Tensor:
    """int64 `[..., count]` from a position `[...]`; zeros past the end."""
    inside = tf.minimum(position, tf.cast(tf.strings.length(encoded), tf.int64))
    taken = tf.strings.substr(encoded, inside, tf.fill(tf.shape(inside), tf.constant(count, tf.int64)))
    return tf.cast(tf.io.decode_raw(taken, tf.uint8, fixed_length=count), tf.int64)


def _number(digits: tf.Tensor) -> tf.Tensor:
    """Big-endian bytes `[..., n]` as a number `[...]`."""
    powers = [256**power for power in reversed(range(digits.shape[-1]))]
    return tf.reduce_sum(digits * tf.constant(powers, tf.int64), axis=-1)


def _rgba(encoded: tf.Tensor) -> tf.Tensor:
    """A PNG's pixels, uint8 `[H, W, 4]`."""
    pixels = tf.io.decode_png(encoded, channels=4)
    # DecodePng gives an opaque pixel of grey in d < 8 bits the alpha 2^d - 1
    few_greys = tf.strings.regex_full_match(tf.strings.substr(encoded, 24, 2), r"[\x01\x02\x04]\x00")  # depth, type
    return tf.where(few_greys & (pixels > 0) & [False, False, False, True], tf.constant(255, tf.uint8), pixels)


def _on_white(pixels: tf.Tensor) -> tf.Tensor:
    """RGB of RGBA, uint8 `[H, W, 4]`; in whole numbers, which every machine rounds alike."""
    wide = tf.cast(pixels, tf.uint16)
    colour, alpha = wide[..., :3], wide[..., 3:]
    return tf.cast((colour * alpha + _WHITE * (255 - alpha) + 127) // 255, tf.uint8)
