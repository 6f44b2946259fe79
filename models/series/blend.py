"""A network's forecast and simple ones in one answer, in the graph that is served."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from unroll.models.series.quantile_model import QuantileModel, ensemble

Inputs = Mapping[str, tf.Tensor]
Expert = Callable[[Inputs], tf.Tensor]
"""From the inputs of a `Forecaster` to a forecast `[batch, horizon, channels]` in the units of the history."""
Forecasts = Callable[[Inputs], tuple[tf.Tensor, tf.Tensor]]
"""From the same inputs to a forecast, and its quantiles `[batch, horizon, channels, levels]`."""

NETWORK, SIMPLE = "network", "simple"


class Blend(tf.Module):
    """A weighted mean of forecasts, with the network's quantiles around it.

    Args:
        model: trained.
        experts: simple forecasts by name; the one called `simple` is what the network adds to.
        weights: of the experts and of the `network`, summing to one; who has none is not asked. By default the
            network's forecast alone.

    Call arguments:
        inputs: of the model.

    Returns:
        The forecast, float32 `[batch, horizon, channels]`, and its quantiles `[batch, horizon, channels, levels]`,
        which stand as far from it as the network's from the network's own forecast. Neither calibrated nor bounded.
    """

    def __init__(
        self,
        model: QuantileModel,
        experts: Mapping[str, Expert] | None = None,
        weights: Mapping[str, float] | None = None,
    ):
        super().__init__(name="blend")
        self._forward = model.call
        self.experts = dict(experts or {})
        self.shares = dict(weights or {NETWORK: 1.0})
        self.weights = [weight.value for weight in model.weights]

    def __call__(self, inputs: Inputs) -> tuple[tf.Tensor, tf.Tensor]:
        simple = self.simple(inputs)
        base = {"base": simple[SIMPLE]} if SIMPLE in simple else {}
        network, quantiles = ensemble(self._forward({**inputs, **base}))
        forecast = self.mixed({NETWORK: network, **simple})
        return forecast, quantiles + (forecast - network)[..., None]

    def simple(self, inputs: Inputs) -> dict[str, tf.Tensor]:
        """What the experts with a weight forecast, and the one that the network adds to."""
        asked = (name for name in self.experts if name == SIMPLE or self.shares.get(name))
        return {name: self.experts[name](inputs) for name in asked}

    def mixed(self, forecasts: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The weighted mean of forecasts, by name."""
        return tf.add_n([share * forecasts[name] for name, share in self.shares.items() if share])
