"""The regular grid that a series lies on: its frequency, its steps, the seasons that it may have."""

import re
from dataclasses import dataclass, field

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.times.civil import DAY, day_of_week, month_days, months_and_days, parse_weekdays, weekdays_name
from unroll.monitoring.times.clock import Clock
from unroll.monitoring.times.holidays import HOLIDAY_YEARS, check_holidays, days_off

_UNITS = {"W": 7 * DAY, "D": DAY, "h": 3600, "min": 60, "s": 1}
_CALENDAR = {"Y": 12, "Q": 3, "M": 1}
_ALIASES = {"H": "h", "d": "D", "w": "W", "S": "s", "T": "min", "MS": "M", "QS": "Q", "YS": "Y"}
_ALIASES |= {"A": "Y", "AS": "Y", "AE": "YE", "BA": "BY", "BAE": "BYE", "BM": "BME", "BQ": "BQE", "BY": "BYE"}
_RATES = {"Hz": 1, "ms": 1000, "us": 1_000_000}
_SECONDS = {DAY: [7, 365], 7 * DAY: [52]}
_MONTHS = {1: [12], 3: [4]}
_BUSINESS_WEEK = (0, 1, 2, 3, 4)
_WEEKS = 365.25 / 7  # of a year


@dataclass(frozen=True)
class Frequency:
    """The distance from a step to the next.

    Steps of days, of weeks and by the calendar are counted on the local clock, so that a day has 23, 24 or 25 hours;
    steps of hours and less are of fixed length, unless they are `local`.

    Args:
        seconds: of a step of fixed length, else 0.
        months: of a step by the calendar, else 0; the day of the month and the time of day stay.
        month_end: steps by the calendar fall on the last day of their month.
        business: steps by the calendar fall on the month's last day from Monday to Friday, or on its first.
        weekdays: of a step from one such day to the next, those days, rising from 0 for Monday.
        calendar: of holidays that such steps leave out, as `holidays` names them; empty: none.
        local: steps of hours are counted on the local clock, as where rows lie at 00:00, 06:00, 12:00 and 18:00.
        rate: steps a second; times are counted in steps then, and `seconds` is 1. 0 for steps of no known length.
        clock: of the series.

    Example:
        >>> Frequency.parse("30min").name, Frequency.parse("30min").seasons
        ('30min', [48, 336])
    """

    seconds: int = 0
    months: int = 0
    month_end: bool = False
    business: bool = False
    weekdays: tuple[int, ...] = ()
    calendar: str = ""
    local: bool = False
    rate: float | None = None
    clock: Clock = field(default_factory=Clock)

    @classmethod
    def parse(cls, name: str, clock: Clock | None = None) -> "Frequency":
        """From a count and a unit: s, min, h, D, W, or M, Q, Y (same day) and ME, QE, YE (month's last day).

        Raises:
            UserError: anything else.
        """
        clock = clock or Clock()
        text, _, of = name.strip().partition(" ") if name.strip().endswith(" local") else (name.strip(), "", "")
        days = re.fullmatch(r"1?[BC](?::([A-Z][a-z]{2}[A-Za-z,-]*))?(?::([A-Z][A-Z\d]+(?:-\w+)?))?", text)
        if text == "step":
            return cls(seconds=1, rate=0.0)
        if days and not of:
            weekdays = parse_weekdays(days[1]) if days[1] else _BUSINESS_WEEK
            if weekdays:
                return cls(weekdays=weekdays, calendar=check_holidays(days[2] or ""), clock=clock)
        rate = re.fullmatch(r"(\d{0,9}(?:\.\d+)?)\s*(Hz|ms|us)", text)
        if rate and float(rate[1] or 1) > 0 and not of:
            count = float(rate[1] or 1)
            return cls(seconds=1, rate=count if rate[2] == "Hz" else _RATES[rate[2]] / count, clock=clock)
        match = re.fullmatch(r"(\d{0,9})\s*([A-Za-z]+)", text)
        count, unit = (int(match[1] or 1), _ALIASES.get(match[2], match[2])) if match else (0, "")
        if count and unit in _UNITS:
            seconds = int(count) * _UNITS[unit]
            return cls(seconds=seconds, local=bool(of) and seconds % DAY != 0, clock=clock)
        business, end = unit.startswith("B") and unit[-1:] in ("E", "S"), unit.endswith("E")
        unit = unit[1:-1] if business else unit.removesuffix("E")
        if count and unit in _CALENDAR and not of:
            return cls(months=int(count) * _CALENDAR[unit], month_end=end, business=business, clock=clock)
        raise UserError(
            "configuration key data.frequency: takes a count and a unit, such as 15min, 1h, 1D, 1B (Monday to Friday; "
            "1B:NYSE: its trading days), 1W, 1M, 1Q, 1Y (1ME: last day of the month; 1BME: its last Monday to Friday), "
            f"or a rate, such as 256Hz. Received: {name!r}"
        )

    @property
    def name(self) -> str:
        """Such as 15min, 1h, 1D, 1B, 1W, 1M, 1QE, 256Hz."""
        if self.rate is not None:
            return f"{self.rate:.12g}Hz" if self.rate else "step"
        if self.weekdays:
            of = "" if self.weekdays == _BUSINESS_WEEK else f":{weekdays_name(self.weekdays)}"
            return f"1B{of}{self.calendar and f':{self.calendar}'}"
        if self.seconds:
            unit = next(unit for unit, seconds in _UNITS.items() if self.seconds % seconds == 0)
            return f"{self.seconds // _UNITS[unit]}{unit}{' local' if self.local else ''}"
        unit = next(unit for unit, months in _CALENDAR.items() if self.months % months == 0)
        before, after = "B" if self.business else "", "E" if self.month_end else "S" if self.business else ""
        return f"{self.months // _CALENDAR[unit]}{before}{unit}{after}"

    def counted(self, count: int) -> str:
        """So many steps, in words.

        Example:
            >>> Frequency(seconds=3600).counted(3000), Frequency(seconds=1, rate=0.0).counted(1)
            ('3,000 steps of 1h', '1 step')
        """
        steps = f"{count:,} step{'s' * (count != 1)}"
        return steps if self.rate == 0 else f"{steps} of {self.name}"

    @property
    def seasons(self) -> list[int]:
        """Steps of the seasons that such a series may have, shortest first: an hour, a day, a week, a year."""
        if self.rate is not None:
            return [int(self.rate)] if self.rate > 1 and self.rate == int(self.rate) else []
        if self.weekdays:
            year = 52 * len(self.weekdays)
            if self.calendar:
                year = round(len(self.weekdays) * _WEEKS - len(self.off) / HOLIDAY_YEARS)
            return [len(self.weekdays), year]
        if self.months:
            return _MONTHS.get(self.months, [])
        if self.seconds in _SECONDS:
            return _SECONDS[self.seconds]
        if self.seconds < 60:
            spans = [60, 3600]
        elif self.seconds < 600:
            spans = [3600, DAY]
        else:
            spans = [DAY, 7 * DAY]
        return [span // self.seconds for span in spans if span % self.seconds == 0 and span > self.seconds]

    @property
    def civil(self) -> bool:
        """Whether steps are counted on the local clock."""
        return self.seconds % DAY == 0 or self.local

    def ordinal(self, times: np.ndarray) -> np.ndarray:
        """Number of the step that int64 Unix seconds lie in, counted from 1970; the same for all series."""
        times = self._counted(times)
        if self.weekdays:
            return self._day_number(times // DAY)
        if self.seconds:
            return times // self.seconds
        return months_and_days(times // DAY)[0] // self.months

    def floor(self, ordinal: int) -> int:
        """Unix seconds at which the step of that number begins."""
        if self.weekdays:
            day = self._working_day(np.asarray(ordinal))
        elif self.seconds:
            return int(self._instants(np.asarray(ordinal * self.seconds)))
        else:
            day = month_days(np.asarray(ordinal * self.months))[0]
        return int(self._instants(day * DAY))

    def advance(self, start: int, steps: np.ndarray) -> np.ndarray:
        """Unix seconds of the grid points so many steps after `start`, which is one.

        Args:
            start: Unix seconds.
            steps: int64 of any shape.
        """
        steps = np.asarray(steps)
        begin = int(self._counted(np.asarray(start)))
        if self.weekdays:
            days = self._working_day(self.ordinal(np.asarray(start)) + steps)
        elif self.seconds:
            later = self._instants(begin + steps * self.seconds)
            return np.where(steps == 0, start, later) if self.civil else later
        else:
            month, day = (int(part) for part in months_and_days(np.asarray(begin // DAY)))
            first, length = month_days(month + steps * self.months)
            if not self.business:
                days = first + (length if self.month_end else np.minimum(day, length)) - 1
            elif self.month_end:
                last = first + length - 1
                days = last - np.maximum(day_of_week(last)[1] - 4, 0)
            else:
                weekday = day_of_week(first)[1]
                days = first + np.where(weekday > 4, 7 - weekday, 0)
        return self._instants(days * DAY + begin % DAY)

    def steps_after(self, newest: int, times: np.ndarray) -> np.ndarray:
        """How many steps after `newest`, a point of the grid, the point lies that is nearest to each time.

        What a table of actual values needs to be laid beside a forecast: row by row, the step of the horizon.

        Args:
            newest: Unix seconds.
            times: int64 Unix seconds.

        Returns:
            int64; 1 for the first step that is forecast, 0 and less for what was history.
        """
        begin, shown = int(self._counted(np.asarray(newest))), self._counted(times)
        if self.weekdays:
            shown = shown - begin % DAY + DAY // 2
            return self._day_number(shown // DAY) - self.ordinal(np.asarray(newest))
        if self.seconds:
            return (shown - begin + self.seconds // 2) // self.seconds
        return self.ordinal(times) - self.ordinal(np.asarray(newest))

    def stamp(self, time: int) -> str:
        """A time as people read it: ISO 8601 in the zone of the data, seconds from a start, or a step's number."""
        if self.rate is None:
            return self.clock.stamp(time)
        if not self.rate:
            return str(int(time))
        seconds = int(time) / self.rate
        if abs(seconds) < _FROM_A_START:
            return f"{seconds:.9f}".rstrip("0").rstrip(".")
        whole, micros = divmod(round(seconds * 1e6), 1_000_000)
        text = self.clock.stamp(whole)
        return f"{text[:19]}.{micros:06}{text[19:]}"

    def readable(self, time: int) -> str:
        """The same for a sentence: without T, and without Z, since UTC is not said where nothing else is meant."""
        return self.stamp(time).replace("T", " ").removesuffix("Z")

    def span(self, first: int, last: int) -> str:
        """From one time to another on the local clock, as exactly as the steps are; empty where rows are numbered.

        Example:
            >>> Frequency(seconds=3600).span(0, 5400), Frequency(months=1).span(0, 2678400)
            ('1970-01-01 00:00 to 1970-01-01 01:30', '1970-01-01 to 1970-02-01')
        """
        if self.rate is not None:
            dated = self.rate and first / self.rate >= _FROM_A_START
            return f"{self.readable(first)} to {self.readable(last)}" if dated else ""
        shown = self.clock.local(np.array([first, last]))
        days = self.seconds % DAY == 0 and not (shown % DAY).any()
        unit = "D" if days else "s" if self.seconds % 60 else "m"
        begin, end = (str(time).replace("T", " ") for time in shown.astype("M8[s]").astype(f"M8[{unit}]"))
        return f"{begin} to {end}"

    def _counted(self, times: np.ndarray) -> np.ndarray:
        """On the clock by which steps are counted."""
        return self.clock.local(times) if self.civil else np.asarray(times)

    def _instants(self, counted: np.ndarray) -> np.ndarray:
        return self.clock.instants(counted) if self.civil else counted

    @property
    def off(self) -> np.ndarray:
        """Days that are left out, by the numbers that they had among the days of `weekdays`; int64, rising."""
        if not self.calendar:
            return np.empty(0, np.int64)
        return _numbers(days_off(self.calendar, self.weekdays), self.weekdays)

    def _day_number(self, days: np.ndarray) -> np.ndarray:
        """Numbers of working days; a day off has that of the working day before."""
        number = _numbers(days, self.weekdays)
        return number - np.searchsorted(self.off, number, side="right")

    def _working_day(self, number: np.ndarray) -> np.ndarray:
        """Days since 1970 of working days, numbered."""
        count, off = len(self.weekdays), self.off
        number = number + np.searchsorted(off - np.arange(len(off)), number, side="right")
        return number // count * 7 - 3 + np.array(self.weekdays)[number % count]


def _numbers(days: np.ndarray, weekdays: tuple[int, ...]) -> np.ndarray:
    """Of days among those of `weekdays`; another day has the number of the one before."""
    week, day = day_of_week(days)
    return week * len(weekdays) + np.searchsorted(weekdays, day, side="right") - 1


_FROM_A_START = 100_000_000  # seconds; of times with fractions, fewer are counted from the start of a recording
