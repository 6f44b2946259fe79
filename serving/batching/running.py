"""The batches of one queue that run now."""

import time


class Running:
    """Counts batches as they begin, and knows when those that run are expected to end.

    Example:
        >>> running = Running()
        >>> first, second = running.begin(), running.begin()
        >>> running.expect(first, 0.5)
        >>> running.expect(second, 2.0)
        >>> running.end(first)
        >>> running.begun, 1.5 < running.seconds_left <= 2.0
        (2, True)
        >>> running.any_of(first), running.any_of(second)
        (False, True)
    """

    def __init__(self) -> None:
        self.begun = 0
        self._ends: dict[int, float] = {}  # by number, in seconds of `time.monotonic`

    def begin(self) -> int:
        """Gives the number of another batch."""
        self.begun += 1
        return self.begun

    def expect(self, number: int, seconds: float) -> None:
        """Takes note that a batch runs from now on, for about so many seconds."""
        self._ends[number] = time.monotonic() + seconds

    def end(self, number: int) -> None:
        """Takes note that it has stopped running."""
        self._ends.pop(number, None)

    @property
    def seconds_left(self) -> float:
        """Until the first of them is expected to end: negative, if it is overdue."""
        return min(self._ends.values()) - time.monotonic()

    def any_of(self, number: int) -> bool:
        """Whether one of the batches up to a number still runs."""
        return bool(self._ends) and next(iter(self._ends)) <= number
