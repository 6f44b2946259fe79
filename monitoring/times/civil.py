"""Days, weeks and months of the calendar, as numbers."""

import re

import numpy as np

DAY = 86_400
_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def day_of_week(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weeks since the one of 1 January 1970, and the day in them from 0 for Monday, of days since 1970."""
    return (days + 3) // 7, (days + 3) % 7


def months_and_days(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Months since January 1970, and the day of the month from 1, of days since 1970."""
    months = np.asarray(days, "datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months, np.asarray(days) - month_days(months)[0] + 1


def month_days(months: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Days since 1970 of each month's first day, and the month's days."""
    first, after = (
        np.asarray(month, np.int64).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        for month in (months, months + 1)
    )
    return first, after - first


def weekdays_name(weekdays: tuple[int, ...]) -> str:
    """Such as Sun-Thu, or Mon,Wed,Fri.

    Example:
        >>> weekdays_name((0, 1, 2, 3, 6)), weekdays_name((0, 2, 4))
        ('Sun-Thu', 'Mon,Wed,Fri')
    """
    starts = [day for day in weekdays if (day - 1) % 7 not in weekdays]
    if len(starts) == 1 and len(weekdays) > 2:
        return f"{_NAMES[starts[0]]}-{_NAMES[(starts[0] + len(weekdays) - 1) % 7]}"
    return ",".join(_NAMES[day] for day in weekdays)


def parse_weekdays(text: str) -> tuple[int, ...]:
    """The days of such a name, rising; none for another."""
    parts = text.title()
    spread = re.fullmatch(r"([A-Z][a-z]{2})-([A-Z][a-z]{2})", parts)
    names = [*spread.groups()] if spread else parts.split(",")
    if not all(name in _NAMES for name in names):
        return ()
    days = [_NAMES.index(name) for name in names]
    if spread:
        days = [(days[0] + step) % 7 for step in range((days[1] - days[0]) % 7 + 1)]
    return tuple(sorted(set(days)))
