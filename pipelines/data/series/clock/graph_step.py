"""A frequency as graphs take it."""

from typing import Any

import numpy as np

from unroll.models.series.clock_changes import ClockChanges
from unroll.models.series.local_clock import LocalClock
from unroll.monitoring.times.frequency import Frequency


def graph_step(frequency: Frequency) -> dict[str, Any]:
    """The keyword arguments of `unroll.models.series.stepping.advance`."""
    return {
        "seconds": frequency.seconds,
        "months": frequency.months,
        "month_end": frequency.month_end,
        "business": frequency.business,
        "weekdays": frequency.weekdays,
        "off": frequency.off,
        "civil": frequency.civil,
        "clock": LocalClock(frequency.clock.transitions, frequency.clock.offsets),
    }


def clock_changes(frequency: Frequency) -> ClockChanges | None:
    """Lays steps of fixed length on the local clock; None where that is not needed, or changes are not whole steps.

    Steps of two hours, say, that go on at the same distance when clocks change by one have no hour of the day that
    they keep.
    """
    clock = frequency.clock
    if frequency.civil or frequency.rate is not None or not clock.changes:
        return None
    recent = clock.offsets[np.searchsorted(clock.transitions, 0) :]  # before 1970 offsets have odd minutes
    if (np.diff(recent) % frequency.seconds).any():
        return None
    return ClockChanges(LocalClock(clock.transitions, clock.offsets), frequency.seconds)
