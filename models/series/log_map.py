"""A linear map of logarithms: for series that grow by shares, and whose seasons grow with them."""

import math

import numpy as np
import tensorflow as tf

from unroll.models.series.baselines import RidgeMap


class LogMap(tf.Module):
    """A linear map from the logarithms of the newest timesteps to those of the horizon.

    No forecast is further above the highest value of its window, or below the lowest, than these are apart, as ratios.

    Args:
        kernel: float `[lookback, horizon]`, columns summing to one.

    Call arguments:
        history: float32 `[batch, time, channels]`, NaN where missing.
        origin: float32 `[batch, 1, channels]` or a number: what a value of 0 in the history stands for.
        unit: what a step of 1 in the history stands for.

    Returns:
        `[batch, horizon, channels]`, in the units of the history; NaN for a channel with a value that is not positive,
        and for one without an observed value.

    Example:
        >>> LogMap(np.array([[-1.0], [2.0]]))(tf.constant([[[2.0], [4.0]]])).numpy()
        array([[[8.]]], dtype=float32)
    """

    def __init__(self, kernel: np.ndarray):
        super().__init__(name="log_map")
        self.map = RidgeMap(kernel)

    def __call__(self, history: tf.Tensor, origin: tf.Tensor | float = 0.0, unit: tf.Tensor | float = 1.0) -> tf.Tensor:
        values = origin + unit * history[:, -self.map.kernel.shape[0] :]
        positive = tf.reduce_all(tf.math.is_nan(values) | (values > 0), axis=1, keepdims=True)
        logs = tf.math.log(tf.where(values > 0, values, math.nan))
        missing = tf.math.is_nan(logs)
        low = tf.reduce_min(tf.where(missing, math.inf, logs), axis=1, keepdims=True)
        high = tf.reduce_max(tf.where(missing, -math.inf, logs), axis=1, keepdims=True)
        forecast = self.map(logs)
        forecast = tf.clip_by_value(forecast, low - (high - low), high + (high - low))
        return tf.where(positive, (tf.exp(forecast) - origin) / unit, math.nan)
