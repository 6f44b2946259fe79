"""Outliers of a history that are over."""

import tensorflow as tf

from unroll.models.series.baselines import interpolate

_FENCE = 3.0  # interquartile ranges from the quartiles


def without_outliers(history: tf.Tensor) -> tf.Tensor:
    """A history whose outliers that are over are cut to the outer fences of Tukey (1977, "Exploratory Data Analysis").

    These lie three interquartile ranges from the quartiles. A pump that stood still for a night says nothing of next
    week, but a map of the history carries it on for as long as it is remembered. Outliers that last up to now are kept,
    as they may be a new level, and a channel of whose values half are equal is left as it is.

    Args:
        history: float `[batch, time, channels]`, NaN where missing.

    Returns:
        The same shape, NaN where it was.

    Example:
        >>> without_outliers(tf.constant([[[1.0], [2.0], [99.0], [3.0], [4.0], [3.0], [1.0], [90.0]]])).numpy().ravel()
        array([ 1.,  2., 10.,  3.,  4.,  3.,  1., 90.], dtype=float32)
    """
    ordered = tf.sort(interpolate(history), axis=1)
    time = tf.shape(history)[1]
    lower, upper = ordered[:, time // 4][:, None], ordered[:, time - 1 - time // 4][:, None]  # [B, 1, C]
    spread = upper - lower
    low, high = lower - _FENCE * spread, upper + _FENCE * spread
    outside = (history < low) | (history > high)
    lasting = tf.cast(outside | tf.math.is_nan(history), tf.int32)
    lasting = tf.math.cumprod(lasting, axis=1, reverse=True) > 0  # up to now
    return tf.where(outside & ~lasting & (spread > 0), tf.clip_by_value(history, low, high), history)
