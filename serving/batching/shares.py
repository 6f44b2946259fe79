"""Into how many runs a signature's waiting rows are divided, by how long its runs take."""

WORTH = 4e-3
"""Seconds of work for which another thread is worth its while: half of it would go to changes of threads, to the
interpreter's lock and to what a batch costs however small it is."""
_NEWEST = 0.25  # weight of the latest run in what is expected of the next


class Shares:
    """Learns how long runs of a signature take, and divides what waits.

    Example:
        >>> shares = Shares()
        >>> shares.note(64, 0.030)
        >>> shares.divided(64, threads=2), shares.divided(4, threads=2)
        (32, 4)
    """

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}  # by the rows' number of binary digits

    def note(self, rows: int, seconds: float) -> None:
        """Learns from a run."""
        size = rows.bit_length()
        known = self._seconds.get(size, seconds)
        self._seconds[size] = known + _NEWEST * (seconds - known)

    def expected(self, rows: int) -> float:
        """Seconds that a run of so many rows takes, as far as known: at least as many as one of fewer."""
        size = rows.bit_length()
        while size and size not in self._seconds:
            size -= 1
        return self._seconds.get(size, 0.0)

    def divided(self, rows: int, threads: int) -> int:
        """Rows of each run where so many wait, and so many threads are idle."""
        shares = max(1, min(threads, int(self.expected(rows) / WORTH)))
        return -(-rows // shares)
