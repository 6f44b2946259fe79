"""An even sample of any number of records."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class EvenSample(Generic[T]):
    """Of few records all, of many every second, fourth, eighth and so on, in their order.

    Args:
        max_records: of them; at least half as many are kept of more.
        max_bytes: of all records together.
        size: bytes of one.

    Attributes:
        records: those that are kept.
        rows: their numbers.

    Example:
        >>> sample = EvenSample(max_records=3)
        >>> for record in "abcdef":
        ...     sample.add(record)
        >>> sample.records
        ['a', 'c', 'e']
    """

    def __init__(self, max_records: int, max_bytes: float = float("inf"), size: Callable[[T], int] = lambda record: 0):
        self.records: list[T] = []
        self.rows: list[int] = []
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._size = size
        self._bytes = 0
        self._stride = 1
        self._seen = 0

    def __len__(self) -> int:
        """How many records were added."""
        return self._seen

    def add(self, record: T) -> None:
        if self._seen % self._stride == 0:
            self.records.append(record)
            self.rows.append(self._seen)
            self._bytes += self._size(record)
        self._seen += 1
        while len(self.records) > self._max_records or self._bytes > self._max_bytes:
            self.records, self.rows, self._stride = self.records[::2], self.rows[::2], 2 * self._stride
            self._bytes = sum(map(self._size, self.records))
