"""Windows of a split as the forecaster reads them: on the local clock, z-scored, with the features of the calendar."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from unroll.models.series.blend import Expert
from unroll.models.series.raw_forecaster import WindowFeatures
from unroll.pipelines.data.series.clock.local_windows import on_local_clock, repeated_steps
from unroll.pipelines.data.series.data import SeriesData
from unroll.pipelines.data.series.window_index import WindowIndex
from unroll.pipelines.data.series.windows import windows

Window = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Feed:
    """Cuts windows out of prepared series for one forecaster.

    Args:
        data: the series.
        features: what the forecaster reads of a window.
        base: from those to the simple forecast that it adds to; None where there is none.
    """

    data: SeriesData
    features: WindowFeatures
    base: Expert | None = None

    def count(self, split: str, stride: int = 1) -> int:
        """Windows of a split."""
        lookback, horizon = self.features.lookback, self.features.horizon
        return WindowIndex.of(self.data, split, lookback=lookback, horizon=horizon, stride=stride).count

    def stride(self, split: str, most: int) -> int:
        """Steps between windows, so that there are not many more than `most`."""
        return max(1, -(-self.count(split) // most))

    def cut(self, split: str, batch_size: int, **options: Any) -> tf.data.Dataset:
        """Batches of windows in absolute steps and raw units; `options` are those of `windows`."""
        lookback, horizon = self.features.lookback, self.features.horizon
        return windows(self.data, split, lookback=lookback, horizon=horizon, batch_size=batch_size, **options)

    def aligned(self, split: str, batch_size: int, **options: Any) -> tf.data.Dataset:
        """The same windows on the local clock."""
        changes, lookback = self.features.changes, self.features.lookback
        if changes is None:
            return self.cut(split, batch_size, **options)
        batches = self.cut(split, batch_size, history=lookback + repeated_steps(changes), **options)
        return on_local_clock(batches, changes, lookback, self.features.horizon)

    def across(self, before: str, after: str) -> "Feed":
        """A feed whose split `across` holds the windows that reach from one split into the next: neither has them."""
        (begin, edge), (_, end), most = self.data.bounds[before], self.data.bounds[after], self.features.horizon - 1
        bounds = {"across": (max(edge - most, begin), min(edge + most, end))}
        return replace(self, data=replace(self.data, bounds=bounds))

    def steps(self, window: Window) -> np.ndarray:
        """The place in time of each window of a batch, in steps of any beginning: int64 [B]."""
        return self.data.frequency.ordinal(window["timestamp"].numpy())

    @tf.autograph.experimental.do_not_convert
    def pair(self, window: Window) -> tuple[Window, tf.Tensor]:
        """What the model reads of an aligned batch and what it should forecast, z-scored by series."""
        mean, std = window["mean"][:, None], window["std"][:, None]  # [B, 1, C]
        history, targets = window["history"], self.features.targets
        scaled = tf.concat([(history[:, :, :targets] - mean) / std, history[:, :, targets:]], axis=2)  # [B, L, D]
        inputs = self.features(scaled, window["timestamp"], window["future"], window["static"])
        inputs |= {"origin": mean, "unit": std}  # for logarithms of what was in raw units
        if self.base is not None:
            inputs["base"] = self.base(inputs)
        return inputs, (window["target"] - mean) / std
