"""The effect of what is known of the horizon, covariates and calendar: hinges, hours by kind of day, the year."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from unroll.models.series.baselines import RidgeMap

_BENT_WAVES = 3  # harmonics of a day that hinges take part in; of 1 the error of half-hourly demand was 5 % more
_USED = {"day": 4, "week": 3, "year": 2}  # harmonics of each cycle; those of a day for a yes or no, too


@dataclass(frozen=True)
class KnownColumns:
    """Where the covariates of a window stand, and what is made of them.

    Args:
        knots: by column of each covariate that is known for the horizon, the values at which its effect may bend; none
            for one of two values, such as a working day.
        cycles: by name, `day`, `week` or `year`, the column of its sine; its cosine stands after it.
        smoothed: steps over which a covariate is averaged as well, for effects that come late; 1 for none.
    """

    knots: dict[int, Sequence[float]] = field(default_factory=dict)
    cycles: dict[str, int] = field(default_factory=dict)
    smoothed: int = 1


def known_terms(covariates: tf.Tensor, columns: KnownColumns) -> list[tf.Tensor]:
    """The terms that an effect is a weighted sum of.

    A yes or no has an effect by time of day; a number one that bends at its knots, by time of day, and one of its
    mean over the last steps. Without its covariate a term is NaN.

    Args:
        covariates: float32 `[B, T, K]`, NaN where unknown.
        columns: what they are.

    Returns:
        Of the calendar, if it is there, and of each covariate: float32 `[B, T, terms]`.
    """
    waves = {name: _waves(covariates[:, :, column : column + 2]) for name, column in columns.cycles.items()}
    groups = []
    if waves:
        groups.append(_calendar(waves))
    # without the time an effect is its mean over the day, of which a wave's is 0
    day = [tf.where(tf.math.is_nan(wave), 0.0, wave) for wave in waves.get("day", [])]
    for column, knots in columns.knots.items():
        value = covariates[:, :, column : column + 1]
        if not len(knots):
            groups.append(_products(value, day[: _USED["day"]]))
            continue
        terms = [_products(_bent(value, knots), day[:_BENT_WAVES])]
        if columns.smoothed > 1:
            terms.append(_bent(_trailing_mean(value, columns.smoothed), knots))
        groups.append(tf.concat(terms, axis=2))
    return groups


def plain_terms(covariates: tf.Tensor, columns: KnownColumns) -> tf.Tensor | None:
    """Fewer terms, for effects of each category: the cycles, and each covariate; by time of day, if it is a yes or no.

    Args:
        covariates: float32 `[B, T, K]`, NaN where unknown.
        columns: what they are.

    Returns:
        float32 `[B, T, terms]`; None if there are no covariates.
    """
    waves = {name: _waves(covariates[:, :, column : column + 2]) for name, column in columns.cycles.items()}
    terms = [wave for name, cycle in waves.items() for wave in cycle[: _USED[name]]]
    for column, knots in columns.knots.items():
        value = covariates[:, :, column : column + 1]
        day = [] if len(knots) else [tf.where(tf.math.is_nan(wave), 0.0, wave) for wave in waves.get("day", [])[:1]]
        terms.append(_products(value, day))
    return tf.concat(terms, axis=2) if terms else None


class KnownEffect(tf.Module):
    """What is added to a linear map of the history for its covariates.

    The series is taken for an effect of the covariates at each step, and a rest that the map continues: what the map
    makes of the effects in the history is taken off, the effects in the horizon are added. Where a covariate is not
    known ahead, its effect goes on as the map has it.

    Args:
        columns: the covariates.
        weights: of the terms of each group, float `[terms, channels]`, in units of a window's scale.
    """

    def __init__(self, columns: KnownColumns, weights: Sequence[np.ndarray]):
        super().__init__(name="known_effect")
        self.columns = columns
        self.weights = [
            tf.Variable(weight, dtype=tf.float32, trainable=False, name=f"effect_{number}")
            for number, weight in enumerate(weights)
        ]

    def __call__(self, inputs: Mapping[str, tf.Tensor], forecast: tf.Tensor, history_map: RidgeMap) -> tf.Tensor:
        effects = self.over(inputs)
        groups, channels = effects.shape[2:]
        changes = changed(tf.reshape(effects, [-1, effects.shape[1], groups * channels]), history_map)
        changes = tf.reshape(changes, [-1, changes.shape[1], groups, channels])
        return tf.reduce_sum(changes, axis=2)

    def over(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Effects at each step of history and horizon, float32 `[B, L + H, groups, channels]`; NaN where unknown."""
        terms = known_terms(inputs["covariates"], self.columns)
        effects = [tf.einsum("btm,mc->btc", one, weight) for one, weight in zip(terms, self.weights, strict=True)]
        return tf.stack(effects, axis=2)


