"""Arrays out of large JSON documents, without an object for each of their items."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_INTEGERS = (np.dtype(np.int8), np.dtype(np.int32))


class Unread:
    """Numbers that take less in the document than as float64: it reads them whenever they are asked for.

    Args:
        read: reads what stands between two positions of the document.
    """

    __slots__ = ("_pieces", "_read", "size")
    dtype = np.dtype(np.float64)

    def __init__(self, read: Callable[[int, int], NDArray[Any]]) -> None:
        self._read = read
        self._pieces: list[tuple[int, int]] = []
        self.size = 0

    def add(self, start: int, end: int, size: int) -> None:
        """Appends those between two positions."""
        self._pieces.append((start, end))
        self.size += size

    def arrays(self) -> Iterator[NDArray[Any]]:
        """The numbers, a bounded number at a time."""
        return (self._read(start, end) for start, end in self._pieces)


Part = NDArray[Any] | Unread


class Numbers:
    """What stands for lists of lists of numbers that are dense; it has a list's length and items.

    Args:
        parts: the numbers, row by row, in one part or several: whole ones as integers of any size, others as float64.
        shape: the sizes, outermost first.
    """

    __slots__ = ("parts", "shape")

    def __init__(self, parts: Sequence[Part], shape: Sequence[int]) -> None:
        self.parts = parts
        self.shape = list(shape)

    @property
    def flat(self) -> NDArray[Any]:
        """The numbers in one array; whole ones stay whole if all are."""
        first = self.parts[0]
        if len(self.parts) > 1 or isinstance(first, Unread):
            arrays = (part.arrays() if isinstance(part, Unread) else (part,) for part in self.parts)
            first = joined(list(itertools.chain.from_iterable(arrays)))
            self.parts = [first]
        return first

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, position: int) -> Any:
        if not 0 <= position < self.shape[0]:
            raise IndexError(position)
        size = math.prod(self.shape[1:])
        part = self.flat[position * size : (position + 1) * size]
        return Numbers([part], self.shape[1:]) if len(self.shape) > 1 else part[0].item()

    def __iter__(self) -> Iterator[Any]:
        return (self[position] for position in range(len(self)))


class Items:
    """What stands for a list of many items that are not dense numbers: it reads them whenever it is gone through.

    Args:
        read: reads what stands between two positions of the document, after an opening bracket.
    """

    __slots__ = ("_parts", "_read", "_size")

    def __init__(self, read: Callable[[int, int], list[Any]]) -> None:
        self._read = read
        self._parts: list[tuple[int, int] | list[Any]] = []
        self._size = 0

    def add(self, part: tuple[int, int] | list[Any], size: int) -> None:
        """Appends items: where they stand, or those that are large themselves."""
        self._parts.append(part)
        self._size += size

    def batches(self) -> Iterator[list[Any]]:
        """The items, a bounded number at a time."""
        return (part if isinstance(part, list) else self._read(*part) for part in self._parts)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, position: int) -> Any:
        return next(itertools.islice(self, position, None))

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self.batches())


LISTS = (list, Numbers, Items)


def narrowed(array: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers in as few bytes as they need; others as they are."""
    if array.dtype.kind == "f":
        return array
    low, high = array.min(), array.max()
    for dtype in _INTEGERS:
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return array.astype(dtype)
    return array


def joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One array of several; whole numbers stay whole if all are."""
    kinds = {array.dtype.kind for array in arrays}
    if kinds == {"i", "u"}:  # NumPy would make floats of them
        arrays = [array.astype(np.uint64) if array.min() >= 0 else array.astype(np.float64) for array in arrays]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
