"""Times that are read as they are written, and cannot be what was meant."""

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.times.civil import DAY, month_days, months_and_days
from unroll.monitoring.times.clock import Clock

_FEW, _SHARE = 3, 100  # rows apart from the rest, at most: so many, or one in so many
_APART = 4  # times as long as the rest, at least, is the gap between
_REST = 8  # rows, at least
_FIRST_YEAR = 1500
_CENTURY = 100
_YEAR = 365.2425 * DAY


def check_calendar(times: np.ndarray, codes: np.ndarray, clock: Clock) -> None:
    """Refuses days and months exchanged in part, and years of other calendars.

    Args:
        times: int64 Unix seconds, in the order of the file.
        codes: of their series.
        clock: that they are shown by.

    Raises:
        UserError: names a time, and what may be wrong with it.
    """
    newest = int(times.max())
    if newest < (_FIRST_YEAR - 1970) * _YEAR:
        raise UserError(
            f"the newest time is {_shown(newest)}: its year is of another calendar, such as the Persian or the Islamic "
            "one. Write times by the common calendar, as in 2026-01-31"
        )
    shown = clock.local(times[codes == codes[0]])
    _check_century(shown)
    _check_exchanged(shown)


def _check_century(shown: np.ndarray) -> None:
    """Refuses rows in order that fall back by a century once, as years of two digits do that are of two."""
    steps = np.diff(shown)
    back = np.flatnonzero(steps < 0)
    if len(back) == 1 and (steps >= 0).sum() > 1 and -_CENTURY * _YEAR <= steps[back[0]] <= -(_CENTURY - 2) * _YEAR:
        raise UserError(
            f"rows are in order but for {_shown(shown[back[0]])}, behind which {_shown(shown[back[0] + 1])} comes: "
            "years of two digits, read as 1941 to 2040, are of two centuries here. Write them with four digits"
        )


def _check_exchanged(shown: np.ndarray) -> None:
    """Of rows out of order that are in order with day and month exchanged wherever both can be either."""
    steps = np.diff(shown)
    if not ((steps < 0).any() and (steps > 0).any()):
        return
    months, day = months_and_days(shown // DAY)
    year, month = np.divmod(months, 12)
    either = (day <= 12) & (day != month + 1)
    exchanged = month_days(np.where(either, year * 12 + day - 1, months))[0] + np.where(either, month, day - 1)
    other = np.diff(exchanged * DAY + shown % DAY)
    if (other >= 0).all() or (other <= 0).all():
        wrong = int(either.argmax())
        raise UserError(
            f"day and month are exchanged in part of the times, as programs do that guess: rows such as "
            f"{_shown(shown[wrong])} are in order only as {_shown(exchanged[wrong] * DAY + shown[wrong] % DAY)}. Write "
            "the times again, all with the day first or all as in 2026-01-31"
        )


def check_apart(times: np.ndarray) -> None:
    """Refuses a few first or last rows ages apart from all others, such as those at 1970-01-01 that have no time.

    Args:
        times: int64 Unix seconds, in any order.

    Raises:
        UserError: says how they can be left out.
    """
    ordered = np.sort(times)
    most = max(_FEW, len(ordered) // _SHARE)
    if len(ordered) < _REST + most:
        return
    gaps = np.diff(ordered)
    first = int(gaps[:most].argmax())
    last = len(gaps) - 1 - int(gaps[::-1][:most].argmax())
    for apart, rest, gap in (
        (ordered[: first + 1], ordered[first + 1 :], gaps[first]),
        (ordered[last + 1 :], ordered[: last + 1], gaps[last]),
    ):
        if gap > max(_APART * np.ptp(rest), _YEAR):
            rows = f"{len(apart)} row{'s' * (len(apart) > 1)} at {_shown(apart[0])}"
            raise UserError(
                f"{rows} and the other {len(rest)} from {_shown(rest[0])} to {_shown(rest[-1])} are years apart. If "
                "that is no time, name it as missing as it is written in the file, as in --set "
                f"'data.missing=[\"{_shown(apart[0])}\"]', or fix it"
            )


def _shown(seconds: int) -> str:
    return str(np.datetime64(int(seconds), "s")).replace("T", " ").removesuffix(":00").removesuffix(" 00:00")
