"""The effect of a category: how its series grow, keep to their past and follow the calendar, beside all others."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from unroll.models.layers.instance_norm import window_statistics
from unroll.models.series.baselines import RidgeMap, last_value, seasonal_naive
from unroll.models.series.effects.known import KnownColumns, changed, plain_terms


@dataclass(frozen=True)
class GroupColumns:
    """What the effect of a category is made of.

    Args:
        static: number of the categories' column.
        known: covariates and calendar.
        season: steps.
    """

    static: int
    known: KnownColumns
    season: int


def group_terms(
    inputs: Mapping[str, tf.Tensor], forecast: tf.Tensor, history_map: RidgeMap, columns: GroupColumns
) -> tf.Tensor:
    """The terms that the effect of a category is a weighted sum of, each in units of a window's scale.

    Growth, the distance from the forecast to last value, mean and seasonal naive forecast, and how calendar and
    covariates change.

    Args:
        inputs: of a `Forecaster`.
        forecast: that the effect is added to, float32 `[batch, horizon, channels]`.
        history_map: that the forecast began with.
        columns: of one column of categories.

    Returns:
        float32 `[batch, horizon, channels, terms]`; 0 where one is not known.
    """
    history = inputs["history"]
    horizon = forecast.shape[1]
    mean, scale = window_statistics(history)
    plain = [last_value(history, horizon), tf.broadcast_to(mean, tf.shape(forecast))]
    if 1 < columns.season <= history.shape[1]:
        plain.append(seasonal_naive(history, horizon, columns.season))
    growth = tf.range(1, horizon + 1, dtype=tf.float32)[None, :, None] / horizon + 0 * forecast
    terms = tf.stack([growth, *((one - forecast) / scale for one in plain)], axis=3)
    known = plain_terms(inputs["covariates"], columns.known)
    if known is not None:
        changes = tf.tile(changed(known, history_map)[:, :, None], [1, 1, forecast.shape[2], 1])
        terms = tf.concat([terms, changes], axis=3)
    return tf.where(tf.math.is_finite(terms), terms, 0.0)


class GroupEffect(tf.Module):
    """What is added to a forecast for the category of its series.

    Args:
        columns: what it is made of.
        weights: of the terms for each category, float `[categories + 1, channels, terms]`; the first are those of all
            series, for a category that is not known.
    """

    def __init__(self, columns: GroupColumns, weights: np.ndarray):
        super().__init__(name="group_effect")
        self.columns = columns
        self.weights = tf.Variable(weights, dtype=tf.float32, trainable=False, name="group_effect")

    def __call__(self, inputs: Mapping[str, tf.Tensor], forecast: tf.Tensor, history_map: RidgeMap) -> tf.Tensor:
        weights = tf.gather(self.weights, inputs["static"][:, self.columns.static])  # [B, C, M]
        return tf.einsum("bhcm,bcm->bhc", group_terms(inputs, forecast, history_map, self.columns), weights)
