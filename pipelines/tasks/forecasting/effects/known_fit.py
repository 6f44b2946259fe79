"""Fits the effect of what is known of the horizon."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from unroll.models.series.effects.known import KnownColumns, KnownEffect, changed, known_terms
from unroll.models.series.simple_path import SimplePath
from unroll.pipelines.tasks.forecasting.effects.choice import choose
from unroll.pipelines.tasks.forecasting.effects.part import Part
from unroll.pipelines.tasks.forecasting.effects.sums import BlockSums, masks, usual_values
from unroll.pipelines.tasks.forecasting.windows.feed import Feed

_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)


def known_columns(feed: Feed, season: int) -> KnownColumns:
    """What is made of the covariates that are known for the horizon.

    Args:
        feed: of the windows.
        season: steps over which their effect may be late: the shortest season of the series.
    """
    features = feed.features
    knots: dict[int, Sequence[float]] = {}
    for column in range(features.past, features.past + features.future):
        known = usual_values(feed, column)
        several = len(np.unique(known)) > 2
        knots[column] = np.unique(np.quantile(known, _QUANTILES).round(4)).tolist() if several else ()
    first = features.past + features.future
    if len(features.holidays):
        knots[first] = ()
    first += bool(len(features.holidays))
    cycles = {name: first + 2 * number for number, name in enumerate(features.cycles)}
    return KnownColumns(knots, cycles, season if features.future else 1)


def fit_known(feed: Feed, path: SimplePath, season: int) -> Part | None:
    """The effect of covariates that are known for the horizon and of the calendar; None where it does not pay.

    Args:
        feed: of the windows.
        path: the simple forecast without it.
        season: the shortest of the series.
    """
    columns = known_columns(feed, season)
    if not columns.knots and not columns.cycles:
        return None
    covariates = tf.fill([1, 1, feed.features.covariates], 0.0)
    sizes = [one.shape[2] for one in known_terms(covariates, columns)]

    def terms(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return changed(tf.concat(known_terms(inputs["covariates"], columns), axis=2), path.history_map)

    found = BlockSums(feed, path, terms)
    scale = found.whole.scale
    everything = np.ones(len(scale), bool)
    choice = choose(found.folds, scale, [everything], masks(sizes))
    if choice is None:
        return None
    effect = KnownEffect(columns, np.split(choice.weights(found.whole, scale), np.cumsum(sizes)[:-1]))
    return Part(effect, choice.gain, "covariates and calendar", choice.errors)
