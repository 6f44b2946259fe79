"""From raw recent values to a forecast in the series' own units: the graph that is served."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from models.calendar import calendar_features
from models.forecaster import Forecaster, ensemble
from models.quantiles import calibrated


class WindowFeatures:
    """What a `Forecaster` reads of a window, made the same way in training and in serving.

    Args:
        lookback: L, steps of history.
        horizon: H, steps of the forecast.
        targets: C, the first columns of a history.
        past: P, the columns after them, known up to now only.
        mean: float `[P + F]`, of the covariates in the training part.
        std: float `[P + F]`.
        cycles: of the calendar, as `models.calendar` names them.
        step: length of a step, the keyword arguments of `calendar_features`.
    """

    def __init__(
        self,
        *,
        lookback: int,
        horizon: int,
        targets: int,
        past: int,
        mean: Sequence[float],
        std: Sequence[float],
        cycles: Sequence[str],
        step: dict[str, int],
    ):
        self.lookback = lookback
        self.horizon = horizon
        self.targets = targets
        self.past = past
        self.future = len(mean) - past
        self.mean = np.array(mean, np.float32)
        self.std = np.array(std, np.float32)
        self.cycles = list(cycles)
        self.step = step

    @property
    def covariates(self) -> int:
        """K, features beside the targets."""
        return len(self.mean) + 2 * len(self.cycles)

    def __call__(
        self, history: tf.Tensor, timestamp: tf.Tensor, future: tf.Tensor, static: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Inputs of a `Forecaster`.

        Args:
            history: float32 `[B, L, C + P + F]`, covariates in raw units, NaN where missing.
            timestamp: int64 `[B]`, Unix seconds of the newest step, or `UNKNOWN_TIME`.
            future: float32 `[B, H, F]`, raw.
            static: int32 `[B, S]`, numbers of categories.

        Returns:
            `history` `[B, L, C]`, `covariates` `[B, L + H, K]` and `static`.
        """
        known = (history[:, :, self.targets :] - self.mean) / self.std  # [B, L, P + F]
        ahead = (future - self.mean[self.past :]) / self.std[self.past :]  # [B, H, F]
        unknown = tf.fill([tf.shape(history)[0], self.horizon, self.past], math.nan)
        covariates = tf.concat([known, tf.concat([unknown, ahead], axis=2)], axis=1)  # [B, L + H, P + F]
        calendar = calendar_features(timestamp, 1 - self.lookback, self.horizon, self.cycles, **self.step)
        covariates = tf.concat([covariates, calendar], axis=2)  # [B, L + H, K]
        return {"history": history[:, :, : self.targets], "covariates": covariates, "static": static}


class RawForecaster(tf.Module):
    """A trained `Forecaster` for raw histories of any length.

    Instance normalisation makes the model indifferent to a series' level and scale, so raw units go in and
    come out, also of a series that was not in the training data.

    Args:
        model: trained and portable.
        features: as in training.
        offsets: float `[C, Q]`, added to the quantiles in units of the window's scale; see
            `pipelines.forecast.calibration`.
        categories: the values of each static category, numbered from 1; any other is 0, unknown.

    Call arguments:
        history: float32 `[B, T, C + P + F]`, raw, NaN where missing; any T from 1 up. Of more than L steps the
            newest count; fewer are padded in front with missing ones.
        timestamp: int64 `[B]` or `[1]`.
        future: float32 `[B, H, F]` or `[1, H, F]`.
        static: string `[B, S]` or `[1, S]`.

    Returns:
        `forecast` `[B, H, C]` and `quantiles` `[B, H, C, Q]`, in the units of the history; NaN for a target
        without an observed step.
    """

    def __init__(
        self,
        model: Forecaster,
        features: WindowFeatures,
        offsets: np.ndarray,
        categories: Sequence[Sequence[str]],
    ):
        super().__init__(name="forecaster")
        self._forward = model.call
        self.features = features
        self.offsets = np.asarray(offsets, np.float32)
        self.weights = [weight.value for weight in model.weights]
        self.tables = [
            tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(list(names), tf.range(1, len(names) + 1, dtype=tf.int64)), 0
            )
            for names in categories
        ]

    def newest(self, history: tf.Tensor) -> tf.Tensor:
        """The newest L steps of float32 `[B, T, D]`: `[B, L, D]`, with NaN in front of shorter histories."""
        lookback = self.features.lookback
        history = tf.where(tf.math.is_finite(history), history, math.nan)[:, -lookback:]
        missing = lookback - tf.shape(history)[1]
        history = tf.pad(history, [[0, 0], [missing, 0], [0, 0]], constant_values=math.nan)
        return tf.ensure_shape(history, [None, lookback, None])

    def __call__(
        self, history: tf.Tensor, timestamp: tf.Tensor, future: tf.Tensor, static: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        rows = tf.shape(history)[0]
        timestamp = tf.broadcast_to(timestamp, [rows])
        future = tf.broadcast_to(future, [rows, self.features.horizon, self.features.future])
        static = tf.broadcast_to(static, [rows, len(self.tables)])
        numbers = [tf.cast(table.lookup(static[:, column]), tf.int32) for column, table in enumerate(self.tables)]
        static = tf.stack(numbers, axis=1) if numbers else tf.zeros([rows, 0], tf.int32)  # [B, S]
        inputs = self.features(self.newest(history), timestamp, future, static)
        forecast, quantiles = ensemble(self._forward(inputs))
        return {"forecast": forecast, "quantiles": calibrated(quantiles, inputs["history"], self.offsets)}
