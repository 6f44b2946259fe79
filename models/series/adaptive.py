"""Intervals that adapt to what came of earlier forecasts, by a state that the client carries.

Quantile tracking (Angelopoulos, Candes & Tibshirani 2023, "Conformal PID Control for Time Series Prediction"; it began
with Gibbs & Candes 2021, "Adaptive Conformal Inference Under Distribution Shift"), of the logarithm of how far a
quantile stands from its forecast.
"""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

RATE = 0.1
"""Of the first step ahead; see `AdaptiveQuantiles`."""
_LOWEST, _HIGHEST = math.log(1 / 4), math.log(10)


class AdaptiveQuantiles:
    """Widens and narrows each quantile by whether values fell beyond it.

    Quantile q of the step h stands exp(a) times as far from the forecast as it was calibrated. When a value comes that
    was forecast h steps before,

        a <- a + rate / sqrt(h) (beyond - tail),

    where `beyond` is 1 if the value was below a lower or above an upper quantile as it was answered, else 0, and
    `tail` is q or 1 - q. The rate falls with h since errors of h steps ahead come in runs. That is done for the steps
    1, 2, 4, ... and the last one; others lie between them on the logarithm of h. The median stays.

    The state of a stream, float32 `[state_size]`, holds each a, and of the last H forecasts the quantiles of these
    steps; NaN for those that never were. It is as large however long the stream is.

    Args:
        horizon: H, steps.
        channels: C.
        levels: of the quantiles, rising.
        rate: of learning.
    """

    def __init__(self, horizon: int, channels: int, levels: Sequence[float], rate: float = RATE):
        self._steps = np.unique([*(2 ** np.arange(horizon.bit_length())), horizon])
        self._steps = self._steps[self._steps <= horizon]
        self._moving = np.flatnonzero(np.array(levels) != 0.5)
        tails = np.array(levels)[self._moving]
        self._lower = tails < 0.5
        self._tails = np.minimum(tails, 1 - tails).astype(np.float32)
        self._rates = (rate / np.sqrt(self._steps)).astype(np.float32)[:, None, None]
        self._shape = (len(self._steps), channels, len(tails))
        self._horizon, self._levels = horizon, len(levels)
        self._between = self._interpolation()

    @property
    def state_size(self) -> int:
        """Numbers of a stream's state."""
        return (self._horizon + 1) * math.prod(self._shape)

    def observed(self, state: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """The state after further values came.

        Args:
            state: float32 `[batch, state_size]`.
            values: float32 `[batch, time, channels]`, NaN where missing.

        Returns:
            float32 `[batch, state_size]`, with no forecast from these steps yet.
        """
        if not len(self._tails):
            return state
        widths, pending = self._apart(state)

        def one(index: tf.Tensor, widths: tf.Tensor, pending: tf.Tensor) -> tuple[tf.Tensor, ...]:
            came = values[:, index][:, None, :, None]  # [B, 1, C, 1]
            places = tf.stack([-self._steps % self._horizon, np.arange(len(self._steps))], axis=1)
            answered = tf.gather_nd(tf.transpose(pending, [1, 2, 0, 3, 4]), places)  # [K, B, C, Q]
            answered = tf.transpose(answered, [1, 0, 2, 3])
            beyond = tf.where(self._lower, came < answered, came > answered)
            known = tf.math.is_finite(came) & tf.math.is_finite(answered)
            change = self._rates * (tf.cast(beyond, tf.float32) - self._tails)
            widths = tf.clip_by_value(widths + tf.where(known, change, 0.0), _LOWEST, _HIGHEST)
            none = tf.fill(tf.shape(pending[:, :1]), math.nan)
            return index + 1, widths, tf.concat([pending[:, 1:], none], axis=1)

        count = tf.shape(values)[1]
        _, widths, pending = tf.while_loop(lambda index, *_: index < count, one, [0, widths, pending])
        return self._together(widths, pending)

    def answered(self, state: tf.Tensor, forecast: tf.Tensor, quantiles: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The adapted quantiles of a forecast from the newest step, and the state that holds them.

        Args:
            state: float32 `[batch, state_size]`, what `observed` returned.
            forecast: float32 `[batch, horizon, channels]`.
            quantiles: float32 `[batch, horizon, channels, levels]`, sorted.

        Returns:
            float32 `[batch, horizon, channels, levels]`, and float32 `[batch, state_size]`.
        """
        if not len(self._tails):
            return quantiles, state
        widths, pending = self._apart(state)
        factors = tf.exp(tf.einsum("hk,bkcq->bhcq", self._between, widths))
        columns = tf.unstack(quantiles, axis=-1)
        for place, level in enumerate(self._moving):
            columns[level] = forecast + (columns[level] - forecast) * factors[..., place]
        adapted = tf.sort(tf.stack(columns, axis=-1), axis=-1)
        adapted = tf.where(tf.math.is_nan(quantiles), quantiles, adapted)
        kept = tf.gather(tf.gather(adapted, self._steps - 1, axis=1), self._moving, axis=-1)  # [B, K, C, Q]
        return adapted, self._together(widths, tf.concat([pending[:, :-1], kept[:, None]], axis=1))

    def _apart(self, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Logarithms of the widths `[B, K, C, Q]`, and quantiles of the last forecasts `[B, H, K, C, Q]`."""
        parts = tf.reshape(state, [-1, self._horizon + 1, *self._shape])
        return tf.where(tf.math.is_finite(parts[:, 0]), parts[:, 0], 0.0), parts[:, 1:]

    def _together(self, widths: tf.Tensor, pending: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.concat([widths[:, None], pending], axis=1), [-1, self.state_size])

    def _interpolation(self) -> np.ndarray:
        """Weights `[H, K]` of the steps that are kept for all of them."""
        logs, kept = np.log(np.arange(1, self._horizon + 1)), np.log(self._steps)
        return np.stack([np.interp(logs, kept, one) for one in np.eye(len(kept))], axis=1).astype(np.float32)
