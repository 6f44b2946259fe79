"""From raw recent values to a forecast in the series' own units: the graph that is served."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from unroll.models.checks import checked, first_of, listed, quoted
from unroll.models.series.blend import Blend, Expert
from unroll.models.series.calendar import UNKNOWN_TIME, calendar_features, holiday_features
from unroll.models.series.clock_changes import ClockChanges
from unroll.models.series.intervals import Spread


class WindowFeatures:
    """What a `Forecaster` reads of a window, made the same way in training and in serving.

    Args:
        lookback: L, steps of history.
        horizon: H, steps of the forecast.
        targets: C, the first columns of a history.
        past: P, the columns after them, known up to now only.
        mean: float `[P + F]`, of the covariates in the training split.
        std: float `[P + F]`.
        cycles: of the calendar, as `unroll.models.series.calendar` names them.
        step: a step, the keyword arguments of `unroll.models.series.stepping.shown`.
        changes: lays steps on the local clock; None where they lie on it, or it never changes.
        holidays: days since 1970 of the holidays that are a covariate.
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
        step: dict[str, Any],
        changes: ClockChanges | None = None,
        holidays: ArrayLike = (),
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
        self.changes = changes
        self.holidays = np.asarray(holidays, np.int64)

    @property
    def covariates(self) -> int:
        """K, features beside the targets."""
        return len(self.mean) + bool(len(self.holidays)) + 2 * len(self.cycles)

    def __call__(
        self,
        history: tf.Tensor,
        timestamp: tf.Tensor,
        future: tf.Tensor,
        static: tf.Tensor,
        shift: tf.Tensor | int = 0,
    ) -> dict[str, tf.Tensor]:
        """Inputs of a `Forecaster`.

        Args:
            history: float32 `[B, L, C + P + F]`, covariates in raw units, NaN where missing; on the local clock, where
                `changes` lays it there.
            timestamp: int64 `[B]`, Unix seconds of the newest step, or `UNKNOWN_TIME`.
            future: float32 `[B, H, F]`, raw.
            static: int32 `[B, S]`, numbers of categories.
            shift: int64 `[B]`, by which the history's clock is ahead of that at `timestamp`.

        Returns:
            `history` `[B, L, C]`, `covariates` `[B, L + H, K]` and `static`.
        """
        known = (history[:, :, self.targets :] - self.mean) / self.std  # [B, L, P + F]
        ahead = (future - self.mean[self.past :]) / self.std[self.past :]  # [B, H, F]
        unknown = tf.fill([tf.shape(history)[0], self.horizon, self.past], math.nan)
        covariates = tf.concat([known, tf.concat([unknown, ahead], axis=2)], axis=1)  # [B, L + H, P + F]
        first, last = 1 - self.lookback, self.horizon
        if len(self.holidays):
            holidays = holiday_features(timestamp, first, last, self.holidays, shift=shift, **self.step)
            covariates = tf.concat([covariates, holidays[..., None]], axis=2)
        calendar = calendar_features(timestamp, first, last, self.cycles, shift=shift, **self.step)
        covariates = tf.concat([covariates, calendar], axis=2)  # [B, L + H, K]
        return {"history": history[:, :, : self.targets], "covariates": covariates, "static": static}


