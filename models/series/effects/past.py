"""The effect of covariates that are known up to now: their last values, means and hinges, for each step ahead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from unroll.models.layers.instance_norm import window_statistics
from unroll.models.series.baselines import RidgeMap, interpolate

_BENT = 3  # newest values that bend


@dataclass(frozen=True)
class PastColumns:
    """What is made of the covariates that are known up to now, the first columns of a window's covariates.

    Args:
        knots: for each, the values at which its effect may bend; its least and greatest usual value stand first and
            last, and beyond them it is taken for those.
        lags: newest values that have effects of their own.
        spans: steps of means up to now that have one.
        season: steps of the mean that bends, too.
        day: column of the sine of the time of day, its cosine after it; None where there is none.
    """

    knots: Sequence[Sequence[float]]
    lags: int
    spans: Sequence[int]
    season: int = 1
    day: int | None = None

    @property
    def own(self) -> int:
        """Terms of the target's own history."""
        return self.lags + len(self.spans)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Of each covariate how many terms it has: those of its values and means, and further ones."""
        waves = 0 if self.day is None else 2
        bent = min(_BENT, self.lags) + (self.season > 1)
        return [(self.own, waves + 1 + bent * (len(knots) - 1)) for knots in self.knots]


def past_terms(inputs: Mapping[str, tf.Tensor], columns: PastColumns) -> tf.Tensor:
    """The terms that the effect at each step ahead is a weighted sum of.

    Values and means are differences from the window's mean, so a level that no window had before is none that an effect
    was not learnt at. The target's own stand beside them, since a covariate tells only what those do not.

    Args:
        inputs: of a `Forecaster`.
        columns: what the covariates are.

    Returns:
        float32 `[batch, channels, terms]`: the target's own, then those of each covariate; 0 where it is unknown.
    """
    history, covariates = inputs["history"], inputs["covariates"]
    lookback, channels, count = history.shape[1], history.shape[2], len(columns.knots)
    mean, scale = window_statistics(history)
    own = _recent((interpolate(history) - mean) / scale, columns)  # [B, C, own]
    past = interpolate(covariates[:, :lookback, :count])  # [B, L, P]
    linear = _recent(past - tf.reduce_mean(past, axis=1, keepdims=True), columns)  # [B, P, own]
    groups = []
    for column, knots in enumerate(columns.knots):
        values, further = past[:, :, column], [tf.ones_like(past[:, :1, column])]
        if columns.day is not None:
            day = covariates[:, lookback - 1, columns.day : columns.day + 2]
            further.append(linear[:, column, :1] * tf.where(tf.math.is_nan(day), 0.0, day))
        further += [_bent(values[:, -lag, None], knots) for lag in range(1, min(_BENT, columns.lags) + 1)]
        if columns.season > 1:
            further.append(_bent(tf.reduce_mean(values[:, -columns.season :], axis=1, keepdims=True), knots))
        terms = tf.concat([linear[:, column], *further], axis=1)
        groups.append(tf.where(tf.math.is_finite(values[:, -1:]), terms, 0.0))
    known = tf.reduce_all(tf.math.is_finite(past[:, -1]), axis=1)[:, None, None]
    beside = tf.tile(tf.concat(groups, axis=1)[:, None], [1, channels, 1])  # [B, C, M]
    return tf.concat([tf.where(known & tf.math.is_finite(own), own, 0.0), beside], axis=2)


class PastEffect(tf.Module):
    """What is added to a forecast for covariates that are known up to now; nothing for one without a value.

    Args:
        columns: the covariates.
        weights: of the terms, float `[channels, terms, horizon]`, in units of a window's scale.
    """

    def __init__(self, columns: PastColumns, weights: np.ndarray):
        super().__init__(name="past_effect")
        self.columns = columns
        self.weights = tf.Variable(weights, dtype=tf.float32, trainable=False, name="past_effect")

    def __call__(self, inputs: Mapping[str, tf.Tensor], forecast: tf.Tensor, history_map: RidgeMap) -> tf.Tensor:
        return tf.einsum("bcm,cmh->bhc", past_terms(inputs, self.columns), self.weights)


def _recent(values: tf.Tensor, columns: PastColumns) -> tf.Tensor:
    """The newest values and means `[B, N, own]` of `[B, L, N]`, the newest first."""
    newest = values[:, ::-1][:, : columns.lags]
    means = [tf.reduce_mean(values[:, -span:], axis=1, keepdims=True) for span in columns.spans]
    return tf.transpose(tf.concat([newest, *means], axis=1), [0, 2, 1])


def _bent(value: tf.Tensor, knots: Sequence[float]) -> tf.Tensor:
    """A number `[B, 1]` between the outer knots, and what it is above each of the others."""
    least, *inner, greatest = knots
    value = tf.clip_by_value(value, least, greatest)
    return tf.concat([value, tf.nn.relu(value - tf.constant(inner, tf.float32))], axis=1)
