"""Calendar features of the steps around a timestamp, in TensorFlow alone, so that an exported graph makes them.

Dates by H. Hinnant, "chrono-Compatible Low-Level Date Algorithms" (civil_from_days, days_from_civil).
"""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

UNKNOWN_TIME = tf.int64.min
"""A timestamp that is not known; its features are NaN."""

_DAY = 86_400
_WEEK = 7 * _DAY
_MONDAY = 4 * _DAY  # the first after the epoch, which is a Thursday
_YEAR = 31_556_952  # the calendar's mean year: its phase is within 1.5 days of the date's
_NEW_YEAR = 946_684_800  # 2000-01-01
_CYCLES = {"day": (0, _DAY), "week": (_MONDAY, _WEEK), "year": (_NEW_YEAR, _YEAR)}  # a beginning, and the length


def calendar_cycles(*, seconds: int = 0, months: int = 0, span: int) -> list[str]:
    """The cycles that a model can learn: longer than a step, and seen at least twice.

    Args:
        seconds: of a step of fixed length, else 0.
        months: of a step by the calendar, else 0.
        span: steps of the training split.

    Returns:
        Some of `day`, `week`, `year`.

    Example:
        >>> calendar_cycles(seconds=3600, span=24 * 300)
        ['day', 'week']
    """
    steps = {name: length / seconds for name, (_, length) in _CYCLES.items()} if seconds else {"year": 12 / months}
    return [name for name, length in steps.items() if length > 1 and span >= 2 * length]


def calendar_features(
    timestamp: tf.Tensor, first: int, last: int, cycles: Sequence[str], *, seconds: int = 0, months: int = 0
) -> tf.Tensor:
    """Sine and cosine of the time of day, of week or of year.

    Steps by the calendar count the year by months, others by its mean length.

    Args:
        timestamp: int64 [B], Unix seconds; `UNKNOWN_TIME` where not known.
        first: the first step, counted from the one at `timestamp`: `1 - L`, say.
        last: the last: `H`, say.
        cycles: of `calendar_cycles`.
        seconds: of a step of fixed length, else 0.
        months: of a step by the calendar, else 0.

    Returns:
        float32 [B, last - first + 1, 2 * cycles], sine and cosine of each; NaN for unknown times.

    Example:
        >>> calendar_features(tf.constant([0], tf.int64), 0, 1, ["day", "week"], seconds=3600).shape
        TensorShape([1, 2, 4])
    """
    known = tf.not_equal(timestamp, UNKNOWN_TIME)
    newest = tf.where(known, timestamp, 0)
    steps = np.arange(first, last + 1)
    waves = []
    for cycle in cycles:
        phase, step = _phase(newest, cycle, seconds, months)
        # sums of angles: the steps' share is constant, so that sine and cosine are taken B times and not B x T
        angle = 2 * math.pi * tf.where(known, phase, math.nan)[:, None]  # [B, 1]
        ahead = 2 * math.pi * (steps * step % 1)[None]
        sin, cos = tf.constant(np.sin(ahead), tf.float32), tf.constant(np.cos(ahead), tf.float32)  # [1, T]
        waves += [tf.sin(angle) * cos + tf.cos(angle) * sin, tf.cos(angle) * cos - tf.sin(angle) * sin]
    return tf.stack(waves, axis=-1) if waves else tf.zeros([tf.shape(timestamp)[0], len(steps), 0])


def _phase(newest: tf.Tensor, cycle: str, seconds: int, months: int) -> tuple[tf.Tensor, float]:
    """Where in the cycle, from 0 to 1, the newest step lies, and how far the next one is from that."""
    if months:
        _, month, _ = _civil(tf.math.floordiv(newest, _DAY))
        return tf.cast(month - 1, tf.float32) / 12, months / 12
    begin, length = _CYCLES[cycle]
    return tf.cast(tf.math.floormod(newest - begin, length), tf.float32) / length, seconds / length


def advance(
    timestamp: tf.Tensor, steps: tf.Tensor, *, seconds: int = 0, months: int = 0, month_end: bool = False
) -> tf.Tensor:
    """Timestamps so many steps later (earlier where negative); both int64, of shapes that broadcast."""
    if seconds:
        return timestamp + steps * seconds
    days = tf.math.floordiv(timestamp, _DAY)
    year, month, day = _civil(days)
    total = year * 12 + month - 1 + steps * months
    begin, after = _first_of_month(total), _first_of_month(total + 1)
    last = after - begin
    day = last if month_end else tf.minimum(day, last)
    return (begin + day - 1) * _DAY + tf.math.floormod(timestamp, _DAY)


def _civil(days: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
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
