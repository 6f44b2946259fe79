"""The rest of a series without the effects of what is known ahead, forecast by a map of its own."""

from collections.abc import Mapping

import tensorflow as tf

from unroll.models.layers.instance_norm import window_statistics
from unroll.models.series.baselines import RidgeMap, interpolate
from unroll.models.series.effects.known import KnownEffect


class RestEffect(tf.Module):
    """Where covariates and calendar are known all along, takes their effects off the history and adds those ahead.

    A regression with errors that follow from one another: what is between, the rest, has less of a season than the
    series, and another map forecasts it better. A window in which one of them is not known keeps its forecast.

    Args:
        known: the effect of covariates and calendar.
        rest_map: of the rest.
    """

    def __init__(self, known: KnownEffect, rest_map: RidgeMap):
        super().__init__(name="rest_effect")
        self.known = known
        self.rest_map = rest_map

    def __call__(self, inputs: Mapping[str, tf.Tensor], forecast: tf.Tensor, history_map: RidgeMap) -> tf.Tensor:
        history = inputs["history"]
        past, ahead = split_effects(self.known, inputs)
        _, scale = window_statistics(history)  # [B, 1, C]
        added = (self.rest_map(history - scale * past) - forecast) / scale + ahead
        known = tf.reduce_all(tf.math.is_finite(added), axis=1, keepdims=True)
        return tf.where(known, added, 0.0)


def split_effects(known: KnownEffect, inputs: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Effects `[batch, lookback, channels]` in the history, gaps filled, and `[batch, horizon, channels]` ahead.

    Args:
        known: the effect.
        inputs: of a `Forecaster`.
    """
    effects = known.over(inputs)  # [B, L + H, G, C]
    lookback, (groups, channels) = inputs["history"].shape[1], effects.shape[2:]
    past = interpolate(tf.reshape(effects[:, :lookback], [-1, lookback, groups * channels]))
    past = tf.reduce_sum(tf.reshape(past, [-1, lookback, groups, channels]), axis=2)
    return past, tf.reduce_sum(effects[:, lookback:], axis=2)
