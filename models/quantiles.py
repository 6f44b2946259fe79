"""Quantiles that never cross, their loss and their calibration."""

from collections.abc import Sequence

import tensorflow as tf

from unroll.models.layers.instance_norm import window_statistics


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


def calibrated(quantiles: tf.Tensor, history: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    """Shifts quantiles by offsets learned on held-out windows, each in units of its window's scale.

    Args:
        quantiles: float32 `[batch, horizon, channels, levels]`, sorted.
        history: float32 `[batch, lookback, channels]`, NaN where missing; what the forecaster read.
        offsets: float32, broadcastable to `[horizon, channels, levels]`.

    Returns:
        float32 `[batch, horizon, channels, levels]`, sorted again where offsets made them cross.
    """
    _, scale = window_statistics(history)  # [B, 1, C]
    return tf.sort(quantiles + offsets * scale[..., None], axis=-1)
