"""What a named calendar of holidays says of the steps of some series, in words."""

import numpy as np

from unroll.monitoring.times.frequency import Frequency
from unroll.monitoring.times.holidays import holiday_days

_DAY = 86_400


def holidays_told(name: str | None, frequency: Frequency, start: np.ndarray, offsets: np.ndarray) -> list[str]:
    """How many of the days that the series hold are holidays; nothing where no calendar is named.

    Args:
        name: of the calendar, such as DE or NYSE.
        frequency: of the steps.
        start: int64 `[series]`, time of each one's first step.
        offsets: int64 `[series + 1]`, where each one's steps begin.

    Example:
        >>> holidays_told("DE", Frequency.parse("1D"), np.array([19_723 * 86_400]), np.array([0, 31]))
        ['Holidays of DE are a covariate, known for the horizon, too: 1 of 31 days of the data, the first 2024-01-01.']
    """
    if not name:
        return []
    spans = zip(start.tolist(), np.diff(offsets).tolist(), strict=True)
    steps = [frequency.clock.local(frequency.advance(first, np.arange(count))) // _DAY for first, count in spans]
    days = np.unique(np.concatenate(steps))
    found = days[np.isin(days, holiday_days(name))]
    if len(found):
        first = np.datetime64(int(found[0]), "D")
        said = f"{len(found):,} of {len(days):,} days of the data, the first {first}"
        return [f"Holidays of {name} are a covariate, known for the horizon, too: {said}."]
    if frequency.calendar:
        return [f"No step of {frequency.name} falls on a holiday of {name} (data.holidays): they are no covariate."]
    return [
        f"Warning: no step of the data falls on a holiday of {name}, so that the model learns nothing of them. Leave "
        "them out with --set data.holidays=null, or name another calendar."
    ]
