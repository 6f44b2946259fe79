"""Numbers that stand for a missing value, such as -999."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_FEWEST = 3  # times that a value comes again
_MOST = 3  # sentinels of a column
_WIDTHS = 10  # of the rest, that a value lies from it which is no larger than it, such as 0 beside 1008 to 1018


@dataclass(frozen=True)
class Sentinel:
    """A value that comes again and again, far outside the rest of its column.

    Args:
        value: such as -999.
        count: how often it is there.
        low, high: of the rest.
    """

    value: float
    count: int
    low: float
    high: float

    def hint(self, column: str) -> str:
        """What a person may want to set."""
        value = f"{self.value:g}"
        return (
            f"Column {column!r} holds {value} {self.count:,} times, far outside the rest ({self.low:g} to "
            f"{self.high:g}). If it stands for a missing value: --set 'data.missing=[{value}]'."
        )


def masked(values: np.ndarray, missing: Sequence[str]) -> np.ndarray:
    """Which float32 values are numbers that stand for a missing one."""
    numbers = np.array([number for number in map(_number, missing) if number is not None], np.float32)
    return np.isin(values, numbers) if len(numbers) else np.zeros(values.shape, bool)


def repeated_extremes(values: np.ndarray) -> list[Sentinel]:
    """The values of a column that may stand for a missing one.

    A lowest or highest value counts that is there several times and farther from the rest than this is wide, and than
    this is from 0; or ten times as far as this is wide, if it is not in most rows.

    Args:
        values: float `[rows]`; NaN is missing.

    Example:
        >>> [found.value for found in repeated_extremes(np.array([1, 2, 3, -999, -999, 2.5, -999]))]
        [-999.0]
        >>> [found.value for found in repeated_extremes(np.array([0, 0, 0, 1008, 1011.5, 1009, 1018, 1012]))]
        [0.0]
    """
    rest = values[~np.isnan(values)]
    found = []
    for _ in range(_MOST):
        if len(rest) < 2 * _FEWEST:
            break
        low, high = rest.min(), rest.max()
        inner = rest[(rest > low) & (rest < high)]
        if not len(inner):
            break
        width = float(inner.max()) - float(inner.min())
        far = [
            value
            for value, gap in ((low, float(inner.min()) - float(low)), (high, float(high) - float(inner.max())))
            if width > 0
            and (count := np.count_nonzero(rest == value)) >= _FEWEST
            and (
                gap > max(width, abs(float(inner.max())), abs(float(inner.min())))
                or (gap > _WIDTHS * width and 2 * count < len(rest))
            )
        ]
        if not far:
            break
        for value in far:
            kept = rest[rest != value]
            found.append(Sentinel(float(value), len(rest) - len(kept), float(kept.min()), float(kept.max())))
        rest = rest[~np.isin(rest, far)]
    return found


def _number(text: str) -> float | None:
    try:
        return float(text.replace("−", "-"))
    except ValueError:
        return None
