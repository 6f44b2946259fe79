"""Days and the numbers of their hours, half hours or quarters, as markets of power count them, to times."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.times.clock import Clock, known_between
from unroll.monitoring.times.zones import KNOWN

_HALF_HOUR = 30  # in which Great Britain counts
_MINUTES = (60, 30, 15, 10, 5)
_DAY = 86_400
_MICROS = 1_000_000
_WRITTEN = re.compile(r"(.*), periods of (\d+)min from ([01])( by the clock)?")


@dataclass(frozen=True)
class Periods:
    """What the numbers of a column count.

    Args:
        minutes: of a period.
        first: number of the first of a day.
        by_label: they name times of the clock, some of which are left out or come twice where it changes; else they
            count on, so that a day has 23 hours or 25.

    Example:
        >>> days, numbers = np.zeros(2, np.int64), np.array([1, 48])
        >>> Periods(30, 1).read(days, numbers, None)[0].astype("M8[us]").astype("M8[m]")
        array(['1970-01-01T00:00', '1970-01-01T23:30'], dtype='datetime64[m]')
    """

    minutes: int
    first: int
    by_label: bool = False

    def told(self, clock: Clock | None) -> str:
        """For the run's output, as the end of a sentence."""
        if self._ends(clock):
            return "hours by their ends, of which 24 is the next day's midnight"
        how = ""
        if clock is not None and clock.changes:
            how = "; they name hours of the clock" if self.by_label else "; they count on where clocks change"
        return f"periods of {self.minutes} minutes, of which {self.first} begins at midnight{how}"

    def beside(self, form: str | None) -> str:
        """A form of days with these periods, as one text that `written` takes apart."""
        clock = " by the clock" if self.by_label else ""
        return f"{form or 'days'}, periods of {self.minutes}min from {self.first}{clock}"

    def read(
        self, days: np.ndarray, numbers: np.ndarray, clock: Clock | None
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Microseconds, seconds east of UTC where these are instants, and which days have no such period.

        Args:
            days: int64 [N]; local midnights, microseconds since 1970.
            numbers: int64 [N].
            clock: by which days begin.
        """
        into = (numbers - self.first) * self.minutes * 60
        if self.by_label or clock is None or not clock.changes:
            wrong = (into < 0) | (into >= _DAY)
            return days + (into + 3600 * self._ends(clock)) * _MICROS, None, wrong
        midnights = days // _MICROS
        instants = clock.instants(midnights) + into
        wrong = (into < 0) | (into >= _lengths(clock, midnights))
        return instants * _MICROS, clock.offset(instants).astype(np.int32), wrong

    def _ends(self, clock: Clock | None) -> bool:
        """Hours from 1 to 24 name their ends, as times of day up to 24:00 do, where no clock changes."""
        return self.minutes == 60 and self.first == 1 and not (clock is not None and clock.changes)


def written(form: str | None) -> tuple[str | None, Periods | None]:
    """A form of days, and the periods beside it, of what `Periods.beside` put together.

    Example:
        >>> written("iso, periods of 30min from 1"), written("iso")
        (('iso', Periods(minutes=30, first=1, by_label=False)), ('iso', None))
    """
    found = _WRITTEN.fullmatch(form or "")
    if found is None:
        return form, None
    days, minutes, first, clock = found.groups()
    return None if days == "days" else days, Periods(int(minutes), int(first), bool(clock))


def find_periods(rows: Iterable[tuple[np.ndarray, np.ndarray]], clock: Clock | None, where: str) -> Periods:
    """What numbers count, by how many each day has.

    Args:
        rows: batches of days (microseconds) and numbers of all rows.
        clock: that is named.
        where: file and columns, for messages.

    Raises:
        UserError: days that have more hours than others, without a zone or with one whose days have not as many.
    """
    first = 1
    keys, times = np.empty(0, np.int64), np.empty(0, np.int64)
    for days, numbers in rows:
        first = min(first, int(numbers.min(initial=1)))
        keys, times = _counted(keys, times, days + numbers)
    days, numbers = np.divmod(keys, _DAY * _MICROS)
    own, begins = np.unique(days, return_index=True)
    most = numbers[np.append(begins[1:], len(numbers))[: len(own)] - 1]  # of each day: its keys rise
    counts = dict(zip((own * _DAY).tolist(), (most - first + 1).tolist(), strict=True))
    highest = max(counts.values(), default=0)
    minutes = next((one for one in _MINUTES if highest <= 25 * 60 // one), _MINUTES[-1])
    periods = Periods(minutes, first)
    if clock is not None and clock.changes:
        return _by_clock(periods, counts, clock, where)
    usual = 24 * 60 // minutes
    long = {day: count for day, count in counts.items() if count > usual}
    twice = {} if long else _twice(days * _DAY, numbers, times)
    short = {day: counts[day] for day in list(counts)[1:-1] if counts[day] == usual - 60 // minutes}
    zones = ("Europe/London", *KNOWN) if minutes == _HALF_HOUR else KNOWN
    zone = next((name for name in zones if _fits(name, minutes, long or short)), None) if long or short else None
    if twice:
        day, number = next(iter(twice.items()))
        longer = dict.fromkeys(twice, usual + 60 // minutes)
        if doubled := next((name for name in zones if _fits(name, minutes, longer)), None):
            raise UserError(
                f"{where}: number {number} comes twice on {_shown(day)}, as where clocks are set back. Name their "
                f"zone, as in --set data.timezone={doubled}"
            )
    if long or zone:
        day, count = next(iter((long or short).items()))
        hours = "hours" if minutes == 60 else f"periods of {minutes} minutes"
        raise UserError(
            f"{where}: count {hours}, of which {_shown(day)} has {count} and most days {usual}, as where clocks are "
            f"set {'back' if long else 'forward'}. Name their zone, as in --set data.timezone={zone or 'Europe/Berlin'}"
        )
    return periods


def _counted(keys: np.ndarray, times: np.ndarray, further: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys and how often each came, with further ones."""
    own, came = np.unique(further, return_counts=True)
    merged, place = np.unique(np.concatenate([keys, own]), return_inverse=True)
    return merged, np.bincount(place, np.concatenate([times, came])).astype(np.int64)


def _twice(days: np.ndarray, numbers: np.ndarray, times: np.ndarray) -> dict[int, int]:
    """Days, in seconds, on which one number comes twice as often as all others do; none if others differ, too."""
    usual = int(np.median(times)) if len(times) else 0
    other = times > usual
    found = dict(zip(days[other].tolist(), numbers[other].tolist(), strict=True))
    return found if (times[other] == 2 * usual).all() and len(found) == other.sum() else {}


def _by_clock(periods: Periods, counts: dict[int, int], clock: Clock, where: str) -> Periods:
    """Numbers that count on where this clock changes, or name its hours."""
    usual = 24 * 60 // periods.minutes
    days = np.array(list(counts), np.int64)
    counted = np.array(list(counts.values()), np.int64)
    lengths = _lengths(clock, days) // (periods.minutes * 60)
    inner = (lengths != usual)[1:-1]
    by_label = bool((inner & (counted == usual)[1:-1]).any())
    too_many = counted > (usual if by_label else lengths)
    if too_many.any():
        at = int(too_many.argmax())
        raise UserError(
            f"{where}: {_shown(days[at])} has {counted[at]} periods of {periods.minutes} minutes, and by the clock of "
            f"{clock.name} {lengths[at]}. Name the zone by whose clock they are counted: --set data.timezone=..."
        )
    return replace(periods, by_label=by_label)


def _fits(name: str, minutes: int, counts: dict[int, int]) -> bool:
    """Whether days are as long by the clock of a zone as they are by their periods."""
    days = np.array(list(counts), np.int64)
    clock = known_between(name, int(days.min()) - 2 * _DAY, int(days.max()) + 2 * _DAY)
    return bool((_lengths(clock, days) == np.array(list(counts.values())) * minutes * 60).all())


def _lengths(clock: Clock, days: np.ndarray) -> np.ndarray:
    """Seconds of local days."""
    return clock.instants(days + _DAY) - clock.instants(days)


def _shown(day: int) -> str:
    return str(np.datetime64(int(day), "s").astype("datetime64[D]"))