class RawForecaster(tf.Module):
    """A trained `Forecaster` for raw histories of any length.

    Instance normalisation makes the model indifferent to a series' level and scale, so raw units go in and
    come out, also of a series that was not in the training data.

    Args:
        blend: of a trained model and simple forecasts.
        features: as in training.
        spread: of the quantiles around the forecast, as held-out windows have it.
        categories: by name the values of each static category, numbered from 1; an empty one is 0, unknown.
        times: the first and the last timestamp that is believed, Unix seconds.
        minimums: what no forecast and no quantile of each target is less than; None where there is no such limit.

    Call arguments:
        history: float32 `[B, T, C + P + F]`, raw, NaN where missing; any T from 1 up. Of more than L steps the
            newest count; fewer are padded in front with missing ones.
        timestamp: int64 `[B]` or `[1]`.
        future: float32 `[B, H, F]` or `[1, H, F]`.
        static: string `[B, S]` or `[1, S]`, empty where unknown.

    Raises:
        tf.errors.InvalidArgumentError: a timestamp that is not believed, or a category that was not in training: the
            model would read either as something else.

    Returns:
        `forecast` `[B, H, C]` and `quantiles` `[B, H, C, Q]`, in the units of the history; NaN for a target
        without an observed step. A history that is one value all along goes on so, and so do its quantiles: the model
        would add nothing but the noise of rounding.
    """

    def __init__(
        self,
        blend: Blend,
        features: WindowFeatures,
        spread: Spread,
        categories: Mapping[str, Sequence[str]],
        times: tuple[int, int],
        minimums: Sequence[float | None] = (None,),
    ):
        super().__init__(name="forecaster")
        self.blend = blend
        self.features = features
        self.spread = spread
        self.tables = [
            tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(list(names), tf.range(1, len(names) + 1, dtype=tf.int64)), 0
            )
            for names in categories.values()
        ]
        self.known = tuple((name, listed(names)) for name, names in categories.items())
        self.times = times
        self.minimums = np.array([-np.inf if least is None else least for least in minimums], np.float32)

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
        timestamp, numbers = self._told(tf.shape(history)[0], timestamp, static)

        def answer(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            forecast, quantiles = self.blend(inputs)
            history = inputs["history"]
            return self._bounded(forecast, self.spread(forecast, quantiles, history), history)

        return self._by_clock(answer, history, timestamp, future, numbers)

    def expert(
        self, expert: Expert, history: tf.Tensor, timestamp: tf.Tensor, future: tf.Tensor, static: tf.Tensor
    ) -> tf.Tensor:
        """What a simple forecast alone says of the same inputs, float32 `[B, H, C]`."""
        timestamp, numbers = self._told(tf.shape(history)[0], timestamp, static)
        answer = self._by_clock(lambda inputs: {"forecast": expert(inputs)}, history, timestamp, future, numbers)
        return answer["forecast"]

    def _told(self, rows: tf.Tensor, timestamp: tf.Tensor, static: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Timestamps `[B]` and numbers `[B, S]` of the categories of so many rows, checked."""
        timestamp = tf.broadcast_to(timestamp, [rows])
        static = tf.broadcast_to(static, [rows, len(self.tables)])
        found = [tf.cast(table.lookup(static[:, column]), tf.int32) for column, table in enumerate(self.tables)]
        numbers = tf.stack(found, axis=1) if found else tf.zeros([rows, 0], tf.int32)
        return self._understood(timestamp, static, numbers)

    def _by_clock(
        self,
        forecaster: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]],
        history: tf.Tensor,
        timestamp: tf.Tensor,
        future: tf.Tensor,
        numbers: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """The answer of a forecaster to raw inputs, each step of it by the local clock of that step."""
        future = tf.broadcast_to(future, [tf.shape(history)[0], self.features.horizon, self.features.future])
        future = tf.where(tf.math.is_finite(future), future, math.nan)

        def answer(history: tf.Tensor, shift: tf.Tensor | int = 0) -> dict[str, tf.Tensor]:
            return forecaster(self.features(self.newest(history), timestamp, future, numbers, shift))

        if self.features.changes is None:
            return answer(history)
        history = tf.where(tf.math.is_finite(history), history, math.nan)
        return self.features.changes.forecast(answer, history, timestamp, self.features.horizon, filled=True)

    def _bounded(self, forecast: tf.Tensor, quantiles: tf.Tensor, history: tf.Tensor) -> dict[str, tf.Tensor]:
        """Constants forecast as constants, and nothing below the minimum."""
        missing = tf.math.is_nan(history)
        lowest = tf.reduce_min(tf.where(missing, math.inf, history), axis=1, keepdims=True)  # [B, 1, C]
        highest = tf.reduce_max(tf.where(missing, -math.inf, history), axis=1, keepdims=True)
        forecast = tf.where(lowest == highest, lowest, forecast)
        quantiles = tf.where((lowest == highest)[..., None], lowest[..., None], quantiles)
        least = self.minimums
        bounded = tf.where(forecast < least, least, forecast)  # `where` keeps NaN, which `maximum` may not
        return {"forecast": bounded, "quantiles": self.at_least(quantiles)}

    def at_least(self, quantiles: tf.Tensor) -> tf.Tensor:
        """Quantiles, float32 `[B, H, C, Q]`, none of which is below its target's minimum."""
        least = self.minimums[:, None]
        return tf.where(quantiles < least, least, quantiles)

    def _understood(self, timestamp: tf.Tensor, static: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Timestamps `[B]`, and numbers `[B, S]` of categories, of which none was taken for something else."""
        first, last = self.times
        strange = ((timestamp < first) | (timestamp > last)) & (timestamp != UNKNOWN_TIME)
        unknown = (numbers == 0) & (static != "")
        wrong = tf.reduce_any(strange)
        if self.tables:
            wrong |= tf.reduce_any(unknown)

        def problem() -> tf.Tensor:
            dates = " to ".join(str(np.datetime64(time, "s").astype("datetime64[D]")) for time in self.times)
            said = f"Input 'timestamp': expected Unix seconds, from {dates} for this model, received "
            advice = ". Divide milliseconds by 1000; leave the timestamp out where it is unknown."
            problem = tf.strings.join([said, first_of(tf.strings.as_string(timestamp), strange), advice])
            for column, (name, known) in enumerate(self.known):
                chosen = unknown[:, column]
                said, received = f"Input 'static': {name} ", quoted(first_of(static[:, column], chosen))
                advice = f" was not in training. The model knows {known}; '' stands for any other."
                problem = tf.where(tf.reduce_any(chosen), tf.strings.join([said, received, advice]), problem)
            return problem

        return checked((timestamp, numbers), ~wrong, problem)
