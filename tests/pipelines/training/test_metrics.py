"""Scores, calibration and vocabulary against closed forms and scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from unroll.pipelines.data import vocabulary
from unroll.pipelines.data.texts.shards import class_weights
from unroll.pipelines.data.vocabulary import count_vocabulary
from unroll.pipelines.scoring.calibration import expected_calibration_error, fit_temperatures
from unroll.pipelines.scoring.metrics import classification_metrics


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def test_scores_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    labels = np.array([0, 1, 1, 1])
    scores = classification_metrics(labels, probabilities)
    assert scores["accuracy"] == 0.75
    assert scores["f1"] == pytest.approx(2 * 1.0 * (2 / 3) / (1.0 + 2 / 3))
    assert scores["log_loss"] == pytest.approx(-np.log([0.9, 0.4, 0.7, 0.8]).mean())
    assert scores["roc_auc"] == 1.0


def test_many_classes_are_averaged():
    rng = np.random.default_rng(0)
    probabilities, labels = softmax(rng.normal(size=(200, 4))), rng.integers(0, 4, 200)
    scores = classification_metrics(labels, probabilities)
    predicted = probabilities.argmax(axis=1)
    assert scores["f1"] == pytest.approx(sklearn_metrics.f1_score(labels, predicted, average="macro"))
    assert scores["roc_auc"] == pytest.approx(sklearn_metrics.roc_auc_score(labels, probabilities, multi_class="ovr"))


def test_a_class_that_is_absent_leaves_out_only_the_auc():
    scores = classification_metrics(np.array([0, 0]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    assert "roc_auc" not in scores
    assert scores["accuracy"] == 1.0


def test_calibration_error_by_hand():
    # two bins of confidence: .95 right in 1 of 2, .65 right in 2 of 2
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.65, 0.35], [0.65, 0.35]])
    labels = np.array([0, 1, 0, 0])
    assert expected_calibration_error(labels, probabilities) == pytest.approx(0.5 * 0.45 + 0.5 * 0.35)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(40_000, 3)) * 3
    labels = (softmax(logits / temperature).cumsum(axis=1) > rng.random((len(logits), 1))).argmax(axis=1)
    assert fit_temperatures([logits], labels) == pytest.approx([1 / temperature], rel=0.05)


def test_each_path_gets_its_own_temperature():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 40_000, 2)) * 2
    labels = (softmax(0.5 * first + 2 * second)[:, 1] > rng.random(len(first))).astype(int)
    assert fit_temperatures([first, second], labels) == pytest.approx([0.5, 2], rel=0.05)


def test_class_weights_balance_the_classes():
    weights = class_weights([900, 100])
    assert weights[0] * 900 == pytest.approx(weights[1] * 100)
    assert weights[0] * 900 + weights[1] * 100 == pytest.approx(1000)


def test_vocabulary_is_ranked_by_count_then_bytes():
    batches = [[b"b", b"a", b"c"], [b"a", b"d", b"b"]]
    assert count_vocabulary(batches, size=3) == [b"a", b"b", b"c"]
    assert count_vocabulary(batches, size=9, min_count=2) == [b"a", b"b"]


def test_vocabulary_keeps_frequent_words_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(vocabulary, "_MAX_DISTINCT", 1000)
    rare = iter(range(10**6))
    batches = ([b"often"] * 3 + [b"%d" % next(rare) for _ in range(300)] for _ in range(100))
    assert count_vocabulary(batches, size=1) == [b"often"]
