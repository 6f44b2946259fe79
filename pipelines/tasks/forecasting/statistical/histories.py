"""Histories of any length side by side, so that one loop over time runs through all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LONGEST = 2000
"""Newest steps that are read of a history."""


@dataclass(frozen=True)
class Histories:
    """Histories that end at the same step, longest first.

    Args:
        values: float64 `[time, histories]`, in units of `scale`; NaN where missing, or before a history begins.
        active: int `[time]`; how many of them, from the first, have begun.
        order: int `[histories]`, the place that each was given at.
        scale: float64 `[histories]`, the mean of the absolute values.

    Example:
        >>> Histories.of([np.array([np.nan, 2.0]), np.array([1.0, np.nan, 3.0])]).active.tolist()
        [1, 1, 2]
    """

    values: np.ndarray
    active: np.ndarray
    order: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, series: Sequence[np.ndarray]) -> "Histories":
        """Of series, float `[time]` each, that have an observed value in their newest `LONGEST` steps."""
        begun = [one[int(np.isfinite(one).argmax()) :] for one in (one[-LONGEST:] for one in series)]
        lengths = np.array([len(one) for one in begun])
        order = np.argsort(-lengths, kind="stable")
        values = np.full((int(lengths.max()), len(begun)), np.nan)
        for column, row in enumerate(order):
            values[len(values) - lengths[row] :, column] = begun[row]
        scale = np.nanmean(np.abs(values), axis=0)
        scale[scale == 0] = 1.0
        active = np.searchsorted(np.sort(lengths), len(values) - np.arange(len(values)), side="left")
        return cls(values / scale, len(begun) - active, order, scale)

    @property
    def starts(self) -> np.ndarray:
        """The step at which each begins, int `[histories]`."""
        return np.isfinite(self.values).argmax(axis=0)

    @property
    def counts(self) -> np.ndarray:
        """Observed values of each, int `[histories]`."""
        return np.isfinite(self.values).sum(axis=0)
