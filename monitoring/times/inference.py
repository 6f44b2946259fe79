"""The frequency of a series, from its times: by the calendar where they follow it, else to sensible steps."""

from dataclasses import replace

import numpy as np

from unroll.monitoring.times.civil import DAY, day_of_week, month_days, months_and_days
from unroll.monitoring.times.clock import Clock
from unroll.monitoring.times.frequency import Frequency

_SENSIBLE = np.array(
    [count * unit for unit in (1, 60) for count in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)]
    + [count * 3600 for count in (1, 2, 3, 4, 6, 8, 12, 24)]
)
_WITHIN_A_DAY = 20 * 3600  # longer steps are days and more, although clocks are changed
_CLOSE = 0.1  # of a step, by which the typical distance may miss it
_TYPICAL = 0.25  # of the distances, that the commonest must be to stand for them
_MOST = 0.6  # of the rows, that must lie on a day of the month for others to move to it
_OFF = 0.05  # of the weeks, in which there may be a row on a day that is off
_WEEKS = 3  # that are looked at, at least, before a day is taken to be off
_MOVED = 5  # days by which a row may miss its day of the month


def infer(times: np.ndarray, clock: Clock | None = None) -> Frequency | None:
    """The frequency that times follow, or the one that they follow most nearly.

    Args:
        times: int64 Unix seconds, ascending, without duplicates.
        clock: of the series.

    Returns:
        None for fewer than two times. Whether all of them lie near enough is for `placement` to find.

    Example:
        >>> infer(np.array([0, 3600, 7205, 10_799])).name
        '1h'
    """
    clock = clock or Clock()
    if len(times) < 2:
        return None
    typical = typical_step(np.diff(times))
    if typical >= _WITHIN_A_DAY:
        return _of_days(clock.local(times), clock)
    if _regular(times, typical):
        return Frequency(seconds=typical, clock=clock)
    step = nearest_sensible(typical)
    if _regular(times, step):
        return Frequency(seconds=step, clock=clock)
    if clock.changes and _regular(clock.local(times), step):
        return Frequency(seconds=step, local=step % DAY != 0, clock=clock)
    return Frequency(seconds=step, clock=clock)