def changed(terms: tf.Tensor, history_map: RidgeMap) -> tf.Tensor:
    """How terms change from what a map of the history makes of them, float32 `[B, H, M]`; 0 where they are not known.

    Args:
        terms: float32 `[B, L + H, M]`, NaN where unknown.
        history_map: from L to H steps.
    """
    lookback = history_map.kernel.shape[0]
    changes = terms[:, lookback:] - history_map(terms[:, :lookback])
    return tf.where(tf.math.is_finite(changes), changes, 0.0)


def _waves(pair: tf.Tensor) -> list[tf.Tensor]:
    """Sine and cosine `[B, T, 2]` of an angle, and of its multiples."""
    sine, cosine = pair[:, :, 0], pair[:, :, 1]
    waves, real, imaginary = [], cosine, sine
    for _ in range(max(_USED.values())):
        waves.append(tf.stack([imaginary, real], axis=2))
        real, imaginary = real * cosine - imaginary * sine, imaginary * cosine + real * sine
    return waves


def _calendar(waves: dict[str, list[tf.Tensor]]) -> tf.Tensor:
    """Each cycle, and how the day changes with the day of the week and the time of the year."""
    terms = [wave for name, cycle in waves.items() for wave in cycle[: _USED[name]]]
    for other in ("week", "year"):
        if "day" in waves and other in waves:
            slow = tf.concat(waves[other][: _USED[other]], axis=2)
            terms += [_products(slow, waves["day"][:3])[:, :, slow.shape[2] :]]
    return tf.concat(terms, axis=2)


def _products(terms: tf.Tensor, waves: Sequence[tf.Tensor]) -> tf.Tensor:
    """The terms `[B, T, M]`, and each of them times each wave."""
    if not waves:
        return terms
    basis = tf.concat(waves, axis=2)  # [B, T, W]
    product = terms[:, :, :, None] * basis[:, :, None]
    return tf.concat([terms, tf.reshape(product, [*_shape(terms)[:2], terms.shape[2] * basis.shape[2]])], axis=2)


def _bent(value: tf.Tensor, knots: Sequence[float]) -> tf.Tensor:
    """A number `[B, T, 1]` and what it is above each knot; NaN stays."""
    above = value - tf.constant(list(knots), tf.float32)
    return tf.concat([value, tf.where(above < 0, 0.0, above)], axis=2)


def _trailing_mean(value: tf.Tensor, steps: int) -> tf.Tensor:
    """The mean of what is known of the last steps; NaN where the newest is not."""
    known = tf.math.is_finite(value)
    sums = tf.cumsum(tf.where(known, value, 0.0), axis=1)
    counts = tf.cumsum(tf.cast(known, tf.float32), axis=1)
    before = [[0, 0], [steps, 0], [0, 0]]
    time = _shape(value)[1]
    total, count = (one - tf.pad(one, before)[:, :time] for one in (sums, counts))
    return tf.where(known, total / tf.maximum(count, 1.0), math.nan)


def _shape(tensor: tf.Tensor) -> list[tf.Tensor]:
    return tf.unstack(tf.shape(tensor))
