"""Quantiles around a forecast, in the graph that is served."""

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from unroll.models.layers.instance_norm import window_statistics


def error_scale(history: tf.Tensor) -> tf.Tensor:
    """What errors of forecasts from a window are measured in: the geometric mean of its deviation and its mean step.

    The deviation is mostly season and trend, which are forecast; the mean absolute step from one value to the next is
    mostly noise, which is not. Errors follow neither alone.

    Args:
        history: float32 `[batch, time, channels]`, NaN where missing.

    Returns:
        float32 `[batch, 1, channels]`, above 0; the deviation of a window without neighbouring values that differ.

    Example:
        >>> error_scale(tf.constant([[[0.0], [2.0], [0.0], [2.0]]])).numpy().ravel()  # of deviation 1 and mean step 2
        array([1.4142135], dtype=float32)
    """
    _, deviation = window_statistics(history)
    steps = tf.abs(history[:, 1:] - history[:, :-1])
    known = tf.math.is_finite(steps)
    count = tf.maximum(tf.reduce_sum(tf.cast(known, tf.float32), axis=1, keepdims=True), 1.0)
    step = tf.reduce_sum(tf.where(known, steps, 0.0), axis=1, keepdims=True) / count
    return tf.where(step > 1e-3 * deviation, tf.sqrt(deviation * step), deviation)


@dataclass(frozen=True)
class Spread:
    """How far quantiles stand from a forecast.

    Args:
        errors: float `[horizon, channels, levels]`, quantiles of the errors of forecasts, in units of `error_scale`.
        offsets: float `[channels, levels]`, what is added to the network's quantiles, in the same units.
        widened: by how much the network's quantiles are spread then.
        share: of the network's quantiles in the answer, 0 to 1; the rest is that of the errors.
    """

    errors: np.ndarray
    offsets: np.ndarray
    widened: float = 1.0
    share: float = 0.0

    def __call__(self, forecast: tf.Tensor, quantiles: tf.Tensor, history: tf.Tensor) -> tf.Tensor:
        """Quantiles, sorted.

        Args:
            forecast: float32 `[batch, horizon, channels]`.
            quantiles: float32 `[batch, horizon, channels, levels]`, the network's around it.
            history: float32 `[batch, lookback, channels]`, NaN where missing; what the forecaster read.

        Returns:
            float32 `[batch, horizon, channels, levels]`; NaN where the forecast is.
        """
        scale, forecast = error_scale(history)[..., None], forecast[..., None]
        spread = (1 - self.share) * tf.constant(self.errors, tf.float32) * scale
        if self.share:
            network = quantiles - forecast + tf.constant(self.offsets, tf.float32) * scale
            spread += self.share * self.widened * network
        return tf.where(tf.math.is_nan(forecast), math.nan, tf.sort(forecast + spread, axis=-1))