def typical_step(steps: np.ndarray) -> int:
    """The commonest distance, or, where distances jitter, the middle one."""
    distinct, counts = np.unique(steps, return_counts=True)
    if counts.max() >= _TYPICAL * len(steps):
        return int(distinct[counts.argmax()])
    return int(np.sort(steps)[len(steps) // 2])


def nearest_sensible(step: int) -> int:
    """The step that people would name: whole parts of a minute, an hour or a day, or else days; in seconds."""
    if step >= 1.5 * DAY:
        return round(step / DAY) * DAY
    sensible = int(_SENSIBLE[np.abs(_SENSIBLE - step).argmin()])
    return sensible if abs(sensible - step) <= _CLOSE * sensible else step


def on_clock(times: np.ndarray, frequency: Frequency) -> Frequency:
    """A frequency of hours that is named, counted on the local clock if only so all times lie on its grid.

    Args:
        times: int64 Unix seconds of a series, ascending.
        frequency: as it was named.
    """
    if not frequency.seconds or frequency.civil or frequency.rate is not None or not frequency.clock.changes:
        return frequency
    if _regular(times, frequency.seconds) or not _regular(frequency.clock.local(times), frequency.seconds):
        return frequency
    return replace(frequency, local=True)


def working_days(days: np.ndarray) -> tuple[int, ...]:
    """The days of the week on which a daily table has rows; none if it has them on all, or is too short to tell.

    Args:
        days: int64 days since 1970, of all series, once each.
    """
    weeks, day = day_of_week(days)
    counts = np.bincount(day, minlength=7)
    if len(days) == 0 or weeks.max() - weeks.min() < _WEEKS or counts.min() > _OFF * counts.max():
        return ()
    return tuple(int(one) for one in np.flatnonzero(counts > _OFF * counts.max()))


def advisable(times: np.ndarray, clock: Clock) -> str:
    """The name of a step that every one of these times can move to the nearest point of.

    Args:
        times: int64 Unix seconds, ascending, without duplicates.
        clock: of the series.
    """
    typical = typical_step(np.diff(times))
    if typical >= _WITHIN_A_DAY:
        days = np.unique(clock.local(times) // DAY)
        if len(np.unique(months_and_days(days)[0])) == len(days):
            return "1M"
        return "1W" if len(np.unique(days // 7)) == len(days) else "1D"
    for step in _SENSIBLE[max(typical * (1 + _CLOSE), 1) >= _SENSIBLE][::-1]:
        if len(np.unique((times + step // 2) // step)) >= 0.95 * len(times):
            return Frequency(seconds=int(step)).name
    return "1s"


def _regular(times: np.ndarray, step: int) -> bool:
    return not ((times - times[0]) % step).any()


def _of_days(shown: np.ndarray, clock: Clock) -> Frequency:
    """Of rows that are a day or more apart, by local civil time."""
    days = np.unique((shown - middle_phase(shown, DAY) + DAY // 2) // DAY)
    if len(days) < 2:
        return Frequency(seconds=DAY, clock=clock)
    steps = np.diff(days)
    typical = typical_step(steps)
    if steps.min() >= 26 and typical >= 28:
        exact = _of_months(days, clock, exact=True)
        if exact:
            return exact
    if not (steps % 7).any() and typical % 7 == 0:
        return Frequency(seconds=typical * DAY, clock=clock)
    if not (steps % typical).any():
        return Frequency(seconds=typical * DAY, clock=clock)
    if steps.min() >= 20 and typical >= 28:
        near = _of_months(days, clock, exact=False)
        if near:
            return near
    if 5 <= typical <= 9:
        return Frequency(seconds=7 * DAY, clock=clock)
    week, day = day_of_week(days)
    present = tuple(np.unique(day).tolist())
    if len(present) < 5 and week[-1] - week[0] >= _WEEKS and len(days) >= 0.6 * len(present) * (week[-1] - week[0]):
        return Frequency(weekdays=present, clock=clock)
    return Frequency(seconds=typical * DAY, clock=clock)


def _of_months(days: np.ndarray, clock: Clock, *, exact: bool) -> Frequency | None:
    """By the calendar, where all rows, or most of them and the others nearly, lie on one day of their months."""
    months, day = months_and_days(days)
    if len(np.unique(months)) < len(months):
        return None
    step = typical_step(np.diff(months))
    if (np.diff(months) % step).any():
        step = int(np.gcd.reduce(np.diff(months)))
    last = month_days(months)[1]
    same = np.bincount(day).argmax() if not exact else day.max()
    candidates = [
        (Frequency(months=step, month_end=True, clock=clock), last),
        (Frequency(months=step, clock=clock), np.minimum(same, last)),
        (Frequency(months=step, month_end=True, business=True, clock=clock), _working(months, last=True)),
        (Frequency(months=step, business=True, clock=clock), _working(months, last=False)),
    ]
    shares = [float((day == wanted).mean()) for _, wanted in candidates]
    best = int(np.argmax(shares))
    frequency, wanted = candidates[best]
    if shares[best] == 1 or (not exact and shares[best] >= _MOST and np.abs(day - wanted).max() <= _MOVED):
        return frequency
    return None


def _working(months: np.ndarray, *, last: bool) -> np.ndarray:
    """Day of the month of its last day from Monday to Friday, or of its first."""
    first, length = month_days(months)
    _, weekday = day_of_week(first + length - 1 if last else first)
    return length - np.maximum(weekday - 4, 0) if last else 1 + np.where(weekday > 4, 7 - weekday, 0)


def middle_phase(times: np.ndarray, step: int) -> int:
    """Where in a step times lie: the commonest place, or where they jitter the middle, as a round number.

    Args:
        times: int64, in seconds.
        step: in seconds.

    Returns:
        From 0, below `step`.
    """
    places, counts = np.unique(times % step, return_counts=True)
    if counts.max() >= len(times) / 2:
        return int(places[counts.argmax()])
    turn = int(np.angle(np.exp(2j * np.pi * places / step) @ counts) / (2 * np.pi) * step)  # the circular mean
    beside = np.sort((times - turn + step // 2) % step - step // 2)
    middle = (turn + int(beside[len(beside) // 2])) % step
    spread = int(1.5 * np.quantile(np.abs(beside), 0.9))
    for unit in [step, *_SENSIBLE[::-1].tolist()]:
        rounded = int(middle / unit + 0.5) * unit
        if step % unit == 0 and abs(rounded - middle) <= spread:
            return rounded % step
    return middle % step
