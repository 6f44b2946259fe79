"""Training windows on the local clock, as the served graph lays histories on it."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from unroll.models.series.clock_changes import ClockChanges
from unroll.pipelines.data.series.clock.graph_step import clock_changes
from unroll.pipelines.data.series.data import frequency_of

_CHANGE = 3600  # seconds, by which clocks are set back


def repeated_steps(changes: ClockChanges) -> int:
    """Steps of a history that the local clock shows twice where it is set back: a window holds so many more."""
    return _CHANGE // changes.seconds


def context_steps(dataset_info: Mapping[str, Any]) -> int:
    """Steps of history that the model and the seasonal naive forecast need, one hour more where clocks change."""
    changes = clock_changes(frequency_of(dataset_info))
    further = repeated_steps(changes) if changes is not None else 0
    return int(max(dataset_info["lookback"], dataset_info["season"])) + further


def on_local_clock(windows: tf.data.Dataset, changes: ClockChanges, lookback: int, horizon: int) -> tf.data.Dataset:
    """Windows with their history on the clock of its newest step; targets of another clock are missing.

    Args:
        windows: batches of `unroll.pipelines.data.series.windows`, of more history than the lookback.
        changes: lays steps on the local clock.
        lookback: L, steps that are left of the history.
        horizon: H, steps.
    """

    @tf.autograph.experimental.do_not_convert
    def aligned(window: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        history, timestamp = window["history"], window["timestamp"]
        changed, _ = changes.ahead(timestamp, horizon)
        newest = changes.aligned(history, timestamp, filled=True)[:, -lookback:]
        newest = tf.ensure_shape(newest, [None, lookback, history.shape[2]])
        target = tf.where(changed[..., None], float("nan"), window["target"])
        return {**window, "history": newest, "target": target}

    return windows.map(aligned, num_parallel_calls=tf.data.AUTOTUNE)
