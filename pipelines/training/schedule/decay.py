"""A learning rate that follows the share of the training that is done, whatever that is measured by."""

import math
from typing import Any

import keras


def decayed(share: float, warmup: float) -> float:
    """The learning rate, as a share of its peak, where `share` of the training is done: a rise, then a cosine.

    Example:
        >>> [round(decayed(share, 0.1), 2) for share in (0, 0.05, 0.1, 0.55, 1)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if share < warmup:
        return share / warmup
    return (1 + math.cos(math.pi * min(1.0, (share - warmup) / (1 - warmup)))) / 2


@keras.saving.register_keras_serializable("unroll")
class Decay(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that is told how far the training is, between two steps, and counts no steps itself.

    Args:
        peak: learning rate after the warm-up.
        warmup: share of the training in which it rises from 0.
    """

    def __init__(self, peak: float, warmup: float = 0.0):
        super().__init__()
        self.peak, self.warmup = peak, warmup
        self._rate = keras.Variable(0.0, dtype="float32", trainable=False, name="learning_rate")
        self.at(0.0)

    def at(self, share: float) -> None:
        """Sets the learning rate to that at a share of the training, 0 to 1."""
        self._rate.assign(self.peak * decayed(share, self.warmup))

    @property
    def now(self) -> float:
        """The learning rate of the next step."""
        return float(self._rate.numpy())

    def __call__(self, step: Any) -> Any:
        return self._rate.value

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "warmup": self.warmup}
