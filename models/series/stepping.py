"""Steps along the calendar, in TensorFlow alone.

Dates by H. Hinnant, "chrono-Compatible Low-Level Date Algorithms" (civil_from_days, days_from_civil).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from unroll.models.series.local_clock import LocalClock

DAY = 86_400


def shown(
    timestamp: tf.Tensor, steps: tf.Tensor, *, civil: bool = True, clock: LocalClock | None = None, **step: Any
) -> tf.Tensor:
    """What the local clock shows so many steps after timestamps [B]: int64 [B, T], seconds since 1970 on it."""
    clock = clock or LocalClock()
    if step.get("seconds") and not civil:
        return clock.local(advance(timestamp[:, None], steps, **step))
    return advance(clock.local(timestamp)[:, None], steps, **step)


def advance(
    timestamp: tf.Tensor,
    steps: tf.Tensor,
    *,
    seconds: int = 0,
    months: int = 0,
    month_end: bool = False,
    business: bool = False,
    weekdays: Sequence[int] = (),
    off: ArrayLike = (),
    civil: bool = False,
    clock: LocalClock | None = None,
) -> tf.Tensor:
    """Timestamps so many steps later (earlier where negative); both int64, of shapes that broadcast.

    Of steps from one of the `weekdays` to the next, those are left out whose numbers, counted from the week of the
    first of January 1970, are `off`.
    """
    if clock is not None and (civil or not seconds):
        step: dict[str, Any] = {"seconds": seconds, "months": months, "month_end": month_end, "business": business}
        later = clock.instants(advance(clock.local(timestamp), steps, weekdays=weekdays, off=off, **step))
        return tf.where(tf.equal(steps, 0), timestamp, later)  # the later of two times that are shown alike
    if seconds:
        return timestamp + steps * seconds
    days, of_day = tf.math.floordiv(timestamp, DAY), tf.math.floormod(timestamp, DAY)
    if weekdays:
        count = len(weekdays)
        week, weekday = tf.math.floordiv(days + 3, 7), tf.math.floormod(days + 3, 7)
        through = tf.constant(np.searchsorted(weekdays, np.arange(7), side="right") - 1, tf.int64)
        number = week * count + tf.gather(through, weekday)
        left_out = np.asarray(off, np.int64)
        if len(left_out):
            number = number - _through(left_out, number) + steps
            number += _through(left_out - np.arange(len(left_out)), number)
        else:
            number += steps
        day = tf.gather(tf.constant(weekdays, tf.int64), tf.math.floormod(number, count))
        return (tf.math.floordiv(number, count) * 7 - 3 + day) * DAY + of_day
    year, month, day = civil_date(days)
    total = year * 12 + month - 1 + steps * months
    begin, after = _first_of_month(total), _first_of_month(total + 1)
    last = after - begin
    if business:
        weekday = tf.math.floormod((after - 1 if month_end else begin) + 3, 7)
        day = last - tf.maximum(weekday - 4, 0) if month_end else 1 + tf.where(weekday > 4, 7 - weekday, 0)
    else:
        day = last if month_end else tf.minimum(day, last)
    return (begin + day - 1) * DAY + of_day


def _through(rising: np.ndarray, numbers: tf.Tensor) -> tf.Tensor:
    """How many of some numbers are each of others, or less."""
    found = tf.searchsorted(tf.constant(rising), tf.reshape(numbers, [-1]), side="right", out_type=tf.int64)
    return tf.reshape(found, tf.shape(numbers))


def civil_date(days: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Year, month from 1 and day from 1 of days since 1970."""
    shifted = days + 719_468
    era = tf.math.floordiv(shifted, 146_097)
    day_of_era = shifted - era * 146_097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)  # from 1 March
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = tf.where(shifted_month < 10, shifted_month + 3, shifted_month - 9)
    year = year_of_era + era * 400 + tf.cast(month <= 2, tf.int64)
    return year, month, day


def _first_of_month(months: tf.Tensor) -> tf.Tensor:
    """Days since 1970 of the first day of a month, counted from January of year 0."""
    year, month = tf.math.floordiv(months, 12), tf.math.floormod(months, 12) + 1
    year = year - tf.cast(month <= 2, tf.int64)
    era = tf.math.floordiv(year, 400)
    year_of_era = year - era * 400
    shifted_month = tf.where(month > 2, month - 3, month + 9)
    day_of_year = (153 * shifted_month + 2) // 5
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468
