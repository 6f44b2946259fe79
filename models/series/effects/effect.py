"""An effect: what is added to a forecast from the history, in units of a window's scale."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import tensorflow as tf

from unroll.models.layers.instance_norm import window_statistics
from unroll.models.series.baselines import RidgeMap


class Effect(Protocol):
    """What is added to a forecast."""

    def __call__(self, inputs: Mapping[str, tf.Tensor], forecast: tf.Tensor, history_map: RidgeMap) -> tf.Tensor:
        """float32 `[batch, horizon, channels]` in units of a window's scale, or `[batch, horizon, 1]` for all channels;
        0 where it is not known.

        Args:
            inputs: of a `Forecaster`.
            forecast: that it is added to, float32 `[batch, horizon, channels]`.
            history_map: that the forecast began with.
        """
        ...


class Effects(tf.Module):
    """Effects one after another, each of what those before have left.

    Args:
        parts: at least one.

    Call arguments:
        inputs: of a `Forecaster`.
        forecast: that they are added to, float32 `[batch, horizon, channels]`.
        history_map: that the forecast began with.

    Returns:
        The forecast with them.
    """

    def __init__(self, parts: Sequence[Effect]):
        super().__init__(name="effects")
        self.parts = list(parts)

    def __call__(self, inputs: Mapping[str, tf.Tensor], forecast: tf.Tensor, history_map: RidgeMap) -> tf.Tensor:
        _, scale = window_statistics(inputs["history"])  # [B, 1, C]
        for part in self.parts:
            forecast += scale * part(inputs, forecast, history_map)
        return forecast
