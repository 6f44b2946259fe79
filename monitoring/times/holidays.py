"""Holidays of countries, their parts, and exchanges, as days, as the package holidays has them."""

from typing import TYPE_CHECKING

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.times.clock import LAST_YEAR

if TYPE_CHECKING:
    from holidays import HolidayBase

_FIRST_YEAR = 1950


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


def check_holidays(name: str) -> str:
    """The name itself.

    Raises:
        UserError: there is no such calendar.
    """
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
