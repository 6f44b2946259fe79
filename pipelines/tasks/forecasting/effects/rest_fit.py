"""Fits a map to the rest of the series, without the effects of what is known ahead."""

import numpy as np
import tensorflow as tf

from unroll.models.layers.instance_norm import window_statistics
from unroll.models.series.baselines import RidgeMap
from unroll.models.series.effects.known import KnownEffect
from unroll.models.series.effects.rest import RestEffect, split_effects
from unroll.models.series.simple_path import SimplePath
from unroll.pipelines.tasks.forecasting.effects.choice import gains_of, pays
from unroll.pipelines.tasks.forecasting.effects.known_fit import fit_known
from unroll.pipelines.tasks.forecasting.effects.part import Part
from unroll.pipelines.tasks.forecasting.simple.history_map import HistoryMap, fit_history_map
from unroll.pipelines.tasks.forecasting.simple.moments import SplitMoments
from unroll.pipelines.tasks.forecasting.windows.feed import Feed

_WINDOWS = 10_000
_BATCH = 64
_WORTH = 0.1  # gain of the effects, from which their rest is another series


def fit_rest(feed: Feed, known: Part, season: int) -> Part | None:
    """The effects of what is known ahead beside a map of the rest; None where that does not pay.

    Args:
        feed: of the windows.
        known: the effects as they are fitted beside the map of the series.
        season: the shortest of the series.
    """
    if not feed.features.future or known.gain < _WORTH or not isinstance(known.effect, KnownEffect):
        return None
    found = _rest_map(feed, known.effect)
    rest_map = RidgeMap(found.kernel)
    part = fit_known(feed, SimplePath(rest_map), season)
    if part is None or not isinstance(part.effect, KnownEffect):
        return None
    gains = gains_of(known.errors, part.errors)
    if not pays(gains):
        return None

    folds = [RestEffect(part.effect, RidgeMap(found.kernel if one is None else one)) for one in found.folds]
    said, effect = "a map of what they leave", RestEffect(part.effect, rest_map)
    return Part(effect, float(gains.mean()), said, part.errors, folds)


def _rest_map(feed: Feed, known: KnownEffect) -> HistoryMap:
    sums = SplitMoments(feed.data.bounds["train"], feed.features.lookback, feed.features.horizon)

    @tf.function(autograph=False)
    def rest(inputs: dict[str, tf.Tensor], target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        past, ahead = split_effects(known, inputs)
        _, scale = window_statistics(inputs["history"])
        return inputs["history"] - scale * past, target - scale * ahead

    for split in ("train", "validation"):
        if split not in feed.data.bounds or not feed.count(split):
            continue
        for window in feed.aligned(split, _BATCH, stride=feed.stride(split, _WINDOWS)):
            history, target = (one.numpy() for one in rest(*feed.pair(window)))
            series = (len(target), target.shape[2])  # scaled already
            batch = {"history": history, "target": target, "mean": np.zeros(series), "std": np.ones(series)}
            sums.add(split, feed.steps(window), batch)
    return fit_history_map(sums.blocks, sums.held_out, sorted({*feed.data.frequency.seasons, feed.data.season}))
