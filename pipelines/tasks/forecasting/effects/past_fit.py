"""Fits the effect of covariates that are known up to now."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from unroll.models.series.effects.past import PastColumns, PastEffect, past_terms
from unroll.models.series.simple_path import SimplePath
from unroll.pipelines.tasks.forecasting.effects.choice import choose
from unroll.pipelines.tasks.forecasting.effects.part import Part
from unroll.pipelines.tasks.forecasting.effects.sums import MEMORY, BlockSums, masks, usual_values
from unroll.pipelines.tasks.forecasting.windows.feed import Feed

_QUANTILES = (0.02, 0.2, 0.4, 0.6, 0.8, 0.98)  # the outer ones bound what a value is taken for
_LAGS = 24
_SPANS = 2 ** np.arange(1, 10)
_LEAST_LAGS = 2


def past_columns(feed: Feed, season: int) -> PastColumns | None:
    """What is made of the covariates that are known up to now; None of none, or of more than can be told apart.

    Args:
        feed: of the windows.
        season: the shortest of the series.
    """
    features = feed.features
    day = (
        features.past + features.future + bool(len(features.holidays)) + 2 * features.cycles.index("day")
        if ("day" in features.cycles)
        else None
    )
    knots = [
        np.quantile(values, _QUANTILES).round(4).tolist() if len(values := usual_values(feed, column)) else [0.0, 0.0]
        for column in range(features.past)
    ]
    most = np.sqrt(MEMORY / features.targets)  # terms
    lags = min(_LAGS, features.lookback, max(season, 8))
    spans = [int(span) for span in _SPANS if span <= features.lookback / 2]
    while features.past and lags >= _LEAST_LAGS:
        columns = PastColumns(knots, lags, spans, season, day)
        if columns.own + sum(map(sum, columns.sizes)) <= most:
            return columns
        lags //= 2
        spans = spans[: len(spans) // 2]
    return None


def fit_past(feed: Feed, path: SimplePath, season: int) -> Part | None:
    """The effect of covariates that are known up to now; None where it does not pay.

    Args:
        feed: of the windows.
        path: the simple forecast without it.
        season: the shortest of the series.
    """
    columns = past_columns(feed, season)
    if columns is None:
        return None

    def terms(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return past_terms(inputs, columns)[:, None]

    found = BlockSums(feed, path, terms)
    scale = found.whole.scale
    own, *parts = masks([columns.own, *(size for sizes in columns.sizes for size in sizes)])
    linear, further = np.any(parts[::2], axis=0), np.any(parts[1::2], axis=0)
    covariates = [one | other for one, other in zip(parts[::2], parts[1::2], strict=True)]
    choice = choose(found.folds, scale, [own | linear, own | linear | further], covariates, base=own)
    if choice is None:
        return None

    names = feed.data.dataset_info["past_covariates"]
    used = [name for name, mask in zip(names, covariates, strict=True) if (mask & choice.used).any()]
    effect = PastEffect(columns, choice.weights(found.whole, scale))
    return Part(effect, choice.gain, f"the past of {', '.join(used)}", choice.errors)
