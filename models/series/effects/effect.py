"""An effect: what is added to a linear map of the history, in units of a window's scale."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import tensorflow as tf

from unroll.models.series.baselines import RidgeMap


class Effect(Protocol):
    """What is added to a forecast."""

    def __call__(self, inputs: Mapping[str, tf.Tensor], history_map: RidgeMap) -> tf.Tensor:
        """float32 `[batch, horizon, channels]` in units of a window's scale, or `[batch, horizon, 1]` for all channels;
        0 where it is not known.

        Args:
            inputs: of a `Forecaster`.
            history_map: that the effect is added to.
        """
        ...


class Effects(tf.Module):
    """Effects one after another, each of what those before have left.

    Args:
        parts: at least one.
    """

    def __init__(self, parts: Sequence[Effect]):
        super().__init__(name="effects")
        self.parts = list(parts)

    def __call__(self, inputs: Mapping[str, tf.Tensor], history_map: RidgeMap) -> tf.Tensor:
        return sum(part(inputs, history_map) for part in self.parts)
