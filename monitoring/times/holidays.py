"""Holidays of countries, their parts, and exchanges, as days, as the package holidays has them."""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.times.civil import day_of_week
from unroll.monitoring.times.clock import LAST_YEAR

if TYPE_CHECKING:
    from holidays import HolidayBase

_FIRST_YEAR = 1950
HOLIDAY_YEARS = LAST_YEAR - _FIRST_YEAR
"""Of which calendars tell their days."""
_FEWEST = 3  # days off by which a calendar is told
_EXPLAINED = 0.8  # of the missing days, that it must have


KNOWN = (
    "NYSE",
    "XETR",
    "XLON",
    "XPAR",
    "XSWX",
    "XJPX",
    "XHKG",
    "XTSE",
    "XASX",
    "XNSE",
    "XKRX",
    "XSHG",
    "BVMF",
    "XTAI",
    "XFED",
)
"""Calendars that are tried where none is named: those of well-known exchanges, and of banks in the United States."""


@lru_cache(maxsize=64)
def holiday_days(name: str) -> np.ndarray:
    """Days of a calendar of holidays, up to where zones are known.

    Args:
        name: a country, such as DE, a part of it, such as DE-BY, or an exchange, such as NYSE.

    Returns:
        int64 days since 1970, rising.

    Raises:
        UserError: there is no such calendar.
    """
    days = [np.datetime64(day, "D") for day in _calendar(name, range(_FIRST_YEAR, LAST_YEAR))]
    return np.sort(np.array(days, "datetime64[D]").astype(np.int64))


def days_off(name: str, weekdays: tuple[int, ...]) -> np.ndarray:
    """Those of `holiday_days` that fall on working days, int64, rising.

    Args:
        name: of the calendar.
        weekdays: the working days, from 0 for Monday.
    """
    days = holiday_days(name)
    return days[np.isin(day_of_week(days)[1], weekdays)]


def calendar_of(days: np.ndarray, weekdays: tuple[int, ...], name: str | None) -> str:
    """The calendar whose holidays are the days without a row; empty where there is none.

    Args:
        days: int64 days since 1970 that have rows, rising.
        weekdays: the working days among them.
        name: that is named: it fits if no row lies on one of its days; None tries those that are known, which must
            also explain nearly all days that are missing.

    Example:
        >>> calendar_of(np.arange(19_726, 19_740), (0, 1, 2, 3, 4), "DE")
        ''
    """
    span = np.arange(days[0], days[-1] + 1)
    missing = np.setdiff1d(span[np.isin(day_of_week(span)[1], weekdays)], days)
    best, explained = "", 0
    for one in [name] if name else KNOWN if len(missing) >= _FEWEST else ():
        off = days_off(one, weekdays)
        off = off[(off >= days[0]) & (off <= days[-1])]
        if not len(off) or np.isin(off, days).any():
            continue
        if len(off) > explained and (name or (len(off) >= _FEWEST and len(off) >= _EXPLAINED * len(missing))):
            best, explained = one, len(off)
    return best


def check_holidays(name: str) -> str:
    """The name itself, which may be empty.

    Raises:
        UserError: there is no such calendar.
    """
    if name:
        _calendar(name, range(0))
    return name


def _calendar(name: str, years: range) -> "HolidayBase":
    import holidays

    country, _, part = name.partition("-")
    try:
        if len(country) > 2 and not part:
            return holidays.financial_holidays(country, years=years)
        return holidays.country_holidays(country, subdiv=part or None, years=years)
    except NotImplementedError:
        raise UserError(
            "configuration key data.holidays: takes a country, such as DE, a part of one, such as DE-BY, or an "
            f"exchange, such as NYSE.{_parts(country) if part else ''} Received: {name!r}"
        ) from None


def _parts(country: str) -> str:
    import holidays

    try:
        return f" The parts of {country} are {', '.join(holidays.country_holidays(country).subdivisions)}."
    except NotImplementedError:
        return ""
