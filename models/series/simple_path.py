"""The simple forecast: linear maps of the history, and the effects of covariates."""

from collections.abc import Mapping

import tensorflow as tf

from unroll.models.series.baselines import RidgeMap
from unroll.models.series.effects.effect import Effects
from unroll.models.series.log_map import LogMap
from unroll.models.series.outliers import without_outliers


class SimplePath(tf.Module):
    """A forecast in closed form, of whatever level and scale.

    Args:
        history_map: of the targets.
        effect: of covariates, calendar and categories; None where there are none, or they tell nothing.
        log_map: of the targets' logarithms; None: it has no share.
        log_share: its share in the forecast of windows whose values are all positive.
        cut_outliers: the maps read a history without its outliers.

    Call arguments:
        inputs: of a `Forecaster`: `history` `[batch, lookback, channels]` and, with an effect, `covariates`
            `[batch, lookback + horizon, covariates]`, NaN where unknown, and `static` `[batch, categories]`. Of a
            history that is scaled, `origin` and `unit` `[batch, 1, channels]`: its values are origin + unit * history.

    Returns:
        float32 `[batch, horizon, channels]`; NaN for a channel without an observed value.
    """

    def __init__(
        self,
        history_map: RidgeMap,
        effect: Effects | None = None,
        log_map: LogMap | None = None,
        log_share: float = 0.0,
        cut_outliers: bool = False,
    ):
        super().__init__(name="simple_path")
        self.history_map = history_map
        self.effect = effect
        self.log_map = log_map
        self.log_share = log_share
        self.cut_outliers = cut_outliers

    def with_effect(self, effect: Effects | None) -> "SimplePath":
        """The same maps beside other effects."""
        return SimplePath(self.history_map, effect, self.log_map, self.log_share, self.cut_outliers)

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        history = without_outliers(inputs["history"]) if self.cut_outliers else inputs["history"]
        forecast = self.history_map(history)
        if self.log_map is not None:
            grown = self.log_map(history, inputs.get("origin", 0.0), inputs.get("unit", 1.0))
            mixed = forecast + self.log_share * (grown - forecast)
            forecast = tf.where(tf.math.is_finite(grown), mixed, forecast)
        return forecast if self.effect is None else self.effect(inputs, forecast, self.history_map)
