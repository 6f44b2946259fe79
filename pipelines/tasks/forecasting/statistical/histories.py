"""Histories of any length side by side, so that one loop over time runs through all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")

LONGEST = 2000
"""Newest steps that are read of a history."""
LEAST = 8
"""Observed values that a history must have."""


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


def corrected_akaike(deviance: np.ndarray, degrees: int, observed: np.ndarray) -> np.ndarray:
    """The corrected Akaike criterion (Hurvich & Tsai 1989); infinity where there are too few values for the form.

    Args:
        deviance: minus twice the log likelihood, but for a constant, float `[N]`.
        degrees: numbers that are estimated.
        observed: values of each history, int `[N]`.
    """
    room = observed - degrees - 1
    with np.errstate(all="ignore"):
        criterion = deviance + 2 * degrees + 2 * degrees * (degrees + 1) / room
    return np.where(room > 0, criterion, np.inf)


def choose(
    series: Sequence[np.ndarray],
    forms: Sequence[T],
    fits: Callable[[T, np.ndarray], np.ndarray],
    fitted: Callable[[T, Histories], tuple[np.ndarray, np.ndarray]],
    horizon: int,
) -> np.ndarray:
    """Forecasts of histories by the form that has the least criterion for each.

    Args:
        series: N, float `[time]`, NaN where missing.
        forms: of a method.
        fits: from a form and the observed values of each history to which of them it may be fitted to.
        fitted: from a form and histories to their criteria and their forecasts, as `Histories` orders and scales them.
        horizon: H.

    Returns:
        Float `[N, H]`; NaN of a history that no form fits.
    """
    newest = [one[-LONGEST:] for one in series]
    counts = np.array([int(np.isfinite(one).sum()) for one in newest])
    least, found = np.full(len(newest), np.inf), np.full((len(newest), horizon), np.nan)
    for form in forms:
        rows = np.flatnonzero(fits(form, counts))
        if not len(rows):
            continue
        histories = Histories.of([newest[row] for row in rows])
        criteria, forecasts = fitted(form, histories)
        rows = rows[histories.order]
        better = (criteria < least[rows]) & np.isfinite(forecasts).all(axis=1)
        least[rows[better]] = criteria[better]
        found[rows[better]] = forecasts[better] * histories.scale[better, None]
    return found
