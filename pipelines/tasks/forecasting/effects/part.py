"""One of the effects that a simple forecast adds to its maps of the history."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unroll.models.series.effects.effect import Effect


@dataclass(frozen=True)
class Part:
    """A fitted effect.

    Args:
        effect: of the training split.
        gain: share of the squared error that it takes off on held-out blocks.
        said: what it is of.
        errors: mean squared errors of them with it.
        folds: of one with a map of its own, the same with that fitted without each block of the training split.
    """

    effect: Effect
    gain: float
    said: str
    errors: np.ndarray
    folds: Sequence[Effect] = ()
