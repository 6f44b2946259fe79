"""Calendar features of the steps around a timestamp, in TensorFlow alone, so that an exported graph makes them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from unroll.models.series.local_clock import LocalClock
from unroll.models.series.stepping import DAY, civil_date, shown

UNKNOWN_TIME = tf.int64.min
"""A timestamp that is not known; its features are NaN."""

_WEEK = 7 * DAY
_MONDAY = 4 * DAY  # the first after the epoch, which is a Thursday
_YEAR = 31_556_952  # the calendar's mean year: its phase is within 1.5 days of the date's
_NEW_YEAR = 946_684_800  # 2000-01-01
_CYCLES = {"day": (0, DAY), "week": (_MONDAY, _WEEK), "year": (_NEW_YEAR, _YEAR)}  # a beginning, and the length


def calendar_cycles(*, seconds: int = 0, months: int = 0, weekdays: Sequence[int] = (), span: int) -> list[str]:
    """The cycles that a model can learn: longer than a step, and seen at least twice.

    Args:
        seconds: of a step of fixed length, else 0.
        months: of a step by the calendar, else 0.
        weekdays: of a step from one day of the week to the next, those days.
        span: steps of the training split.

    Returns:
        Some of `day`, `week`, `year`.

    Example:
        >>> calendar_cycles(seconds=3600, span=24 * 300)
        ['day', 'week']
    """
    if weekdays:
        steps: dict[str, float] = {"week": len(weekdays), "year": len(weekdays) * _YEAR / _WEEK}
    else:
        steps = {name: length / seconds for name, (_, length) in _CYCLES.items()} if seconds else {"year": 12 / months}
    return [name for name, length in steps.items() if length > 1 and span >= 2 * length]


def calendar_features(
    timestamp: tf.Tensor,
    first: int,
    last: int,
    cycles: Sequence[str],
    *,
    seconds: int = 0,
    months: int = 0,
    month_end: bool = False,
    business: bool = False,
    weekdays: Sequence[int] = (),
    off: ArrayLike = (),
    civil: bool = True,
    clock: LocalClock | None = None,
    shift: tf.Tensor | int = 0,
) -> tf.Tensor:
    """Sine and cosine of the time of day, of week or of year, by local civil time.

    Steps by the calendar count the year by months, others by its mean length.

    Args:
        timestamp: int64 [B], Unix seconds; `UNKNOWN_TIME` where not known.
        first: the first step, counted from the one at `timestamp`: `1 - L`, say.
        last: the last: `H`, say.
        cycles: of `calendar_cycles`.
        seconds: of a step of fixed length, else 0.
        months: of a step by the calendar, else 0.
        month_end: such a step lies at the end of its month, which makes no difference here.
        business: such a step lies on a day from Monday to Friday; no difference either.
        weekdays: of a step from one day of the week to the next, those days from 0 for Monday.
        off: numbers of such days that are left out, as `stepping.advance` has them.
        civil: steps are counted on the local clock.
        clock: of the series; None for UTC.
        shift: int64 [B], seconds by which the clock is ahead of that at `timestamp`.

    Returns:
        float32 [B, last - first + 1, 2 * cycles], sine and cosine of each; NaN for unknown times.

    Example:
        >>> calendar_features(tf.constant([0], tf.int64), 0, 1, ["day", "week"], seconds=3600).shape
        TensorShape([1, 2, 4])
    """
    clock = clock or LocalClock()
    known = tf.not_equal(timestamp, UNKNOWN_TIME)
    instant = tf.where(known, timestamp, 0)
    newest = clock.local(instant) + shift
    steps = np.arange(first, last + 1)
    apart = bool(weekdays) or (not (civil or months) and clock.changes)
    if apart:
        counted: dict[str, Any] = {"seconds": seconds, "weekdays": weekdays, "off": off, "civil": civil}
        times = shown(instant, tf.constant(steps), clock=clock, **counted)
    waves = []
    for cycle in cycles:
        if apart:
            begin, length = _CYCLES[cycle]
            turns = tf.cast(tf.math.floormod(times - begin, length), tf.float32) / length  # [B, T]
            angles = 2 * math.pi * tf.where(known[:, None], turns, math.nan)
            waves += [tf.sin(angles), tf.cos(angles)]
            continue
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
        _, month, _ = civil_date(tf.math.floordiv(newest, DAY))
        return tf.cast(month - 1, tf.float32) / 12, months / 12
    begin, length = _CYCLES[cycle]
    return tf.cast(tf.math.floormod(newest - begin, length), tf.float32) / length, seconds / length


def holiday_features(
    timestamp: tf.Tensor, first: int, last: int, days: ArrayLike, *, shift: tf.Tensor | int = 0, **step: Any
) -> tf.Tensor:
    """How many days of a list lie in each step, or whether a step of at most a day lies in one of them.

    Args:
        timestamp: int64 [B], Unix seconds; `UNKNOWN_TIME` where not known.
        first: the first step, counted from the one at `timestamp`.
        last: the last.
        days: int, rising: days since 1970, on the local clock.
        shift: int64 [B], seconds by which the clock is ahead of that at `timestamp`.
        step: the keyword arguments of `shown`.

    Returns:
        float32 [B, last - first + 1]; NaN for unknown times.
    """
    known = tf.not_equal(timestamp, UNKNOWN_TIME)
    ended = bool(step.get("month_end"))  # the month, or the quarter, is the one that ends at its last day
    times = shown(tf.where(known, timestamp, 0), tf.range(first - ended, last + 2 - ended, dtype=tf.int64), **step)
    at = tf.math.floordiv(times + tf.reshape(tf.cast(shift, tf.int64), [-1, 1]), DAY) + ended  # [B, T + 1]
    begin = at[:, :-1]
    long = bool(step.get("months")) or step.get("seconds", 0) > DAY
    end = at[:, 1:] if long else begin + 1
    listed = tf.constant(np.asarray(days, np.int64))
    before, through = (
        tf.reshape(tf.searchsorted(listed, tf.reshape(day, [-1])), tf.shape(day)) for day in (begin, end)
    )
    return tf.where(known[:, None], tf.cast(through - before, tf.float32), math.nan)
