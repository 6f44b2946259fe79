"""Histories and forecasts across a change of clocks, so that what happens at 08:00 stays at 08:00."""

from collections.abc import Callable

import tensorflow as tf

from unroll.models.series.calendar import UNKNOWN_TIME
from unroll.models.series.local_clock import LocalClock

Forecasts = dict[str, tf.Tensor]


class ClockChanges:
    """Lays steps of fixed length on the local clock.

    A model learns what comes a day, or a week, after what: 24 steps of an hour back, say. After a change of clocks
    that is another hour of the day. So a model is given every history as the local clock has it: where clocks were set
    forward an hour is missing, where they were set back the later of the two counts. Where they change within the
    horizon it forecasts twice, from the history as the old and as the new clock shows it, and each step is taken from
    the forecast of its own clock.

    Args:
        clock: of the series.
        seconds: of a step; changes are whole steps.
    """

    def __init__(self, clock: LocalClock, seconds: int):
        self.clock = clock
        self.seconds = seconds

    def aligned(
        self, history: tf.Tensor, timestamp: tf.Tensor, shift: tf.Tensor | None = None, *, filled: bool = False
    ) -> tf.Tensor:
        """The history on the local clock.

        Args:
            history: float `[B, T, D]`, of absolute steps.
            timestamp: int64 `[B]`, Unix seconds of the newest, or `UNKNOWN_TIME`: such a history stays as it is.
            shift: int64 `[B]`, seconds by which the clock is ahead of that of the newest step; None for 0.
            filled: has times that the clock skipped be as those after them, and times that have not come as the newest
                step, for models that read a gap as a mean.

        Returns:
            `[B, T, D]`, the newest step at what the clock shows at `timestamp`, plus `shift`; NaN where there was no
            such time, or it is not in the history.
        """
        time = tf.shape(history)[1]
        known = tf.not_equal(timestamp, UNKNOWN_TIME)
        newest = tf.where(known, timestamp, 0)
        back = tf.range(1 - tf.cast(time, tf.int64), 1) * self.seconds  # [T]
        now = self.clock.offset(newest)
        ahead = tf.zeros_like(newest) if shift is None else shift

        def looked_up() -> tf.Tensor:
            shown = (newest + now + ahead)[:, None] + back  # [B, T]
            later, earlier = self.clock.instants(shown, later=True), self.clock.instants(shown)
            instants = tf.where(later <= newest[:, None], later, earlier)
            at = tf.cast(time, tf.int64) - 1 + tf.math.floordiv(instants - newest[:, None], self.seconds)
            at = tf.where(known[:, None], at, tf.range(tf.cast(time, tf.int64)))
            there = at >= 0
            if not filled:
                there &= at < tf.cast(time, tf.int64)
                there &= tf.equal(self.clock.local(instants), shown) | ~known[:, None]
            found = tf.gather(history, tf.clip_by_value(at, 0, tf.cast(time, tf.int64) - 1), batch_dims=1)
            return tf.where(there[..., None], found, tf.constant(float("nan"), history.dtype))

        changed = tf.not_equal(self.clock.offset(newest[:, None] + back), now[:, None])  # [B, T]
        changed = tf.reduce_any(changed, axis=1) | tf.not_equal(ahead, 0)
        return tf.cond(tf.reduce_any(changed & known), looked_up, lambda: tf.identity(history))

    def ahead(self, timestamp: tf.Tensor, horizon: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Where the clock changes within the horizon.

        Args:
            timestamp: int64 `[B]`.
            horizon: H, steps.

        Returns:
            bool `[B, H]`, whether the step's clock is not that of the newest step; and int64 `[B]`, by how many
            seconds it is ahead of that from the first such step on, 0 without one.
        """
        known = tf.not_equal(timestamp, UNKNOWN_TIME)
        newest = tf.where(known, timestamp, 0)
        steps = tf.range(1, horizon + 1, dtype=tf.int64) * self.seconds
        difference = self.clock.offset(newest[:, None] + steps) - self.clock.offset(newest)[:, None]  # [B, H]
        difference = tf.where(known[:, None], difference, 0)
        changed = tf.not_equal(difference, 0)
        first = tf.argmax(tf.cast(changed, tf.int32), axis=1)
        return changed, tf.gather(difference, first, batch_dims=1)

    def forecast(
        self,
        forecaster: Callable[[tf.Tensor, tf.Tensor], Forecasts],
        history: tf.Tensor,
        timestamp: tf.Tensor,
        horizon: int,
        *,
        filled: bool = False,
    ) -> Forecasts:
        """Each step's forecast, by the clock of that step.

        Args:
            forecaster: from an aligned history and a shift `[B]`, see `aligned`, to tensors `[B, H, ...]`.
            history: float `[B, T, D]`.
            timestamp: int64 `[B]`.
            horizon: H, steps.
            filled: see `aligned`.
        """
        changed, shift = self.ahead(timestamp, horizon)
        once = tf.function(forecaster, autograph=False)  # one body for both
        plain = once(self.aligned(history, timestamp, filled=filled), tf.zeros_like(shift))

        def changing() -> Forecasts:
            other = once(self.aligned(history, timestamp, shift, filled=filled), shift)
            picked = {}
            for name, one in plain.items():
                by_step = tf.reshape(changed, tf.concat([tf.shape(changed), [1] * (len(one.shape) - 2)], 0))
                picked[name] = tf.where(by_step, other[name], one)
            return picked

        return tf.cond(tf.reduce_any(changed), changing, lambda: {k: tf.identity(v) for k, v in plain.items()})
