"""Reversible instance normalisation (Kim et al. 2022, "Reversible Instance Normalization for Accurate
Time-Series Forecasting against Distribution Shift").

Every window is put to mean 0 and deviation 1 by its own observed steps, and its forecast is put back. A
model in between sees neither level nor scale, so it forecasts series it has not met, in whatever unit.
"""

import tensorflow as tf

_RELATIVE_FLOOR = 1e-5  # of a constant window, float32 leaves rounding noise of about this share of its level
_ABSOLUTE_FLOOR = 1e-6


def window_statistics(history: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and scale of the observed steps of each window.

    scale = sqrt(variance + (1e-5 mean)^2 + 1e-12), so that a constant window has one as well.

    Args:
        history: float32 `[windows, time, ...]`, NaN where missing.

    Returns:
        Mean and scale, float32 `[windows, 1, ...]` each; 0 and 1e-6 of a window with no observed step.

    Example:
        >>> mean, scale = window_statistics(tf.constant([[2.0, float("nan"), 4.0]]))
        >>> mean.numpy(), scale.numpy()
        (array([[3.]], dtype=float32), array([[1.]], dtype=float32))
    """
    missing = tf.math.is_nan(history)
    observed = tf.cast(~missing, tf.float32)
    count = tf.maximum(tf.reduce_sum(observed, axis=1, keepdims=True), 1.0)
    mean = tf.reduce_sum(tf.where(missing, 0.0, history), axis=1, keepdims=True) / count
    deviation = tf.where(missing, 0.0, history - mean)
    variance = tf.reduce_sum(tf.square(deviation), axis=1, keepdims=True) / count
    return mean, tf.sqrt(variance + tf.square(_RELATIVE_FLOOR * mean) + _ABSOLUTE_FLOOR**2)
