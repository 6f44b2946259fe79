"""Numbers of the calendar and the clock to microseconds since 1970."""

from collections.abc import Mapping

import numpy as np

MICROS = 1_000_000
DAY = 86_400 * MICROS
_RANGES = {
    "y": (1, 9999),
    "m": (1, 12),
    "d": (1, 31),
    "j": (1, 366),
    "q": (1, 4),
    "h": (1, 2),
    "w": (1, 53),
    "u": (1, 7),
    "H": (0, 24),
    "M": (0, 59),
    "S": (0, 60),
}
_FIRST_SHORT = 41  # two digits from here on are years of 19..: what is measured is rarely far ahead
CENTURY = 36_525 * DAY  # between years of 1941 to 1999 and those a hundred years later
"""Microseconds."""


def from_fields(fields: Mapping[str, np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points in time.

    24:00 is the end of the day, and a leap second the start of the next minute.

    Args:
        fields: int64 [count] each: y year, m month, d day, j day of the year, q quarter, h half, w ISO week, u day of
            it from 1, H hour, M minute, S second, f microsecond. What is not there is the first.
        count: N.

    Returns:
        Microseconds since 1970, int64 [N], and which are not times, bool [N].

    Example:
        >>> from_fields({"y": np.array([1970]), "d": np.array([2]), "H": np.array([24])}, 1)[0] // DAY
        array([2])
    """
    wrong = np.zeros(count, bool)
    for name, (low, high) in _RANGES.items():
        if name in fields:
            wrong |= (fields[name] < low) | (fields[name] > high)
    days, impossible = _days({name: np.where(wrong, 1, values) for name, values in fields.items()}, count)
    wrong |= impossible
    hour, minute, second, micro = (fields.get(name, np.zeros(count, np.int64)) for name in "HMSf")
    wrong |= (hour == 24) & ((minute > 0) | (second > 0) | (micro > 0))
    wrong |= (second == 60) & (minute != 59)
    micros = days * DAY + ((hour * 60 + minute) * 60 + second) * MICROS + micro
    return np.where(wrong, 0, micros), wrong


def whole_year(two_digits: np.ndarray) -> np.ndarray:
    """The years that two digits stand for, 1941 to 2040."""
    return two_digits + np.where(two_digits >= _FIRST_SHORT, 1900, 2000)


def whole_hour(hour: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hours of a clock of 24 from those of a clock of 12.

    Args:
        hour: int64 [N]; hours from 13 on are taken as they are.
        half: text [N]: "a" before noon, "p" after it, "" where it is not told.

    Returns:
        Hours, and which are not hours of that half of the day, bool [N].
    """
    before, after = half == "a", half == "p"
    wrong = before & (hour > 12)
    hour = np.where(before & (hour == 12), 0, hour)
    return np.where(after & (hour < 12), hour + 12, hour), wrong


def _days(fields: Mapping[str, np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Days since 1970, and which do not exist."""
    one = np.ones(count, np.int64)
    year = fields.get("y", 1970 * one)
    if "w" in fields:
        fourth = _day_of(year, one, 4 * one)  # always in the first ISO week
        monday = fourth - (fourth + 3) % 7  # 1970-01-01 was a Thursday
        days = monday + 7 * (fields["w"] - 1) + fields.get("u", one) - 1
        fourth = _day_of(year + 1, one, 4 * one)
        return days, monday + 7 * (fields["w"] - 1) >= fourth - (fourth + 3) % 7
    if "j" in fields:
        days = _day_of(year, one, fields["j"])
        return days, days >= _day_of(year + 1, one, one)
    month = fields.get("m", one)
    for part, months in (("q", 3), ("h", 6)):
        if part in fields:
            month = months * (fields[part] - 1) + 1
    days = _day_of(year, month, fields.get("d", one))
    return days, days >= _day_of(year, month + 1, one)


def _day_of(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64) + day - 1
