"""The simple forecast: linear maps of the history, and the effects of covariates."""

from collections.abc import Mapping

import tensorflow as tf

from unroll.models.layers.instance_norm import window_statistics
from unroll.models.series.baselines import RidgeMap
from unroll.models.series.covariate_effect import CovariateEffect
from unroll.models.series.log_map import LogMap


class SimplePath(tf.Module):
    """A forecast in closed form, of whatever level and scale.

    Args:
        history_map: of the targets.
        effect: of the covariates; None where there are none, or they tell nothing.
        log_map: of the targets' logarithms; None: it has no share.
        log_share: its share in the forecast of windows whose values are all positive.

    Call arguments:
        inputs: of a `Forecaster`: `history` `[batch, lookback, channels]` and, with an effect, `covariates`
            `[batch, lookback + horizon, covariates]`, NaN where unknown. Of a history that is scaled, `origin` and
            `unit` `[batch, 1, channels]`: its values are origin + unit * history.

    Returns:
        float32 `[batch, horizon, channels]`; NaN for a channel without an observed value.
    """

    def __init__(
        self,
        history_map: RidgeMap,
        effect: CovariateEffect | None = None,
        log_map: LogMap | None = None,
        log_share: float = 0.0,
    ):
        super().__init__(name="simple_path")
        self.history_map = history_map
        self.effect = effect
        self.log_map = log_map
        self.log_share = log_share

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        history = inputs["history"]
        forecast = self.history_map(history)
        if self.log_map is not None:
            grown = self.log_map(history, inputs.get("origin", 0.0), inputs.get("unit", 1.0))
            mixed = forecast + self.log_share * (grown - forecast)
            forecast = tf.where(tf.math.is_finite(grown), mixed, forecast)
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
