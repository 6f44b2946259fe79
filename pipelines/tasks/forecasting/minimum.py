"""What a forecast cannot be less than: counts, sales and rain are not negative."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

Minimum = float | Literal["auto"] | None

_ROWS = 1 << 20  # that are looked at together


def lowest_values(values: np.ndarray, targets: int) -> list[float]:
    """The lowest value of each target; infinity where it has none.

    Args:
        values: float32 `[steps, columns]`, targets first, NaN where missing; all that is known of the series.
        targets: C.
    """
    lowest = np.full(targets, np.inf)
    for start in range(0, len(values), _ROWS):
        lowest = np.fmin(lowest, np.fmin.reduce(values[start : start + _ROWS, :targets], axis=0))
    return lowest.tolist()


def minimums(setting: Minimum, lowest: Sequence[float]) -> list[float | None]:
    """The least forecast of each target.

    Args:
        setting: `model.minimum`. `auto`: 0 of a target that is never negative.
        lowest: of `lowest_values`.

    Example:
        >>> minimums("auto", [0.0, -1.0])
        [0.0, None]
    """
    return [0.0 if least >= 0 else None for least in lowest] if setting == "auto" else [setting] * len(lowest)


def minimum_summary(setting: Minimum, lowest: Sequence[float], names: Sequence[str]) -> list[str]:
    """What is to be said of it: a line, or none.

    Example:
        >>> minimum_summary("auto", [0.0, -1.0], ["sold", "profit"])
        ['Forecasts of sold are 0 at least: no value is negative (model.minimum=null: no such limit).']
        >>> minimum_summary(2, [1.0], ["load"])
        ['Forecasts are 2 at least, by model.minimum; load goes down to 1.']
    """
    if setting == "auto":
        limited = [name for name, least in zip(names, lowest, strict=True) if least >= 0]
        which = f" of {', '.join(limited)}" if len(limited) < len(names) else ""
        said = f"Forecasts{which} are 0 at least: no value is negative (model.minimum=null: no such limit)."
        return [said] if limited else []
    if setting is None:
        return []
    below = [f"{name} goes down to {least:g}" for name, least in zip(names, lowest, strict=True) if least < setting]
    return [f"Forecasts are {setting:g} at least, by model.minimum; {', '.join(below)}."] if below else []
