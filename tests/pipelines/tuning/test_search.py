"""What is drawn next, in one process after another."""

import statistics
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from unroll.pipelines.tuning.near_best import NearBest
from unroll.pipelines.tuning.search import DEFAULTS, finished, open_study, revive, sampler

SPACE = {
    "rate": FloatDistribution(1e-4, 1e-1, log=True),
    "share": FloatDistribution(0.0, 0.6),
    "units": IntDistribution(8, 128, log=True),
    "cell": CategoricalDistribution(("gru", "lstm", "tcn")),
}
OWN = {"rate": 2e-3, "share": 0.3, "units": 32, "cell": "gru"}


def loss(values: dict) -> float:
    """Best where the rate is three times the defaults', there are more units, and nothing is dropped."""
    far = [values["rate"] / 6e-3, 1 + values["share"], values["units"] / 64, 1.2 if values["cell"] == "lstm" else 1.0]
    return sum(abs(one - 1) / max(one, 1.0) for one in far)


def best_of(sampler: optuna.samplers.BaseSampler, trials: int) -> float:
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial(OWN)
    for _ in range(trials):
        trial = study.ask(SPACE)
        study.tell(trial, loss(trial.params))
    return study.best_value


def test_ten_trials_near_the_best_find_more_than_random_ones() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    random = [best_of(optuna.samplers.RandomSampler(seed=seed), 10) for seed in range(30)]
    near = [best_of(sampler(seed), 10) for seed in range(30)]
    assert statistics.fmean(near) < statistics.fmean(random) - 0.1


def test_every_trial_differs_from_the_best_and_is_in_range() -> None:
    study = optuna.create_study(sampler=NearBest(0, 100, optuna.samplers.RandomSampler(seed=0)))
    study.enqueue_trial(OWN)
    study.tell(study.ask(SPACE), 0.0)
    for _ in range(50):
        trial = study.ask(SPACE)  # raises what is out of range
        assert trial.params != OWN
        assert all(SPACE[key]._contains(SPACE[key].to_internal_repr(value)) for key, value in trial.params.items())
        study.tell(trial, 1.0)


def test_values_that_the_defaults_do_not_have_are_drawn_from_their_whole_range() -> None:
    study = optuna.create_study(sampler=sampler(0))
    study.enqueue_trial({"units": 32}, user_attrs={DEFAULTS: True})
    first = study.ask()
    assert first.suggest_int("units", 8, 128) == 32
    study.tell(first, 1.0)
    second = study.ask()
    second.suggest_int("units", 8, 128)
    assert second.suggest_categorical("cell", ("rnn", "lstm")) in ("rnn", "lstm")


def test_a_process_that_goes_on_draws_what_was_not_tried() -> None:
    def drawn(number: int, done: int) -> float:
        study = optuna.create_study(sampler=sampler(0, number, done))
        study.enqueue_trial(OWN)
        study.tell(study.ask(SPACE), 1.0)
        return study.ask(SPACE).params["rate"], study.ask(SPACE).params["share"]

    assert len({drawn(number, done) for number in range(2) for done in range(4)}) == 8
    assert drawn(1, 2) == drawn(1, 2)


@pytest.mark.parametrize("begun", [True, False])
def test_a_trial_that_was_interrupted_twice_keeps_its_values(tmp_path: Path, begun: bool) -> None:
    study = open_study(tmp_path)
    assert revive(study, OWN) == 0
    for kills in range(2):
        trial = open_study(tmp_path).ask(SPACE if begun else None)
        assert trial.number == kills
        assert revive(open_study(tmp_path), OWN) == 1
    trial = open_study(tmp_path).ask(SPACE)
    assert trial.params == OWN
    assert trial.user_attrs[DEFAULTS]
    assert not finished(study)
