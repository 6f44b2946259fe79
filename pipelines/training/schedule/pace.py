"""How far a training is in steps and in time, and what it may still spend."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

_VALIDATION = 0.2  # of the time that a budget leaves to validation, about
_FIRST_VALIDATION = 1 / 8  # of the budget, which it may take at most
_UNKNOWN_VALIDATION = 0.1  # of the budget, kept for one that was never timed
_OCCASIONS = 200  # validations of a training with a budget, at most
_TRACE = 0.5  # of the budget, which tracing the graph may take; what is over is added to the budget
_RECENT = 0.05  # weight of the newest step in the mean of recent ones


@dataclass
class Pace:
    """What is known of a training's speed and position; a checkpoint keeps it, so that a resumed run follows the plan.

    Args:
        steps: done.
        seconds: spent, validation included.
        share: of the training that is done, 0 to 1; the learning rate follows it.
        step_seconds: of a recent step, with all that lies between two; the first one, which traces the graph, apart.
        trace_seconds: of the first step.
        validation_seconds: of a validation without its trace; 0 before the first.
        validation_timed: whether it ended; else it is a guess, from a validation that was broken off.
        validated: `seconds` after the last validation.
        budget: seconds that may be spent; None: no limit.
    """

    steps: int = 0
    seconds: float = 0.0
    share: float = 0.0
    step_seconds: float = 0.0
    trace_seconds: float = 0.0
    validation_seconds: float = 0.0
    validation_timed: bool = False
    validated: float = 0.0
    budget: float | None = None


class Pacer:
    """Keeps time: moves the share that is done forward so that it is 1 when steps or seconds are used up.

    Of the time left, each step takes what it took: on a machine that slows down the share moves faster from step to
    step, and still arrives at 1 in time. The first step and the first validation of a process trace their graphs; their
    time is spent, but says nothing about speed, and moves nothing.

    Args:
        pace: where the training is; changed in place.
        steps: planned; None: as many as the budget allows.
        clock: seconds.
    """

    def __init__(self, pace: Pace, steps: int | None, clock: Callable[[], float] = time.monotonic):
        self.pace = pace
        self._steps = steps
        self._clock = clock
        self._mark = clock()
        self._resumed = pace.steps > 0
        self._stepped = self._validated = False

    def stepped(self) -> None:
        """A training step ended."""
        pace, seconds, traced = self.pace, self._lap(), not self._stepped
        self._stepped = True
        pace.steps += 1
        if traced and self._resumed and pace.step_seconds:
            seconds, traced = pace.step_seconds, False  # a resumed run pays for a second trace itself
        elif traced:
            pace.trace_seconds = seconds
            self._allow(seconds)
        else:
            newest = max(_RECENT, 1 / (pace.steps - 1)) if pace.step_seconds else 1.0
            pace.step_seconds += newest * (seconds - pace.step_seconds)
        self._spend(seconds, moves=not traced)
        if self._steps is not None:
            pace.share = max(pace.share, min(1.0, pace.steps / self._steps))

    def validated(self, seconds: float, complete: bool) -> None:
        """A validation ended.

        Args:
            seconds: that it takes without tracing.
            complete: whether it saw all records; else `seconds` is what it took so far, and it takes longer.
        """
        pace, spent, traced = self.pace, self._lap(), not self._validated
        self._validated = True
        if traced and self._resumed and pace.validation_seconds:
            spent, traced = pace.validation_seconds, False
        pace.validation_seconds, pace.validation_timed = (seconds if complete else 2 * seconds), complete
        self._spend(spent, moves=not traced)
        pace.validated = pace.seconds

    def paused(self) -> None:
        """Something else than a step or a validation ended; its time is spent."""
        self._spend(self._lap(), moves=False)

    def time_is_up(self) -> bool:
        """Whether another step would pass the budget, less what the last validation takes."""
        pace = self.pace
        return pace.budget is not None and pace.seconds + pace.step_seconds / 2 >= self._end()

    def worth_validating(self) -> bool:
        """Whether a validation now leaves most of the budget to training."""
        pace = self.pace
        if pace.budget is None or not pace.validation_seconds:
            return True
        pause = max(pace.validation_seconds * (1 / _VALIDATION - 1), pace.budget / _OCCASIONS)
        return min(pace.seconds - pace.validated, self._end() - pace.seconds) >= pause

    def longest_validation(self, last: bool) -> float:
        """Seconds after its first batch when a validation is to be broken off; only one that was never timed is."""
        pace = self.pace
        if pace.budget is None or pace.validation_timed:
            return math.inf
        left = pace.budget - pace.seconds
        return max(left, pace.budget * _UNKNOWN_VALIDATION / 2) if last else pace.budget * _FIRST_VALIDATION

    def steps_left(self) -> float:
        """Steps that are to be done yet, as far as it can be told; infinite before a step was timed."""
        pace = self.pace
        left = math.inf if self._steps is None else self._steps - pace.steps
        if pace.budget is not None and pace.step_seconds:
            left = min(left, (self._end() - pace.seconds) / pace.step_seconds)
        return max(0.0, left)

    def shorten(self, seconds: float) -> None:
        """Ends the training after so many seconds more, or when it would have ended if that is sooner."""
        pace = self.pace
        if pace.budget is not None:
            pace.budget = min(pace.budget, pace.seconds + seconds + pace.validation_seconds)

    def _allow(self, trace: float) -> None:
        """A budget that is spent before the second step would leave a model that has learnt nothing."""
        if self.pace.budget is not None:
            self.pace.budget += max(0.0, trace - _TRACE * self.pace.budget)

    def _end(self) -> float:
        """When the last step should have ended."""
        pace = self.pace
        assert pace.budget is not None
        return pace.budget - (pace.validation_seconds or pace.budget * _UNKNOWN_VALIDATION)

    def _spend(self, seconds: float, *, moves: bool) -> None:
        pace = self.pace
        if pace.budget is not None and moves:
            left = self._end() - pace.seconds
            pace.share += (1 - pace.share) * (min(1.0, seconds / left) if left > 0 else 1.0)
        pace.seconds += seconds

    def _lap(self) -> float:
        """Seconds since the last one."""
        now = self._clock()
        self._mark, seconds = now, now - self._mark
        return seconds
