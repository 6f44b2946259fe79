"""Which windows a split has, by arithmetic: nothing is listed."""

from dataclasses import dataclass, replace

import numpy as np

from unroll.errors import UserError
from unroll.pipelines.data.series.data import SeriesData
from unroll.pipelines.data.series.few_steps import settings_that_fit
from unroll.pipelines.data.splits import SPLITS


@dataclass(frozen=True)
class WindowIndex:
    """Windows of a split, numbered series by series in time order.

    A window's target lies in the split whole; its history may reach back before it. At the start of a series, targets
    begin after a lookback of history, or, where the series is shorter than lookback and horizon, after half of what
    it has: such windows are padded on the left with NaN. A window whose target is missing altogether counts as any
    other; it weighs nothing in a masked loss.

    Args:
        first: int64 [N]; step of each series (from its start) at which its first window's target begins.
        ends: int64 [N]; number of the window after each series' last.
        stride: steps from a window to the next.
    """

    first: np.ndarray
    ends: np.ndarray
    stride: int

    @classmethod
    def of(cls, data: SeriesData, split: str, *, lookback: int, horizon: int, stride: int = 1) -> "WindowIndex":
        """Counts the windows of a split of `data`."""
        begin, end = data.steps(split)
        padded = end < lookback + horizon
        history = np.where(padded, np.maximum((end - horizon) // 2, 1), lookback)
        first = np.where(begin > 0, begin, history)
        counts = np.maximum(end - horizon - first + stride, 0) // stride
        return cls(first, np.cumsum(counts), stride)

    @property
    def count(self) -> int:
        """Windows in all."""
        return int(self.ends[-1])

    @property
    def series(self) -> int:
        """Series that have any."""
        return int((np.diff(self.ends, prepend=0) > 0).sum())


def check_windows(data: SeriesData, *, lookback: int, horizon: int) -> dict[str, dict[str, int]]:
    """Makes sure that every split has windows.

    Returns:
        By split: `windows`, and how many series are too short for any (`short_series`).

    Raises:
        UserError: a split without a window, and what to change.
    """
    report = {}
    for split in SPLITS:
        begin, end = data.bounds[split]
        if split != "train" and end - begin < horizon:
            raise UserError(
                f"configuration key model.horizon: {horizon} steps are more than the {split} split's {end - begin}. "
                f"Lower model.horizon, or give the split more with data.split_rows{_remedy(data, lookback, horizon)}"
            )
        index = WindowIndex.of(data, split, lookback=lookback, horizon=horizon)
        if not index.count:
            first, last = data.steps(split)
            raise UserError(
                f"the {split} split has no window of lookback {lookback} + horizon {horizon} steps: the longest "
                f"series has {int((last - first).max())} steps in it. Lower model.horizon, add rows, or "
                f"give the split more with data.split_rows{_remedy(data, lookback, horizon)}"
            )
        report[split] = {"windows": index.count, "short_series": len(data.ids) - index.series}
    return report


def _remedy(data: SeriesData, lookback: int, horizon: int) -> str:
    """Settings with which this data has windows, as a clause."""
    ordinals = data.frequency.ordinal(data.start)
    first = int(ordinals.min())
    steps = int((ordinals + np.diff(data.offsets)).max()) - first

    def fits(shorter: int, rows: list[int] | None) -> bool:
        cuts = first + np.cumsum([0, *(rows or [])])
        bounds = {split: (int(cuts[i]), int(cuts[i + 1])) for i, split in enumerate(SPLITS)} if rows else data.bounds
        changed = replace(data, bounds=bounds)
        return all(WindowIndex.of(changed, split, lookback=lookback, horizon=shorter).count for split in SPLITS)

    settings = settings_that_fit(steps, horizon, fits)
    return f", as in {settings}" if settings else ""
