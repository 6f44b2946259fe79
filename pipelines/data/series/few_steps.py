"""Horizon, lookback and splits that a data set has steps enough for."""

from collections.abc import Callable

from unroll.monitoring.times.civil import DAY
from unroll.monitoring.times.frequency import Frequency

LEAST = 4
"""Steps that three splits with windows take."""

_YEARS = {1: (12, "a year"), 3: (4, "a year"), 6: (4, "two years"), 12: (6, "six years")}

Fits = Callable[[int, list[int] | None], bool]
"""Whether every split has a window of this horizon, with these rows in the splits; None: with those that it has."""


def settings_that_fit(steps: int, horizon: int, fits: Fits | None = None) -> str:
    """What can be set so that every split has windows, as options of a command line; empty where nothing can.

    The horizon stays as long as can be: splits are changed where that leaves more of it than shortening it alone, but
    half of all steps stay for training.

    Args:
        steps: of the grid, from the first to the last.
        horizon: that is wanted.
        fits: None: wherever there are as many steps.

    Example:
        >>> settings_that_fit(15, 12)
        "--set model.horizon=3 --set model.lookback=3 --set 'data.split_rows=[9, 3, 3]'"
    """
    fits = fits or (lambda steps_ahead, rows: rows is not None)
    if steps < LEAST:
        return ""
    shorter = min(horizon, steps)
    while shorter:
        for rows in (None, [steps - 2 * shorter, shorter, shorter]):
            held_back = rows is not None and 4 * shorter > steps
            if not held_back and fits(shorter, rows):
                lookback = max(1, (steps - 3 * shorter) // 2)
                split = f" --set 'data.split_rows={rows}'" if rows else ""
                return f"--set model.horizon={shorter} --set model.lookback={lookback}{split}"
        shorter -= max(1, shorter // 50)
    return ""


def usual_horizon(frequency: Frequency) -> tuple[int, str]:
    """Steps that people ask for, and what they are.

    Example:
        >>> usual_horizon(Frequency.parse("30min")), usual_horizon(Frequency.parse("1M"))
        ((48, 'a day'), (12, 'a year'))
    """
    if frequency.rate is not None:
        return 24, "24"
    if frequency.weekdays:
        return 2 * len(frequency.weekdays), "two weeks"
    if frequency.months:
        return _YEARS.get(frequency.months, (6, "6"))
    if frequency.seconds >= 7 * DAY:
        return 8, "eight weeks" if frequency.seconds == 7 * DAY else "8"
    if frequency.seconds >= DAY:
        return max(1, 14 * DAY // frequency.seconds), "two weeks"
    if frequency.seconds >= 600:
        return DAY // frequency.seconds, "a day"
    return 60, "60"
