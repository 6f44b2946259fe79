"""Fits the intervals of a trained forecaster."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from unroll.models.series.blend import Expert, Forecasts
from unroll.models.series.intervals import error_scale
from unroll.pipelines.tasks.forecasting.intervals.calibration import Block, Calibration, calibrate
from unroll.pipelines.tasks.forecasting.simple.fitting import SimpleFit
from unroll.pipelines.tasks.forecasting.windows.feed import Feed, Window

_BATCH = 256
_VALUES = 3_000_000  # targets that are looked at
_MAX_WINDOWS = 20_000
_EARLIER_WINDOWS = 2_000  # of a block before the validation split


def fit_intervals(blend: Forecasts, simple: SimpleFit, feed: Feed, levels: Sequence[float]) -> Calibration:
    """Calibrates the quantiles on the validation split and on blocks of the training split.

    The network has learnt the training split, so of that only the simple forecast speaks, fitted without each block.

    Args:
        blend: of the trained network and simple forecasts.
        simple: fitted.
        feed: of the windows.
        levels: of the quantiles.
    """
    most = max(_BATCH, min(_MAX_WINDOWS, _VALUES // (feed.features.horizon * feed.features.targets)))
    served, quantiles, comparable, steps = [], [], [], []
    forward = tf.function(lambda inputs: (*blend(inputs), simple.path(inputs)), autograph=False)
    for window in feed.aligned("validation", _BATCH, stride=feed.stride("validation", most)):
        inputs, target = feed.pair(window)
        forecast, quantile, expected = forward(inputs)
        scale = _scale(feed, inputs)
        served.append(((target - forecast) / scale).numpy())
        quantiles.append(((target[..., None] - quantile) / scale[..., None]).numpy())
        comparable.append(((target - expected) / scale).numpy())
        steps.append(feed.steps(window))
    place = np.concatenate(steps)
    earlier = [block for one in simple.held_out if (block := _block(feed, one.path, one.bounds)) is not None]
    return calibrate(
        Block(np.concatenate(served), place),
        np.concatenate(quantiles),
        Block(np.concatenate(comparable), place),
        earlier,
        levels,
        feed.data.season,
    )


def _block(feed: Feed, path: Expert, bounds: tuple[int, int]) -> Block | None:
    """Errors of a simple forecast between two steps; None where no window fits."""
    part = replace(feed, data=replace(feed.data, bounds={"held_out": bounds}))
    if not part.count("held_out"):
        return None
    errors, steps = [], []
    for window in part.aligned("held_out", _BATCH, stride=part.stride("held_out", _EARLIER_WINDOWS)):
        inputs, target = part.pair(window)
        errors.append(((target - path(inputs)) / _scale(feed, inputs)).numpy())
        steps.append(part.steps(window))
    return Block(np.concatenate(errors), np.concatenate(steps))


def _scale(feed: Feed, inputs: Window) -> tf.Tensor:
    return error_scale(inputs["history"], feed.features.horizon, feed.data.season)
