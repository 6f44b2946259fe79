"""The regular grid that a series lies on: its frequency, its steps, the seasons that it may have."""

import re
from dataclasses import dataclass

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.calendar_months import months_of

_DAY = 86_400
_UNITS = {"W": 7 * _DAY, "D": _DAY, "h": 3600, "min": 60, "s": 1}
_CALENDAR = {"Y": 12, "Q": 3, "M": 1}
_ALIASES = {"H": "h", "d": "D", "w": "W", "S": "s", "MS": "M", "QS": "Q", "YS": "Y", "A": "Y", "AS": "Y", "AE": "YE"}
_SECONDS = {_DAY: [7, 365], 7 * _DAY: [52]}
_MONTHS = {1: [12], 3: [4]}


@dataclass(frozen=True)
class Frequency:
    """The distance from a step to the next.

    Args:
        seconds: of a step of fixed length, else 0.
        months: of a step by the calendar, else 0; the day of the month and the time of day stay.
        month_end: steps by the calendar fall on the last day of their month.

    Example:
        >>> Frequency.parse("30min").name, Frequency.parse("30min").seasons
        ('30min', [48, 336])
    """

    seconds: int = 0
    months: int = 0
    month_end: bool = False

    @classmethod
    def parse(cls, name: str) -> "Frequency":
        """From a count and a unit: s, min, h, D, W, or M, Q, Y (same day) and ME, QE, YE (month's last day).

        Raises:
            UserError: anything else.
        """
        match = re.fullmatch(r"\s*(\d{0,9})\s*([A-Za-z]+)\s*", name)
        count, unit = (int(match[1] or 1), _ALIASES.get(match[2], match[2])) if match else (0, "")
        if count and unit in _UNITS:
            return cls(seconds=count * _UNITS[unit])
        if count and unit.removesuffix("E") in _CALENDAR:
            return cls(months=count * _CALENDAR[unit.removesuffix("E")], month_end=unit.endswith("E"))
        raise UserError(
            "configuration key data.frequency: takes a count and a unit, such as 15min, 1h, 1D, 1W, 1M, 1Q, 1Y (1ME: "
            f"last day of the month). Received: {name!r}"
        )

    @classmethod
    def infer(cls, times: np.ndarray) -> "Frequency | None":
        """The most common step.

        Args:
            times: int64 Unix seconds, ascending, without duplicates.

        Returns:
            By the calendar if all times fall on one day of the month, or on its last, at one time of day, and are
            at least four weeks apart; else in seconds. None for fewer than two times.
        """
        if len(times) < 2:
            return None
        steps = np.diff(times)
        if steps.min() >= 28 * _DAY and (times % _DAY == times[0] % _DAY).all():
            month, day, last = _civil(times)
            month_end = bool((day == last).all())
            if month_end or (day == day[0]).all():
                return cls(months=_mode(np.diff(month)), month_end=month_end)
        return cls(seconds=_mode(steps))

    @property
    def name(self) -> str:
        """Such as 15min, 1h, 1D, 1W, 1M, 1QE."""
        if self.seconds:
            unit = next(unit for unit, seconds in _UNITS.items() if self.seconds % seconds == 0)
            return f"{self.seconds // _UNITS[unit]}{unit}"
        unit = next(unit for unit, months in _CALENDAR.items() if self.months % months == 0)
        return f"{self.months // _CALENDAR[unit]}{unit}{'E' if self.month_end else ''}"

    @property
    def seasons(self) -> list[int]:
        """Steps of the seasons that such a series may have, shortest first: an hour, a day, a week, a year."""
        if self.months:
            return _MONTHS.get(self.months, [])
        if self.seconds in _SECONDS:
            return _SECONDS[self.seconds]
        if self.seconds < 60:
            spans = [60, 3600]
        elif self.seconds < 600:
            spans = [3600, _DAY]
        else:
            spans = [_DAY, 7 * _DAY]
        return [span // self.seconds for span in spans if span % self.seconds == 0 and span > self.seconds]

    def ordinal(self, times: np.ndarray) -> np.ndarray:
        """Number of the step that int64 Unix seconds lie in, counted from 1970; the same for all series."""
        if self.seconds:
            return times // self.seconds
        return months_of(times) // self.months

    def floor(self, ordinal: int) -> int:
        """Unix seconds at which the step of that number begins."""
        if self.seconds:
            return ordinal * self.seconds
        return int(np.datetime64(ordinal * self.months, "M").astype("datetime64[s]").astype(np.int64))

    def advance(self, start: int, steps: np.ndarray) -> np.ndarray:
        """Unix seconds of the grid points so many steps after `start`, which is one.

        Args:
            start: Unix seconds.
            steps: int64 of any shape.
        """
        if self.seconds:
            return start + steps * self.seconds
        month, day, _ = (int(part[0]) for part in _civil(np.array([start])))
        months = month + np.asarray(steps) * self.months
        first, length = _days_of(months)
        days = first + (length if self.month_end else np.minimum(day, length)) - 1
        return days * _DAY + start % _DAY


def iso(time: int) -> str:
    """Unix seconds as people read them, in UTC."""
    return str(np.datetime64(int(time), "s")).replace("T", " ")


def _civil(times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Months since January 1970, the day of the month from 1 and the number of its last day."""
    months = months_of(times)
    first, length = _days_of(months)
    return months, np.asarray(times) // _DAY - first + 1, length


def _days_of(months: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Days since 1970 of each month's first day, and the month's days."""
    first, after = (
        month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for month in (months, months + 1)
    )
    return first, after - first


def _mode(values: np.ndarray) -> int:
    distinct, counts = np.unique(values, return_counts=True)
    return int(distinct[counts.argmax()])
