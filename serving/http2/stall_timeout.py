"""How long a client may take to go on: seconds that run out, and that bytes win back, one for each KiB.

They are counted in looks and not by the clock: a server that stood still itself has not waited.
"""

TICK = 0.5
"""Seconds between two looks at all connections, which stand in for a timer each."""
_BYTES_A_SECOND = 1024


class StallTimeout:
    """What is left of it for one thing that is owed.

    Args:
        seconds: how long one that stands still is waited for.
        measure: a number that grows by the bytes that move. Where it falls, something else is owed.
    """

    __slots__ = ("_left", "_measure", "is_stalled")

    def __init__(self, seconds: float, measure: int) -> None:
        self._left = seconds
        self._measure = measure
        self.is_stalled = False
        """Whether as good as nothing has moved since the last look."""

    @property
    def is_over(self) -> bool:
        """Whether the client took too long."""
        return self._left <= 0

    def look(self, seconds: float, measure: int) -> None:
        """Notes how far it has got."""
        moved, self._measure = measure - self._measure, measure
        self.is_stalled = 0 <= moved < _BYTES_A_SECOND * TICK
        won = seconds if moved < 0 else moved / _BYTES_A_SECOND
        self._left = min(seconds, self._left - TICK + won)


def looked(stall_timeout: StallTimeout | None, seconds: float, measure: int | None) -> StallTimeout | None:
    """StallTimeout for what is owed now; None for nothing.

    Args:
        stall_timeout: that of the last look.
        seconds: see `StallTimeout`.
        measure: see `StallTimeout`; None: nothing is owed.
    """
    if measure is None:
        return None
    if stall_timeout is None:
        return StallTimeout(seconds, measure)
    stall_timeout.look(seconds, measure)
    return stall_timeout
