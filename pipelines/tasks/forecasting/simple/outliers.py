"""Whether a forecast is better from a history whose outliers are cut."""

import numpy as np
import tensorflow as tf

from unroll.models.series.outliers import without_outliers
from unroll.pipelines.tasks.forecasting.simple.history_map import HistoryMap
from unroll.pipelines.tasks.forecasting.simple.sample import WindowSample, relative_losses

_LEAST = 0.01  # of the error, that cutting has to save


def outliers_gain(sample: WindowSample, fitted: HistoryMap) -> float:
    """The share of the error that cutting outliers saves on held-out windows that have any; 0 where it is not worth it.

    Args:
        sample: held-out windows.
        fitted: map of the history, by whose folds they are forecast.
    """
    errors = []
    for number, (past, ahead, _) in sample.by_block():
        kernel = fitted.folds[number]
        cut = without_outliers(tf.constant(past[..., None]))[..., 0].numpy()
        changed = (cut != past).any(axis=1)
        if kernel is not None and changed.any():
            errors.append(np.stack([one[changed] @ kernel - ahead[changed] for one in (past, cut)]))
    if not errors:
        return 0.0
    gain = 1 - float(relative_losses(np.concatenate(errors, axis=1))[1])
    return gain if gain > _LEAST else 0.0
