"""Years with a fraction, such as 2012.083 for February 2012."""

import numpy as np

from unroll.monitoring.times.forms.fields import DAY

_HOUR = DAY // 24
_LATEST = 9999
_MIDDLE = (13, 17)  # days into a month


def read_decimal_years(values: np.ndarray, decimals: int) -> tuple[np.ndarray, np.ndarray]:
    """Times of years with a fraction.

    As far as the digits tell, twelfths of a year are starts of months, whether they are counted in days or all alike;
    the middles of twelfths stand for their months. Anything else is a day, or a time of day where the steps are
    shorter.

    Args:
        values: float64 [N].
        decimals: digits after the point.

    Returns:
        Microseconds since 1970, int64 [N], and which are not years, bool [N].

    Example:
        >>> read_decimal_years(np.array([2012.0, 2012.083, 2012.167]), 3)[0].astype("datetime64[us]").astype("M8[D]")
        array(['2012-01-01', '2012-02-01', '2012-03-01'], dtype='datetime64[D]')
    """
    wrong = ~((values >= 1) & (values < _LATEST))
    values = np.where(wrong, 1970, values)
    year = np.floor(values)
    accuracy = max(0.51 * 10.0**-decimals, 1e-10)  # years
    month, found = _months(year, values - year, accuracy)
    if found:
        return month.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64), wrong
    first = _first_day(year.astype(np.int64))
    length = _first_day(year.astype(np.int64) + 1) - first
    days = (values - year) * length
    steps = np.diff(np.unique(values))
    if decimals <= 3 or not len(steps) or np.median(steps) * 366 > 0.9:
        whole = np.floor(days + accuracy * length).astype(np.int64)
        return (first + whole) * DAY, wrong
    hours = days * 24
    unit = _HOUR if (np.abs(hours - np.round(hours)) <= accuracy * length * 24).all() else DAY // 1440
    return first * DAY + np.round(days * DAY / unit).astype(np.int64) * unit, wrong


def _months(year: np.ndarray, fraction: np.ndarray, accuracy: float) -> tuple[np.ndarray, bool]:
    """Months since 1970, and whether all are one."""
    months = ((year - 1970) * 12).astype(np.int64)
    nearest = np.round(fraction * 12)
    if (np.abs(fraction - nearest / 12) <= accuracy).all():
        return months + nearest.astype(np.int64), True
    first = _first_day(year.astype(np.int64))
    length = _first_day(year.astype(np.int64) + 1) - first
    starts = (months + nearest.astype(np.int64)).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    if (np.abs(fraction - (starts - first) / length) <= accuracy).all():
        return months + nearest.astype(np.int64), True
    return _middles(fraction * length + first)


def _middles(days: np.ndarray) -> tuple[np.ndarray, bool]:
    """Months since 1970, and whether all days are the middles of different ones."""
    months = np.floor(days).astype(np.int64).astype("datetime64[D]").astype("datetime64[M]")
    into = days - months.astype("datetime64[D]").astype(np.int64)
    one_a_month = len(np.unique(days)) == len(np.unique(months)) > 1
    return months.astype(np.int64), bool(one_a_month and ((into >= _MIDDLE[0]) & (into <= _MIDDLE[1])).all())


def _first_day(year: np.ndarray) -> np.ndarray:
    return (year - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
