"""Encoded pictures to pixels, by TensorFlow operations alone, so that training and serving share the bits."""

import tensorflow as tf

from unroll.models.image_header import picture_orientation, read_header
from unroll.picture_header import PNG

_WHITE = 255
# how the numbers of EXIF's orientation, 0 to 8, turn a picture: transposed first, then mirrored
_MIRRORED_SIDEWAYS = [number in (2, 3, 6, 7) for number in range(9)]
_UPSIDE_DOWN = [number in (3, 4, 7, 8) for number in range(9)]


def decode_picture(encoded: tf.Tensor, size: int, orientation: tf.Tensor | None = None) -> tf.Tensor:
    """Pixels of one picture that `picture_problem` has nothing against, upright as its EXIF says.

    Transparent pixels are composited on white. The picture is resized with antialiasing to fit a square, keeping its
    aspect, and centred there on white.

    Args:
        encoded: scalar string, JPEG or PNG.
        size: S, pixels of a side.
        orientation: scalar int32 of `picture_orientation`, where it is known already.

    Returns:
        uint8 `[S, S, 3]`, RGB.

    Raises:
        tf.errors.InvalidArgumentError: a file that is corrupt or ends too early.
    """
    pixels = tf.cond(
        tf.equal(tf.strings.substr(encoded, 0, len(PNG)), PNG),
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
    orientation = picture_orientation(encoded) if orientation is None else orientation
    resized = tf.cond(orientation == 1, lambda: resized, lambda: _upright(resized, orientation))
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
    problem, orientation = read_header(encoded, max_pixels)  # [B] each
    refused = tf.where(tf.not_equal(problem, ""))[:, 0]
    named = tf.strings.join(["image ", tf.strings.as_string(refused), " ", tf.gather(problem, refused)])
    sentence = tf.strings.reduce_join(named, separator="; ")
    with tf.control_dependencies([tf.debugging.Assert(tf.equal(sentence, ""), [sentence])]):
        encoded = tf.identity(encoded)
    return decode_pictures(encoded, size, orientation)


def decode_pictures(encoded: tf.Tensor, size: int, orientation: tf.Tensor) -> tf.Tensor:
    """`decode_picture` of string `[B]` and int32 `[B]`: uint8 `[B, S, S, 3]`."""
    pixels = tf.TensorSpec([size, size, 3], tf.uint8)
    each = (encoded, orientation)
    return tf.map_fn(lambda one: decode_picture(one[0], size, one[1]), each, fn_output_signature=pixels)


def _upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Pixels `[H, W, 3]` turned as EXIF's orientation, 1 to 8, says: `[H, W, 3]` or `[W, H, 3]`."""
    pixels = tf.cond(orientation >= 5, lambda: tf.transpose(pixels, [1, 0, 2]), lambda: pixels)
    pixels = tf.where(tf.gather(_MIRRORED_SIDEWAYS, orientation), tf.reverse(pixels, [1]), pixels)
    return tf.where(tf.gather(_UPSIDE_DOWN, orientation), tf.reverse(pixels, [0]), pixels)


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
