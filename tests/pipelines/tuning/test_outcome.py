"""How much of a gain holds where nothing was chosen, beside SciPy's own interval."""

import numpy as np
import optuna
import pytest
from scipy import stats

from unroll.errors import UserError
from unroll.pipelines.tuning.outcome import Outcome, outcome
from unroll.pipelines.tuning.search import CHECKS, DEFAULTS


def searched(trials: list[tuple[float | None, list[float]]]) -> Outcome:
    """Of trials, first the defaults': the loss that chose (None: pruned), and those of the blocks that did not."""
    study = optuna.create_study()
    distributions = {"units": optuna.distributions.IntDistribution(1, 64)}
    for number, (loss, checks) in enumerate(trials):
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.PRUNED if loss is None else optuna.trial.TrialState.COMPLETE,
                value=loss,
                params={"units": number} if number else {},
                distributions=distributions if number else {},
                user_attrs={CHECKS: checks} | ({} if number else {DEFAULTS: True}),
            )
        )
    return outcome(study.trials)


def test_the_gain_is_the_mean_over_the_blocks_with_its_interval() -> None:
    default, best = np.array([1.0, 2.0, 1.5, 1.2]), np.array([0.9, 1.7, 1.4, 1.1])
    found = searched([(1.0, list(default)), (None, []), (0.8, list(best)), (0.9, [9.0] * 4)])
    gains = (default - best) / default.mean()
    expected = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert found.values == {"units": 2}
    assert found.trials == 4
    assert found.gain == pytest.approx((gains.mean(), expected.low, expected.high))
    assert found.holds
    assert "of the gain survives" in found.lines()[-1]


def test_a_gain_that_does_not_hold_leaves_the_defaults() -> None:
    found = searched([(1.0, [1.0, 1.0, 1.0]), (0.5, [1.1, 1.2, 0.9])])
    assert not found.holds
    assert "nothing of the gain holds, so the defaults are trained" in found.lines()[-1]


def test_a_gain_that_may_be_chance_is_called_so() -> None:
    found = searched([(1.0, [1.0, 1.0, 1.0]), (0.9, [0.7, 1.05, 0.9])])
    assert found.holds
    assert "that may be chance" in found.lines()[-1]


@pytest.mark.parametrize(
    ("default", "best", "holds"),
    [
        ([0.0, 0.0, 0.3], [0.0, 0.0, 0.1], True),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], False),
        ([0.0, 0.0, 0.0], [0.0, 0.1, 0.0], False),
        ([-1.0, -2.0, -3.0], [-2.0, -3.0, -4.0], True),
    ],
)
def test_blocks_without_a_loss_and_losses_below_zero_are_compared(default, best, holds) -> None:
    found = searched([(0.2, default), (0.1, best)])
    assert found.holds == holds
    assert all(np.isfinite(found.gain))
    assert found.lines()


def test_a_split_without_a_second_half_is_said() -> None:
    found = searched([(1.0, []), (0.9, [])])
    assert found.holds
    assert "too small" in found.lines()[-1]
    assert found.document()["gain_checked"] is None


def test_defaults_that_are_best_are_kept() -> None:
    assert "No better settings than the defaults in 2 trials" in searched([(1.0, [1.0]), (1.1, [1.0])]).lines()[0]


def test_no_complete_trial_is_told_with_what_to_do() -> None:
    with pytest.raises(UserError, match=r"before a first model was trained\. Give more --minutes"):
        searched([(None, [])])
