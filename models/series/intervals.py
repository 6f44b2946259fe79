"""Quantiles around a forecast, in the graph that is served."""

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from unroll.models.layers.instance_norm import window_statistics

_FEWEST = 4  # newest steps
_USUAL = 2  # steps of the usual size that a mean of few steps begins from: one that stood still is not calm for ever


def error_scale(history: tf.Tensor, horizon: int, season: int = 1) -> tf.Tensor:
    """What errors of forecasts from a window are measured in.

    It is the geometric mean of four: the deviation, which is mostly season and trend, and these are forecast; the mean
    absolute step from one value to the next, mostly noise, which is not; the same of the differences from the season
    before, which tells noise from a strong season; and that of the newest steps alone, as the size of errors changes.
    Errors follow none alone.

    Args:
        history: float32 `[batch, time, channels]`, NaN where missing.
        horizon: steps that are forecast, and so many are the newest, up to half of the window.
        season: steps; no difference from the season before is taken where it is 1 or longer than half of the window.

    Returns:
        float32 `[batch, 1, channels]`, above 0; the deviation of a window without neighbouring values that differ.

    Example:
        >>> error_scale(tf.constant([[[0.0], [2.0], [0.0], [2.0]]]), 2).numpy().ravel().round(3)  # deviation 1, steps 2
        array([1.682], dtype=float32)
    """
    _, deviation = window_statistics(history)
    length = history.shape[1]
    total, count = _steps(history)
    step = total / tf.maximum(count, 1.0)
    newest = _mean_step(history[:, -max(_FEWEST, min(horizon, length // 2)) - 1 :], step)
    seasonal = _mean_step(history[:, season:] - history[:, :-season], step) if 1 < season <= length // 2 else step
    roots = [tf.sqrt(tf.sqrt(one)) for one in (deviation, step, seasonal, newest)]  # of no product, that may overflow
    return tf.where(step > 1e-3 * deviation, tf.reduce_prod(tf.stack(roots), axis=0), deviation)


def _mean_step(values: tf.Tensor, usual: tf.Tensor) -> tf.Tensor:
    """The mean absolute step, drawn to a usual one where few are known: `[batch, 1, channels]`."""
    total, count = _steps(values)
    return (total + _USUAL * usual) / (count + _USUAL)


def _steps(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The sum of absolute steps from one value to the next, and how many there are: `[batch, 1, channels]` each."""
    steps = tf.abs(values[:, 1:] - values[:, :-1])
    known = tf.math.is_finite(steps)
    total = tf.reduce_sum(tf.where(known, steps, 0.0), axis=1, keepdims=True)
    return total, tf.reduce_sum(tf.cast(known, tf.float32), axis=1, keepdims=True)


@dataclass(frozen=True)
class Spread:
    """How far quantiles stand from a forecast.

    Args:
        errors: float `[horizon, channels, levels]`, quantiles of the errors of forecasts, in units of `error_scale`.
        offsets: float `[channels, levels]`, what is added to the network's quantiles, in the same units.
        widened: by how much the network's quantiles are spread then.
        share: of the network's quantiles in the answer, 0 to 1; the rest is that of the errors.
        season: of `error_scale`.
    """

    errors: np.ndarray
    offsets: np.ndarray
    widened: float = 1.0
    share: float = 0.0
    season: int = 1

    def __call__(self, forecast: tf.Tensor, quantiles: tf.Tensor, history: tf.Tensor) -> tf.Tensor:
        """Quantiles, sorted.

        Args:
            forecast: float32 `[batch, horizon, channels]`.
            quantiles: float32 `[batch, horizon, channels, levels]`, the network's around it.
            history: float32 `[batch, lookback, channels]`, NaN where missing; what the forecaster read.

        Returns:
            float32 `[batch, horizon, channels, levels]`; NaN where the forecast is.
        """
        scale, forecast = error_scale(history, len(self.errors), self.season)[..., None], forecast[..., None]
        spread = (1 - self.share) * tf.constant(self.errors, tf.float32) * scale
        if self.share:
            network = quantiles - forecast + tf.constant(self.offsets, tf.float32) * scale
            spread += self.share * self.widened * network
        return tf.where(tf.math.is_nan(forecast), math.nan, tf.sort(forecast + spread, axis=-1))
