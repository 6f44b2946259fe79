"""What a training is to last, from its configuration and its data; and how that is said."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unroll.pipelines.training.schedule.epochs import DefaultEpochs

if TYPE_CHECKING:
    from unroll.pipelines.task import Task
    from unroll.pipelines.training.schedule.pace import Pace

_TURN = 1 / 3
"""Of the plan without a better validation score, after which there will be none."""
_ASKED = 3  # validations worse than the best one, after which the model may be of no use; then twice as many, and so on
_CHANGED = 0.3  # share by which a number of epochs must change to be told again
_LONG_TRACE = 0.2  # of a budget, above which it is told
_DECAYED = 0.95  # of the plan; a learning rate beyond is hardly any


@dataclass(frozen=True)
class Plan:
    """The length of a training.

    Args:
        epochs: at most; None: as many as the budget allows.
        default: epochs that the data's size asks for.
        chosen: whether those are taken.
        minutes: the budget, as `train.minutes` has it.
        patience: epochs without a better validation score; None: a third of the plan.
        steps_per_epoch: within a few.
    """

    epochs: int | None
    default: DefaultEpochs
    chosen: bool
    minutes: float | None
    patience: int | None
    steps_per_epoch: int

    @classmethod
    def of(cls, task: "Task") -> "Plan":
        """What a task's configuration says, and its data where that says nothing."""
        config, default = task.config.train, task.default_epochs()
        chosen = config.epochs is None and config.minutes is None
        return cls(
            epochs=default.count if chosen else config.epochs,
            default=default,
            chosen=chosen,
            minutes=config.minutes,
            patience=config.patience,
            steps_per_epoch=max(1, task.steps_per_epoch()),
        )

    @property
    def budget(self) -> float | None:
        """Seconds."""
        return None if self.minutes is None else 60 * self.minutes

    @property
    def steps(self) -> int | None:
        """Of all epochs; None: as many as the budget allows."""
        return None if self.epochs is None else self.epochs * self.steps_per_epoch

    def turned(self, epochs: int, share: float) -> bool:
        """Whether validation scores have got worse for good.

        Args:
            epochs: since the best one.
            share: of the plan, since then.
        """
        if self.patience is not None:
            return epochs >= self.patience
        patience = self.default.patience if self.minutes is not None else None
        return share > _TURN + 1e-9 or (patience is not None and epochs >= patience)

    def patience_in_words(self) -> str:
        return f"{self.patience} epochs" if self.patience is not None else "a third of the plan"

    def begins(self) -> str:
        """How long the training is to last, in a sentence."""
        if self.chosen:
            return f"{self.default}: neither it nor train.minutes is set."
        epochs = "" if self.epochs is None else f"{self.epochs} epochs at most"
        budget = "" if self.minutes is None else f"{self.minutes:g} minutes at most, with validation"
        return f"Training for {', '.join(part for part in (epochs, budget) if part)}."

    def resumes(self, pace: "Pace", done: int) -> str:
        """Where a training goes on, in a sentence."""
        epochs = "" if self.epochs is None else f" of {self.epochs}"
        budget = "" if pace.budget is None else f", {pace.seconds:.0f} s of {pace.budget:.0f} s spent"
        return f"Resuming after epoch {done}{epochs}{budget}."

    def title(self, number: int, pace: "Pace", left: float) -> str:
        """Of an epoch's stage; its number counts from 0."""
        if self.minutes is None:
            return f"epoch {number + 1}/{self.epochs}"
        return f"epoch {number + 1}" + (f" of about {self._fits(pace, left):.0f}" if math.isfinite(left) else "")

    def asks(self, validations: int) -> bool:
        """Whether to ask then what the model adds to the answer: rarely, as that costs about two validations.

        Args:
            validations: since the best one.

        Example:
            >>> plan = Plan(None, DefaultEpochs(3), chosen=False, minutes=3, patience=None, steps_per_epoch=100)
            >>> [count for count in range(20) if plan.asks(count)]
            [3, 6, 12]
        """
        times, rest = divmod(validations, _ASKED)
        return self.minutes is not None and self.patience is None and times.bit_count() == 1 and not rest

    def ends(self, pace: "Pace", read: float, rate: float, *, useless: bool = False) -> str:
        """That the budget is used, in a clause.

        Args:
            pace: where the training is.
            read: epochs.
            rate: the learning rate, as a share of its peak.
            useless: whether the rest was given up as the model added nothing.
        """
        assert self.budget is not None
        spent = f"{pace.seconds:.0f} s of {self.budget:.0f} s are used, in {read:.3g} epochs"
        if pace.trace_seconds > _LONG_TRACE * self.budget:
            spent += f", {pace.trace_seconds:.0f} s of it to trace the graph"
        if self._shortened(pace):
            why = "the network got no share of the answer" if useless else "the validation score had turned"
            return f"{spent}, as {why}"
        if pace.share >= _DECAYED:
            return spent
        cut = f"cut short at {pace.share:.0%} of its plan, with the learning rate at {rate:.0%} of its peak"
        return f"{spent}; it was {cut}"

    def news(self, pace: "Pace", left: float, told: float | None) -> tuple[str, float | None]:
        """What was measured, in a sentence, where it differs from what was told; and what is told by now.

        Args:
            pace: where the training is.
            left: steps.
            told: epochs in all.
        """
        if self.minutes is None or not math.isfinite(left):
            return "", told
        fits, seconds = self._fits(pace, left), self.steps_per_epoch * pace.step_seconds
        if told is not None and abs(fits - told) <= _CHANGED * told:
            return "", told
        now = "" if told is None else f" now, not {_rounded(told)}"
        where = "are the whole of the shorter plan" if self._shortened(pace) else f"fit into {self.minutes:g} minutes"
        return f"About {_rounded(fits)} epochs of {_rounded(seconds)} s {where}{now}.", fits

    def _shortened(self, pace: "Pace") -> bool:
        return pace.budget is not None and self.budget is not None and pace.budget < self.budget

    def _fits(self, pace: "Pace", left: float) -> float:
        """Epochs in all."""
        return (pace.steps + left) / self.steps_per_epoch


def _rounded(number: float) -> str:
    """Two digits of small numbers, and all before the point of large ones."""
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"
