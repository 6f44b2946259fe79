"""Pictures a little different each time, for training."""

import tensorflow as tf

FLIPS = ("none", "horizontal", "all")


def augment(
    pictures: tf.Tensor, seed: tf.Tensor, *, shift: float, zoom: float, colour: float, flip: str = "none"
) -> tf.Tensor:
    """Moves, scales, mirrors and tints each picture by itself.

    Args:
        pictures: uint8 or float `[batch, size, size, 3]`, 0 to 255.
        seed: int32 `[2]`; the same seed gives the same pictures.
        shift: largest move to any side, in sides.
        zoom: largest change of scale: 0.1 is between 1 / 1.1 and 1.1.
        colour: largest change of brightness, contrast and of each channel, as a share of the range.
        flip: `none`, `horizontal` (left and right are alike), or `all` (so are above and below, as from the air: any of
            the eight symmetries of a square).

    Returns:
        float32 `[batch, size, size, 3]`, 0 to 255; what comes in from outside is white.
    """
    pictures = tf.cast(pictures, tf.float32)
    batch, size = tf.shape(pictures)[0], pictures.shape[1]
    draws = tf.random.stateless_uniform([batch, 11], seed, -1.0, 1.0)
    grow = tf.pow(1.0 + zoom, draws[:, 0])
    sign = tf.sign(draws[:, 3:6])
    mirror_x, mirror_y = sign[:, 0], sign[:, 1]
    if flip == "none":
        mirror_x = mirror_y = tf.ones([batch])
    elif flip == "horizontal":
        mirror_y = tf.ones([batch])
    turned = (sign[:, 2] > 0) & (flip == "all")  # exchanges rows and columns
    straight, across = tf.where(turned, 0.0, 1.0), tf.where(turned, 1.0, 0.0)
    middle = (size - 1) / 2
    a, b = mirror_x * straight / grow, mirror_x * across / grow
    d, e = mirror_y * across / grow, mirror_y * straight / grow
    c = middle - middle * (a + b) + draws[:, 1] * shift * size
    f = middle - middle * (d + e) + draws[:, 2] * shift * size
    none = tf.zeros([batch])
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures,
        transforms=tf.stack([a, b, c, d, e, f, none, none], axis=1),
        output_shape=[size, size],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=255.0,
    )
    contrast = 1 + colour * draws[:, 6, None, None, None]
    tint = 255 * colour * (draws[:, 7, None, None, None] + draws[:, None, None, 8:11]) / 2
    mean = tf.reduce_mean(moved, axis=[1, 2, 3], keepdims=True)
    return tf.clip_by_value((moved - mean) * contrast + mean + tint, 0.0, 255.0)
