"""Windows that statistics forecast, too: as many as may be had in seconds, with all that came before them."""

from dataclasses import dataclass

import numpy as np

from unroll.pipelines.data.series.data import SeriesData
from unroll.pipelines.data.series.window_index import WindowIndex
from unroll.pipelines.tasks.forecasting.statistical.histories import LONGEST

STEPS = 150_000
"""Of all histories together, about, on which the cost depends: 4 s of one core."""
_FEWEST = 16  # windows, before fewer than all targets are looked at
_LOOKED_AT = 4096  # windows that tell how long histories are


@dataclass(frozen=True)
class SampledWindows:
    """Windows of a split, evenly chosen.

    Args:
        data: the series.
        index: all windows of the split.
        numbers: int `[chosen]`, of the chosen ones, rising.
        targets: that are looked at in each; of fewer than all, the next ones in each window.
    """

    data: SeriesData
    index: WindowIndex
    numbers: np.ndarray
    targets: int

    @classmethod
    def of(cls, data: SeriesData, split: str, *, lookback: int, horizon: int) -> "SampledWindows":
        """Chooses windows of a split."""
        index = WindowIndex.of(data, split, lookback=lookback, horizon=horizon)
        looked_at = _even(index.count, _LOOKED_AT)
        lengths = np.minimum(_origins(index, looked_at)[1], LONGEST)
        pairs = max(_FEWEST, int(STEPS / max(lengths.mean(), 1))) if len(lengths) else 0
        targets = min(data.targets, max(1, pairs // _FEWEST))
        return cls(data, index, _even(index.count, pairs // targets), targets)

    def before(self, first: int, count: int) -> np.ndarray:
        """Of some windows that follow one another, what came before each.

        Args:
            first: number of the first.
            count: of them.

        Returns:
            Object `[count]`: float32 `[time, targets]`, NaN where missing or not looked at; None of a window that was
            not chosen.
        """
        found = np.full(count, None, object)
        begin, end = np.searchsorted(self.numbers, [first, first + count])
        chosen = self.numbers[begin:end]
        for place, number, row, origin in zip(range(begin, end), chosen, *_origins(self.index, chosen), strict=True):
            offset, known = self.data.offsets[row], np.full(self.data.targets, np.nan, np.float32)
            known[(place * self.targets + np.arange(self.targets)) % self.data.targets] = 0
            part = self.data.values[offset + max(0, origin - LONGEST) : offset + origin, : self.data.targets]
            found[number - first] = part + known
        return found


def _even(count: int, most: int) -> np.ndarray:
    """Numbers below `count`, evenly spread, not more than `most`."""
    chosen = min(count, most)
    return ((np.arange(chosen) + 0.5) * count / max(chosen, 1)).astype(np.int64)


def _origins(index: WindowIndex, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Series of windows, and the step at which the target begins."""
    series = np.searchsorted(index.ends, numbers, side="right")
    begins = index.ends - np.diff(index.ends, prepend=0)
    return series, index.first[series] + numbers - begins[series]
