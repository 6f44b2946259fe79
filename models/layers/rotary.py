"""Positions told by rotation: Su et al. 2021, RoFormer (arXiv:2104.09864)."""

import math

import tensorflow as tf

PERIOD = 2**20  # timesteps after which all angles come again
_BASE = 10_000.0


def rotation(positions: tf.Tensor, width: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Cosines and sines by which vectors at these positions are turned.

    A product of two turned vectors depends on the distance of their positions alone, so that a stream may begin
    anywhere. Frequencies are those of the paper, rounded to whole turns in `PERIOD` timesteps: the angle is exact
    however long a stream lasts, where a product in float32 would be wrong by a tenth after a million timesteps.

    Args:
        positions: int32 or int64 `[...]`, not negative.
        width: features of the vectors, even.

    Returns:
        float32 `[..., width / 2]` each.

    Example:
        >>> cosines, _ = rotation(tf.constant([0, 5, 5 + PERIOD]), 4)
        >>> bool(tf.reduce_all(cosines[1] == cosines[2]))
        True
    """
    rates = [_BASE ** (-2 * i / width) for i in range(width // 2)]
    turns = [max(1, round(PERIOD * rate / (2 * math.pi))) for rate in rates]
    place = (tf.cast(positions, tf.int64) % PERIOD)[..., None] * tf.constant(turns, tf.int64) % PERIOD
    angles = tf.cast(place, tf.float32) * (2 * math.pi / PERIOD)
    return tf.cos(angles), tf.sin(angles)


def rotated(vectors: tf.Tensor, cosines: tf.Tensor, sines: tf.Tensor) -> tf.Tensor:
    """Vectors `[..., width]`, turned in the planes of features i and i + width / 2.

    Args:
        vectors: float `[..., width]`.
        cosines, sines: of `rotation`, of a shape that broadcasts.
    """
    first, second = tf.split(vectors, 2, axis=-1)
    cosines, sines = tf.cast(cosines, vectors.dtype), tf.cast(sines, vectors.dtype)
    return tf.concat([first * cosines - second * sines, first * sines + second * cosines], axis=-1)
