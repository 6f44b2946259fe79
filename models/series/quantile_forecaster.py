"""Any Keras model of normalised windows as a forecaster."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from unroll.models.layers.instance_norm import window_statistics
from unroll.models.layers.named_inputs import by_name
from unroll.models.series.quantile_model import QuantileModel


@keras.saving.register_keras_serializable("unroll")
class QuantileForecaster(QuantileModel):
    """A forecaster around a model that knows neither level nor scale, nor NaN.

    A window is normalised by its own observed steps, and the quantiles are put back and sorted. The forecast is the
    median.

    Args:
        model: from any of `features` to float `[batch, horizon, channels, levels]`.
        levels: of the quantiles, sorted, 0.5 among them.

    Call arguments:
        inputs: those of `unroll.models.series.forecaster.Forecaster`.

    Returns:
        What a `Forecaster` of one member returns.

    Example:
        >>> history = keras.Input([96, 2], name="history")
        >>> flat = keras.layers.Dense(24 * 2 * 3)(keras.layers.GRU(8)(history))
        >>> model = keras.Model(history, keras.layers.Reshape([24, 2, 3])(flat))
        >>> forecaster = QuantileForecaster(model, [0.1, 0.5, 0.9])
        >>> forecaster({"history": tf.random.normal([4, 96, 2])})["quantiles"].shape
        TensorShape([4, 1, 24, 2, 3])
    """

    def __init__(self, model: keras.Model, levels: Sequence[float], **kwargs):
        super().__init__(levels, **{"dtype": "float32", **kwargs})
        self.model = model

    def build(self, inputs_shape=None):
        """Nothing is left to do: the model is built."""

    @staticmethod
    def features(inputs: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        """What the model is given, and mean and scale of the windows, `[batch, 1, channels]` each.

        `history` float32 `[batch, lookback, channels]`, normalised, and `covariates`
        float32 `[batch, lookback + horizon, covariates]` are 0 where unknown; `observed` float32, as `history`, is 1
        or 0; `static` int32 `[batch, categories]`.
        """
        history = tf.convert_to_tensor(inputs["history"])
        mean, scale = window_statistics(history)
        missing = tf.math.is_nan(history)
        given = {
            "history": tf.where(missing, 0.0, (history - mean) / scale),
            "observed": tf.cast(~missing, tf.float32),
        }
        if "covariates" in inputs:
            given["covariates"] = tf.where(tf.math.is_nan(inputs["covariates"]), 0.0, inputs["covariates"])
        if "static" in inputs:
            given["static"] = inputs["static"]
        return given, mean, scale

    def call(self, inputs, training=False):
        given, mean, scale = self.features(inputs)
        quantiles = tf.cast(self.model(by_name(self.model, given), training=training), tf.float32)  # [B, H, C, Q]
        quantiles = tf.sort(quantiles * scale[..., None] + mean[..., None], axis=-1)
        empty = tf.reduce_all(tf.math.is_nan(inputs["history"]), axis=1)[:, None, :, None]
        quantiles = tf.where(empty, float("nan"), quantiles)[:, None]  # [B, 1, H, C, Q]
        return {"forecast": quantiles[..., self.levels.index(0.5)], "quantiles": quantiles}

    def get_config(self) -> dict[str, Any]:
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model, "levels": list(self.levels)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "QuantileForecaster":
        return cls(keras.saving.deserialize_keras_object(config.pop("model")), **config)
