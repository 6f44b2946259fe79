"""Who is told from guessing, and who is not."""

import numpy as np
import pytest

from unroll.pipelines.scoring.chance import (
    baseline_chance,
    classifier_chance,
    error_chance,
    pairing_chance,
    probability_chance,
    ranking_chance,
)


@pytest.mark.parametrize(("right", "told"), [(50, True), (55, True), (60, False), (100, False)])
def test_a_classifier_of_a_hundred_records(right: int, told: bool) -> None:
    labels = np.array([0, 1] * 50)
    predicted = np.where(np.arange(100) < right, labels, 1 - labels)
    assert bool(classifier_chance(labels, predicted, ["neg", "pos"])) is told


def test_the_most_frequent_class_is_no_news() -> None:
    labels = np.array([1] * 95 + [0] * 5)
    said = classifier_chance(labels, np.ones(100, int), ["neg", "pos"])
    assert said.startswith("its accuracy of 0.950 is not above the 0.950 of always answering 'pos' (binomial test, p =")


def test_a_forecast_must_be_as_good_as_the_best_baseline() -> None:
    scores = {"mae": 1.0, "mae/last": 1.0, "mae/seasonal": 2.0}
    assert not baseline_chance(scores, "mae", ["last", "seasonal"])
    assert "1.1 is worse than the 1 of the baseline last" in baseline_chance({**scores, "mae": 1.1}, "mae", ["last"])
    assert not baseline_chance({"mae": 1e-4, "mae/last": 0.0}, "mae", ["last"], slack=0.01)


def test_captions_must_fit_their_own_pictures() -> None:
    rng = np.random.default_rng(0)
    own = rng.uniform(0.3, 0.9, 40)
    assert not pairing_chance(own, own - rng.uniform(0, 0.2, 40), "captions")
    assert pairing_chance(own, rng.permutation(own), "captions")
    assert pairing_chance(own, own, "captions"), "one caption for all"
    assert not pairing_chance(np.ones(4), np.zeros(4), "captions"), "all right"


@pytest.mark.parametrize("classes", [2, 4])
def test_an_interval_of_the_auc_that_includes_a_half_is_chance(classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 300)
    guesses = rng.dirichlet(np.ones(classes), 300)
    knowing = guesses + 0.7 * np.eye(classes)[labels]
    names = [f"class {number}" for number in range(classes)]
    assert "is not above 0.5" in str(ranking_chance(labels, guesses))
    assert "and its AUC of" in probability_chance(labels, guesses, names)
    assert probability_chance(labels, knowing / knowing.sum(axis=1, keepdims=True), names) == ""
    assert ranking_chance(labels, np.full((300, classes), 1 / classes)), "the same answer for all"
    assert ranking_chance(np.zeros(300, int), guesses) is None, "one class only: nothing to rank"
    assert "of always answering" in probability_chance(np.zeros(300, int), guesses, names)


def test_a_rare_class_that_is_ranked_well_is_no_guess() -> None:
    rng = np.random.default_rng(0)
    labels = (np.arange(400) < 12).astype(int)
    rare = np.clip(0.05 + 0.2 * labels + rng.normal(0, 0.03, 400), 0.001, 0.45)
    assert classifier_chance(labels, np.zeros(400, int), ["ok", "bad"]), "its accuracy is the majority's"
    assert probability_chance(labels, np.stack([1 - rare, rare], axis=1), ["ok", "bad"]) == ""
    upside_down = np.stack([rare, 1 - rare], axis=1)
    assert probability_chance(labels, upside_down, ["ok", "bad"]), "ranked the wrong way round"


def test_a_number_must_be_nearer_than_the_mean() -> None:
    rng = np.random.default_rng(0)
    actual = rng.normal(100, 10, 200)
    assert error_chance(actual, actual + rng.normal(0, 5, 200), 100.0) == ""
    assert "of always answering the mean" in error_chance(actual, rng.permutation(actual), 100.0)
    assert error_chance(actual, np.full(200, 100.0), 100.0), "the mean itself"
    assert error_chance(np.ones(20), np.ones(20), 3.0) == "", "all right"
