"""Forecasts that a trained model has to beat: last value, seasonal naive, a ridge linear map.

TensorFlow operations only, so that every exported forecaster carries its baselines. NaN is a missing value.
"""

import numpy as np
import tensorflow as tf


def last_value(history: tf.Tensor, horizon: int) -> tf.Tensor:
    """The last observed value, at every step of the horizon.

    Args:
        history: float `[batch, time, channels]`, NaN where missing.
        horizon: steps to forecast.

    Returns:
        `[batch, horizon, channels]`; NaN for a channel without an observed value.

    Example:
        >>> last_value(tf.constant([[[1.0], [2.0], [np.nan]]]), 2).numpy().ravel()
        array([2., 2.], dtype=float32)
    """
    return tf.repeat(_last_observed(history)[:, None], horizon, axis=1)  # [B, H, C]


def seasonal_naive(history: tf.Tensor, horizon: int, season: int) -> tf.Tensor:
    """The value one season before; where it is missing, two seasons before, and so on; else the last value.

    Steps beyond one season repeat the forecast of the first (Hyndman & Athanasopoulos, "Forecasting: Principles
    and Practice", section 5.2).

    Args:
        history: float `[batch, time, channels]`, NaN where missing; `time` may be shorter than a season.
        horizon: steps to forecast.
        season: steps of a season.

    Returns:
        `[batch, horizon, channels]`; NaN for a channel without an observed value.

    Example:
        >>> seasonal_naive(tf.constant([[[1.0], [2.0], [3.0], [np.nan]]]), 3, season=2).numpy().ravel()
        array([3., 2., 3.], dtype=float32)
    """
    batch, time, channels = tf.unstack(tf.shape(history))
    seasons = -(-time // season)
    whole = _left_padded(history, seasons * season)
    newest = _last_observed(tf.reshape(whole, [batch, seasons, season, channels]))  # [B, season, C]
    repeated = tf.gather(newest, tf.range(horizon) % season, axis=1)  # [B, H, C]
    return tf.where(tf.math.is_nan(repeated), last_value(history, horizon), repeated)


def interpolate(history: tf.Tensor) -> tf.Tensor:
    """Missing values on the straight line between their observed neighbours; the ends repeat the nearest.

    Args:
        history: float `[batch, time, channels]`, NaN where missing.

    Returns:
        The same shape; NaN only in a channel without an observed value.

    Example:
        >>> interpolate(tf.constant([[[np.nan], [1.0], [np.nan], [3.0]]])).numpy().ravel()
        array([1., 1., 2., 3.], dtype=float32)
    """
    values = tf.transpose(history, [0, 2, 1])  # [B, C, T]
    observed = ~tf.math.is_nan(values)
    time = tf.shape(values)[-1]
    steps = tf.broadcast_to(tf.range(time), tf.shape(values))
    seen = tf.cumsum(tf.cast(observed, tf.int32), axis=-1)  # [B, C, T] observed steps so far
    positions = tf.minimum(tf.sort(tf.where(observed, steps, time)), time - 1)  # observed steps first
    last = tf.maximum(seen[..., -1:] - 1, 0)
    before = tf.gather(positions, tf.maximum(seen - 1, 0), batch_dims=2)
    after = tf.gather(positions, tf.minimum(seen - tf.cast(observed, tf.int32), last), batch_dims=2)
    share = tf.math.divide_no_nan(tf.cast(steps - before, values.dtype), tf.cast(after - before, values.dtype))
    left, right = (tf.gather(values, neighbour, batch_dims=2) for neighbour in (before, after))
    return tf.transpose(left + share * (right - left), [0, 2, 1])


class RidgeMap(tf.Module):
    """A linear map from the newest timesteps to the horizon, shared by all channels.

    Missing values are interpolated and a short history is padded with its first observed value. The columns
    of the kernel sum to one, so the forecast follows the level and the scale of the history.

    Args:
        kernel: float `[lookback, horizon]`, as a ridge regression fits it.

    Call arguments:
        history: float32 `[batch, time, channels]`, NaN where missing; any `time` from 1 up.

    Returns:
        `[batch, horizon, channels]`; NaN for a channel without an observed value.

    Example:
        >>> RidgeMap(np.array([[-1.0], [2.0]]))(tf.constant([[[1.0], [2.0]]])).numpy()
        array([[[3.]]], dtype=float32)
    """

    def __init__(self, kernel: np.ndarray):
        super().__init__()
        self.kernel = tf.Variable(kernel, dtype=tf.float32, trainable=False, name="kernel")

    def __call__(self, history: tf.Tensor) -> tf.Tensor:
        lookback = self.kernel.shape[0]
        filled = interpolate(_left_padded(history[:, -lookback:], lookback))  # [B, L, C]
        # without the level, float32 keeps its digits for small changes of large values
        level = tf.reduce_mean(filled, axis=1, keepdims=True)  # [B, 1, C]
        return level + tf.einsum("blc,lh->bhc", filled - level, self.kernel)


def _left_padded(history: tf.Tensor, time: int | tf.Tensor) -> tf.Tensor:
    missing = time - tf.shape(history)[1]
    return tf.pad(history, [[0, 0], [missing, 0], [0, 0]], constant_values=np.nan)


def _last_observed(values: tf.Tensor) -> tf.Tensor:
    """The newest value along axis 1 that is not NaN, else NaN."""
    missing = tf.math.is_nan(values)
    steps = tf.reshape(tf.range(tf.shape(values)[1]), [-1] + [1] * (len(values.shape) - 2))
    newest = tf.reduce_max(tf.where(missing, -1, steps), axis=1, keepdims=True)
    return tf.reduce_sum(tf.where(steps == newest, values, 0), axis=1) + tf.where(
        newest[:, 0] < 0, tf.constant(np.nan, values.dtype), 0
    )
