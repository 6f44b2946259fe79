"""Fits the effect of a column of categories."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from unroll.models.series.effects.groups import GroupColumns, GroupEffect, group_terms
from unroll.models.series.effects.known import KnownColumns
from unroll.models.series.simple_path import SimplePath
from unroll.pipelines.tasks.forecasting.effects.choice import PENALTIES, errors_without, gains_of, pays
from unroll.pipelines.tasks.forecasting.effects.part import Part
from unroll.pipelines.tasks.forecasting.effects.sums import MEMORY, BlockSums, Sums
from unroll.pipelines.tasks.forecasting.windows.feed import Feed

_PLAIN = 4  # terms without covariates


def fit_group(feed: Feed, path: SimplePath, *, known: KnownColumns, season: int, static: int) -> Part | None:
    """The effect of a column of categories; None where it does not pay beyond one that all series share.

    Args:
        feed: of the windows.
        path: the simple forecast without it.
        known: covariates and calendar.
        season: of the series.
        static: number of the column.
    """
    name, categories = list(feed.data.dataset_info["categories"].items())[static]
    fits = (1 + len(categories)) * feed.features.targets
    if len(categories) < 2 or fits * _PLAIN**2 > MEMORY:
        return None
    width = _PLAIN + 3 * len(known.knots) + 18
    columns = GroupColumns(static, known if fits * width**2 <= MEMORY else KnownColumns(), season)

    def terms(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return group_terms(inputs, path(inputs), path.history_map, columns)

    found = BlockSums(feed, path, terms, (1 + len(categories), static))
    folds, scale = found.folds, found.whole.scale
    if not folds:
        return None
    pooled = [(fitted.pooled, held_out.pooled) for fitted, held_out in folds]
    shared = [np.array([judge.error(one.solve(penalty, scale)) for one, judge in pooled]) for penalty in PENALTIES]
    least = min((errors_without(folds), *shared), key=np.mean)
    after = [
        np.array([judge.error(_weights(fitted, penalty, scale)) for fitted, judge in folds]) for penalty in PENALTIES
    ]
    best = int(np.argmin([one.mean() for one in after]))
    gains = gains_of(least, after[best])
    if not pays(gains):
        return None
    effect = GroupEffect(columns, _weights(found.whole, PENALTIES[best], scale)[..., 0])
    return Part(effect, float(gains.mean()), name, after[best])


def _weights(sums: Sums, penalty: float, scale: np.ndarray) -> np.ndarray:
    """Weights by category `[K + 1, C, M, 1]` that shrink to those of all series, which the unknown one has."""
    shared = sums.pooled.solve(penalty, scale)
    weights = sums.solve(penalty, scale, np.broadcast_to(shared, sums.cross.shape))
    weights[0] = shared
    return weights
