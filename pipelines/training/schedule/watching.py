"""What goes on between the batches of an epoch and of a validation."""

from collections.abc import Callable

import keras

from unroll.pipelines.training.progress import Stage
from unroll.pipelines.training.schedule.decay import Decay
from unroll.pipelines.training.schedule.pace import Pacer

_MEASURED = 20  # steps, after which their speed is told


class Pilot(keras.callbacks.Callback):
    """After each step, sets the learning rate of the next, and ends the epoch where there is no time for one."""

    def __init__(self, pacer: Pacer, decay: Decay, stage: Stage, measured: Callable[[], None]):
        super().__init__()
        self._pacer, self._decay, self._stage, self._measured = pacer, decay, stage, measured
        self.steps = 0
        self.cut = False

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        self._pacer.stepped()
        self._decay.at(self._pacer.pace.share)
        if self._pacer.time_is_up() and not self.model.stop_training:
            self.model.stop_training = self.cut = True
        self._stage.advance()
        if batch % 20 == 0 and logs:
            self._stage.say(" ".join(f"{name} {float(value):.4f}" for name, value in logs.items()))
        if self._pacer.pace.steps == _MEASURED:
            self._measured()


class Watch(keras.callbacks.Callback):
    """Times a validation, its first batch like the others, and breaks it off where it takes too long."""

    def __init__(self, clock: Callable[[], float], longest: float):
        super().__init__()
        self._clock, self._longest = clock, longest
        self._begun = self._first = clock()
        self.batches = 0
        self.cut = False

    def on_test_batch_end(self, batch, logs=None):
        now = self._clock()
        self.batches += 1
        if self.batches == 1:
            self._first = now
        if now - self._first > self._longest:
            self.model.stop_evaluating = self.cut = True

    @property
    def seconds(self) -> float:
        """That it takes when its graph has been traced."""
        whole, rest = self._clock() - self._begun, self._clock() - self._first
        return whole if self.batches < 2 else rest * self.batches / (self.batches - 1)
