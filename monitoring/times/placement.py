"""Where the rows of a series lie on its grid."""

from dataclasses import dataclass

import numpy as np

from unroll.monitoring.times.civil import DAY, month_days, months_and_days
from unroll.monitoring.times.frequency import Frequency
from unroll.monitoring.times.inference import middle_phase

_NEAR = 0.25  # of a step
_NEAR_DAYS = {False: 2.5 * DAY, True: 6 * DAY}  # of steps by days of the week, and of months


@dataclass(frozen=True)
class Placement:
    """The grid point of every row.

    Args:
        start: Unix seconds of the first.
        steps: int64 [N], counted from it.
        moved: how many rows lie beside their point.
        farthest: the row that lies farthest from it.
        near: whether all rows are so near to their points that these are plainly what is meant.
    """

    start: int
    steps: np.ndarray
    moved: int = 0
    farthest: int = 0
    near: bool = True

    @classmethod
    def of(cls, times: np.ndarray, frequency: Frequency) -> "Placement":
        """Places rows on the grid that most of them lie on.

        Args:
            times: int64 Unix seconds, ascending.
            frequency: of the grid.
        """
        ordinals = frequency.ordinal(times)
        steps, start = ordinals - ordinals[0], int(times[0])
        grid = frequency.advance(start, steps)
        if (grid == times).all():
            return cls(start, steps)
        start, steps = _nearest(times, frequency)
        beside = np.abs(frequency.advance(start, steps) - times)
        allowed = frequency.seconds * _NEAR if frequency.seconds else _NEAR_DAYS[frequency.months > 0]
        return cls(start, steps, int((beside > 0).sum()), int(beside.argmax()), bool(beside.max() <= allowed))


def _nearest(times: np.ndarray, frequency: Frequency) -> tuple[int, np.ndarray]:
    """The first grid point, and each row's steps from it."""
    clock = frequency.clock
    shown = clock.local(times) if frequency.civil else times
    if frequency.seconds:
        phase = middle_phase(shown, frequency.seconds)
        ordinals = (shown - phase + frequency.seconds // 2) // frequency.seconds
        start = int(ordinals[0]) * frequency.seconds + phase
        return int(clock.instants(np.asarray(start)) if frequency.civil else start), ordinals - ordinals[0]
    of_day = middle_phase(shown, DAY)
    days = (shown - of_day + DAY // 2) // DAY
    ordinals = frequency.ordinal(clock.instants(days * DAY + DAY // 2))
    if frequency.weekdays:
        first = int(clock.local(np.asarray(frequency.floor(int(ordinals[0]))))) // DAY
    else:
        months, day = months_and_days(days)
        counts = np.bincount(day)
        common = counts.max() >= len(days) / 2
        first = int(month_days(months[:1])[0][0]) + (int(counts.argmax()) - 1 if common else 0)
    start = int(clock.instants(np.asarray(first * DAY + of_day)))
    return int(frequency.advance(start, np.zeros((), np.int64))), ordinals - ordinals[0]
