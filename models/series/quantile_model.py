"""What all forecasters are trained and scored by: a point forecast and quantiles."""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from unroll.models.quantiles import pinball


class QuantileModel(keras.Model):
    """A model that returns forecasts and quantiles of several members, each of which is trained by itself.

    The loss is a Huber loss of the forecast and twice the pinball loss of the quantiles, or the loss that `compile` was
    given: a function of the targets and of one member's `{"forecast", "quantiles"}`. Metrics are those of the members'
    average. What is missing in the targets, NaN `[batch, horizon, channels]`, does not count.

    Args:
        levels: of the quantiles.
    """

    def __init__(self, levels: Sequence[float], **kwargs):
        super().__init__(**kwargs)
        self.levels = tuple(levels)
        self.scores = {name: keras.metrics.Mean(name=name) for name in ("mse", "mae", "pinball")}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        forecast, quantiles = y_pred["forecast"], y_pred["quantiles"]
        if self.loss is not None:
            members = zip(tf.unstack(forecast, axis=1), tf.unstack(quantiles, axis=1), strict=True)
            own = [tf.reduce_mean(self.loss(y, {"forecast": one, "quantiles": levels})) for one, levels in members]
            return tf.add_n(own) / len(own)
        error, known = _errors(y[:, None], forecast)
        spread, _ = _errors(y[:, None, ..., None], quantiles)
        return _mean(_huber(error), known) + 2 * _mean(tf.reduce_mean(pinball(spread, self.levels), axis=-1), known)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        forecast, quantiles = ensemble(y_pred)
        error, known = _errors(y, forecast)
        spread, _ = _errors(y[..., None], quantiles)
        losses = {
            "mse": tf.square(error),
            "mae": tf.abs(error),
            "pinball": tf.reduce_mean(pinball(spread, self.levels), axis=-1),
        }
        for name, loss in losses.items():
            self.scores[name].update_state(loss, known)
        return self.get_metrics_result()


def ensemble(outputs: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """The members' average; that of sorted quantiles is sorted.

    Args:
        outputs: what a `QuantileModel` returned.

    Returns:
        The forecast, float32 `[batch, horizon, channels]`, and the quantiles, `[batch, horizon, channels, levels]`.
    """
    return tf.reduce_mean(outputs["forecast"], axis=1), tf.reduce_mean(outputs["quantiles"], axis=1)


def _errors(actual: tf.Tensor, predicted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Actual minus predicted, 0 where either is missing, and where neither is (1 or 0)."""
    missing = tf.math.is_nan(actual) | tf.math.is_nan(predicted)
    # both sides are made finite first: a NaN that `where` drops still poisons the gradient
    difference = tf.where(missing, 0.0, actual) - tf.where(missing, 0.0, predicted)
    return difference, tf.cast(~missing, tf.float32)


def _huber(error: tf.Tensor) -> tf.Tensor:
    """The square of an error up to half a deviation, its absolute value beyond (Huber 1964): few wild steps
    of a series would else decide its forecasts."""
    size = tf.abs(error)
    return tf.where(size < 0.5, tf.square(error), size - 0.25)


def _mean(losses: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    return tf.math.divide_no_nan(tf.reduce_sum(losses * known), tf.reduce_sum(known))
