"""Who is told from guessing, and who is not."""

import numpy as np
import pytest

from unroll.pipelines.scoring.chance import baseline_chance, classifier_chance, pairing_chance


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
