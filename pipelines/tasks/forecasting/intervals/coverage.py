"""How often the 80 % interval held: by step of the horizon, and by series and target."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unroll.pipelines.terminal import WORST_FIRST

LEVEL = 0.8
_LISTED = 100  # series and targets of the table, those farthest from the level first


class Coverage:
    """Counts targets inside of their interval, in constant memory for each series.

    Args:
        targets: names of the channels.

    Example:
        >>> coverage = Coverage(["load"])
        >>> inside = np.array([[[True], [False]], [[True], [True]]])  # [batch, horizon, channels]
        >>> coverage.add(inside, np.ones_like(inside), np.array([b"north", b"south"]))
        >>> coverage.metrics()
        {'coverage_80_first_step': 1.0, 'coverage_80_last_step': 0.5, 'coverage_80_lowest': 0.5}
        >>> coverage.by_series()[0]
        {'series': 'north', 'target': 'load', 'coverage_80': 0.5, 'values': 2}
    """

    def __init__(self, targets: Sequence[str]):
        self._targets = list(targets)
        self._steps: np.ndarray | None = None  # [H, 2]: inside, counted
        self._series: dict[bytes, np.ndarray] = {}  # [C, 2]

    def add(self, inside: np.ndarray, counted: np.ndarray, series: np.ndarray) -> None:
        """Adds a batch.

        Args:
            inside: bool `[batch, horizon, channels]`.
            counted: bool `[batch, horizon, channels]`, the targets that were observed.
            series: bytes `[batch]`, their names.
        """
        both = np.stack([inside & counted, counted], axis=-1)  # [B, H, C, 2]
        self._steps = both.sum(axis=(0, 2)) + (0 if self._steps is None else self._steps)
        by_window = both.sum(axis=1)  # [B, C, 2]
        for name in np.unique(series):
            self._series[name] = by_window[series == name].sum(axis=0) + self._series.get(name, 0)

    def by_step(self) -> list[dict[str, Any]]:
        """A row a step of the horizon, from 1."""
        steps = np.empty([0, 2]) if self._steps is None else self._steps
        return [{"step": number, "coverage_80": _share(one)} for number, one in enumerate(steps, 1)]

    def by_series(self) -> list[dict[str, Any]]:
        """A row a series and target with observed values, those farthest from 80 % first."""
        rows = [
            {"series": name.decode(), "target": target, "coverage_80": _share(one), "values": int(one[1])}
            for name, channels in self._series.items()
            for target, one in zip(self._targets, channels, strict=True)
            if one[1]
        ]
        return sorted(rows, key=lambda row: -abs(row["coverage_80"] - LEVEL))

    def metrics(self) -> dict[str, float]:
        """That of the first and the last step and, where there are several, the lowest of a series and target."""
        steps, series = self.by_step(), self.by_series()
        if not series:
            return {}
        found = {"coverage_80_first_step": steps[0]["coverage_80"], "coverage_80_last_step": steps[-1]["coverage_80"]}
        if len(series) > 1:
            found["coverage_80_lowest"] = min(row["coverage_80"] for row in series)
        return found

    def tables(self) -> Mapping[str, list[dict[str, Any]]]:
        """By title, for the evaluation."""
        steps, series = self.by_step(), self.by_series()
        tables = {"Coverage of the 80 % interval by step of the horizon": steps} if series else {}
        if len(series) > 1:
            tables[f"Coverage of the 80 % interval by series, {WORST_FIRST}"] = series[:_LISTED]
        return tables


def _share(counts: np.ndarray) -> float:
    return float(counts[0] / counts[1]) if counts[1] else float("nan")
