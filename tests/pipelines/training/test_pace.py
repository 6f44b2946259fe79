"""The share of a training that is done, by a clock that the test moves."""

import dataclasses
import itertools

import pytest

from unroll.pipelines.training.schedule.epochs import DefaultEpochs
from unroll.pipelines.training.schedule.pace import Pace, Pacer
from unroll.pipelines.training.schedule.plan import Plan


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Machine:
    """Trains with a budget until the time is up; a validation after every `epoch` steps that is worth it."""

    def __init__(self, budget: float, *, trace: float = 5.0, validation: float = 2.0, epoch: int = 50):
        self.clock, self.pace = Clock(), Pace(budget=budget)
        self.trace, self.validation, self.epoch = trace, validation, epoch
        self.shares: list[float] = []

    def run(self, seconds, steps: int | None = None, most: float = float("inf")) -> "Machine":
        """`seconds(step)` is what a step takes."""
        pacer = Pacer(self.pace, steps, self.clock)
        extra = self.trace
        for number in itertools.count(self.pace.steps):
            self.clock.now += seconds(number) + extra
            extra = 0.0
            pacer.stepped()
            self.shares.append(self.pace.share)
            over = pacer.time_is_up() or self.pace.share >= 1 or self.pace.steps >= most
            if over or (self.pace.steps % self.epoch == 0 and pacer.worth_validating()):
                self.clock.now += self.validation
                pacer.validated(self.validation, complete=True)
            if over:
                return self
        raise AssertionError


@pytest.mark.parametrize("budget", [30, 300, 3000])
@pytest.mark.parametrize("step", [0.02, 0.5])
def test_the_plan_is_done_when_the_budget_is_used(budget, step):
    machine = Machine(budget).run(lambda number: step)
    assert machine.clock.now == pytest.approx(budget, abs=max(step, 0.05 * budget)), (
        "and what was kept for a validation"
    )
    assert machine.shares[-1] > 0.95
    assert machine.shares == sorted(machine.shares), "never backwards"


@pytest.mark.parametrize("factor", [4, 0.25])
def test_a_machine_that_changes_its_speed_gets_a_new_plan(factor):
    machine = Machine(300).run(lambda number: 0.1 * (factor if number > 1000 else 1))
    assert machine.clock.now == pytest.approx(300, abs=0.5)
    assert machine.shares[-1] > 0.98
    even = Machine(300).run(lambda number: 0.1)
    assert machine.shares[:1000] == even.shares[:1000], "nothing knew of it before"


def test_the_trace_of_the_graph_is_spent_but_does_not_count_as_a_steps_speed():
    slow, fast = (Machine(60, trace=trace).run(lambda number: 0.05, most=400) for trace in (20, 0))
    assert slow.pace.step_seconds == pytest.approx(fast.pace.step_seconds)
    assert slow.shares[0] == fast.shares[0] == 0
    assert slow.pace.seconds == pytest.approx(fast.pace.seconds + 20)


def test_a_trace_that_takes_longer_than_the_budget_leaves_half_of_it_to_training():
    machine = Machine(30, trace=60, validation=1).run(lambda number: 0.05)
    assert machine.clock.now == pytest.approx(60 + 15, abs=3)
    assert machine.shares[-1] > 0.95


def test_validation_takes_a_fifth_of_the_budget_at_most():
    machine = Machine(300, validation=5, epoch=10).run(lambda number: 0.1)
    trained = len(machine.shares) * 0.1 + machine.trace
    assert trained > 0.75 * 300
    assert machine.clock.now == pytest.approx(300, abs=1)


def test_epochs_that_are_named_end_the_plan_before_the_budget():
    machine = Machine(300).run(lambda number: 0.1, steps=200)
    assert machine.pace.steps == 200
    assert machine.shares[99] == pytest.approx(0.5, abs=0.05)


def test_a_resumed_plan_is_the_same_plan():
    whole, killed = Machine(100).run(lambda number: 0.1), Machine(100).run(lambda number: 0.1, most=400)
    resumed = Machine(100, trace=9.0)
    resumed.pace = killed.pace
    resumed.run(lambda number: 0.1)
    assert resumed.pace.steps == pytest.approx(whole.pace.steps, abs=30), "one more validation, at the end of the first"
    assert resumed.shares[-1] > 0.98


def test_without_a_budget_steps_alone_count():
    machine = Machine(100)
    machine.pace.budget = None
    machine.run(lambda number: number % 7, steps=40)
    assert machine.shares == pytest.approx([number / 40 for number in range(1, 41)])


def test_a_small_set_waits_for_fewer_epochs_than_a_third_of_its_budget() -> None:
    plan = Plan(None, DefaultEpochs(3, patience=20), chosen=False, minutes=3, patience=None, steps_per_epoch=128)
    assert not plan.turned(19, 0.1)
    assert plan.turned(20, 0.1)
    assert dataclasses.replace(plan, default=DefaultEpochs(3)).turned(20, 0.1) is False
    assert dataclasses.replace(plan, minutes=None, epochs=100).turned(25, 0.25) is False, (
        "epochs are what was asked for"
    )
    assert dataclasses.replace(plan, patience=50).turned(25, 0.5) is False


def test_what_is_told_of_the_time_is_in_plain_numbers_and_of_the_plan_that_holds() -> None:
    plan = Plan(None, DefaultEpochs(3), chosen=False, minutes=30, patience=None, steps_per_epoch=100)
    pace = Pace(steps=100, step_seconds=1.04, budget=1800.0)
    line, told = plan.news(pace, 1500.0, None)
    assert line == "About 16 epochs of 104 s fit into 30 minutes."
    pace.budget = 900.0  # it has turned
    assert plan.news(pace, 700.0, told)[0] == "About 8 epochs of 104 s are the whole of the shorter plan now, not 16."
