"""Quantiles that never cross, and their loss."""

from collections.abc import Sequence

import tensorflow as tf


def around_median(median: tf.Tensor, gaps: tf.Tensor, levels: Sequence[float]) -> tf.Tensor:
    """Builds sorted quantiles outwards from the median.

    Args:
        median: float `[...]`.
        gaps: float `[..., levels - 1]`, not negative: the distances of neighbouring quantiles.
        levels: sorted, 0.5 among them.

    Returns:
        float `[..., levels]`.

    Example:
        >>> around_median(tf.constant([10.0]), tf.constant([[2.0, 1.0, 4.0]]), [0.1, 0.3, 0.5, 0.9]).numpy()
        array([[ 7.,  9., 10., 14.]], dtype=float32)
    """
    middle = list(levels).index(0.5)
    median = median[..., None]
    below = median - tf.cumsum(gaps[..., :middle], axis=-1, reverse=True)
    above = median + tf.cumsum(gaps[..., middle:], axis=-1)
    return tf.concat([below, median, above], axis=-1)


def pinball(error: tf.Tensor, levels: Sequence[float]) -> tf.Tensor:
    """The pinball loss (Koenker & Bassett 1978), whose mean is least at the quantile.

    Args:
        error: actual minus quantile, float `[..., levels]`.
        levels: of the quantiles.

    Returns:
        max(level * error, (level - 1) * error), float `[..., levels]`.
    """
    level = tf.constant(levels, error.dtype)
    return tf.maximum(level * error, (level - 1) * error)
