"""The simple forecast: a linear map of the history, and the effects of covariates."""

from collections.abc import Mapping

import tensorflow as tf

from unroll.models.layers.instance_norm import window_statistics
from unroll.models.series.baselines import RidgeMap
from unroll.models.series.covariate_effect import CovariateEffect


class SimplePath(tf.Module):
    """A forecast in closed form, of whatever level and scale.

    Args:
        history_map: of the targets.
        effect: of the covariates; None where there are none, or they tell nothing.

    Call arguments:
        inputs: of a `Forecaster`: `history` `[batch, lookback, channels]` and, with an effect, `covariates`
            `[batch, lookback + horizon, covariates]`, NaN where unknown.

    Returns:
        float32 `[batch, horizon, channels]`; NaN for a channel without an observed value.
    """

    def __init__(self, history_map: RidgeMap, effect: CovariateEffect | None = None):
        super().__init__(name="simple_path")
        self.history_map = history_map
        self.effect = effect

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        history = inputs["history"]
        forecast = self.history_map(history)
        if self.effect is None:
            return forecast
        effects = self.effect(inputs["covariates"])  # [B, L + H, G, C]
        lookback = self.history_map.kernel.shape[0]
        groups, channels = effects.shape[2:]
        flat = tf.reshape(effects, [-1, tf.shape(effects)[1], groups * channels])
        changes = flat[:, lookback:] - self.history_map(flat[:, :lookback])
        changes = tf.where(tf.math.is_finite(changes), changes, 0.0)
        changes = tf.reshape(changes, [-1, tf.shape(forecast)[1], groups, channels])
        _, scale = window_statistics(history)  # [B, 1, C]
        return forecast + scale * tf.reduce_sum(changes, axis=2)
