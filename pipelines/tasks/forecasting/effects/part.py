"""One of the effects that a simple forecast adds to its maps of the history."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from unroll.models.series.effects.effect import Effect
from unroll.models.series.simple_path import SimplePath
from unroll.pipelines.tasks.forecasting.windows.feed import Feed


@dataclass(frozen=True)
class Part:
    """A fitted effect.

    Args:
        again: fits it to the training split of other windows beside a simple forecast, with the same terms and penalty.
        effect: of the training split.
        gain: share of the squared error that it takes off on held-out blocks.
        said: what it is of.
        errors: mean squared errors of them with it.
        folds: of one with a map of its own, the same with that fitted without each block of the training split.
    """

    again: Callable[[Feed, SimplePath], Effect]
    effect: Effect
    gain: float
    said: str
    errors: np.ndarray
    folds: Sequence[Effect] = ()
