"""What models are set against: scores of honest baselines, and scores class by class."""

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from unroll.models.text.tokenizer import RESERVED
from unroll.pipelines.data.targets import LabelColumn, ValueColumn
from unroll.pipelines.scoring.classes import class_tables
from unroll.pipelines.scoring.lookalikes import averages, nearest
from unroll.pipelines.scoring.text_baseline import text_baselines
from unroll.pipelines.terminal import print_metrics, print_tables


def texts(count: int, seed: int, telling: float = 0.4, classes: int = 2) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Batches of ids, of which those of a class and those of none are drawn."""
    rng, batches = np.random.default_rng(seed), []
    for start in range(0, count, 50):
        labels = rng.integers(0, classes, min(50, count - start))
        words = rng.integers(classes * 5, classes * 5 + 20, (len(labels), 8))
        own = labels[:, None] * 5 + rng.integers(0, 5, words.shape)
        ids = RESERVED + np.where(rng.random(words.shape) < telling, own, words)
        ids[:, rng.integers(4, 8) :] = 0
        batches.append((tf.constant(ids, tf.int32), tf.constant(labels, tf.int32)))
    return batches


@pytest.mark.parametrize("classes", [2, 3])
def test_the_baselines_of_texts_learn_what_words_tell(classes: int) -> None:
    vocabulary = RESERVED + classes * 5 + 20
    held_out = {"validation": texts(200, 1, classes=classes), "test": texts(300, 2, classes=classes)}
    found = text_baselines(texts(600, 0, classes=classes), held_out, vocabulary, classes, 600)
    scores = found.metrics
    for name in ("tfidf", "majority"):
        assert np.mean(found.losses[name]) == pytest.approx(1 - scores[f"test/accuracy/{name}"])
    for split in held_out:
        assert scores[f"{split}/accuracy/tfidf"] > 0.85
        assert scores[f"{split}/log_loss/tfidf"] < scores[f"{split}/log_loss/majority"]
        assert scores[f"{split}/accuracy/majority"] < 1 / classes + 0.1
        assert scores[f"{split}/roc_auc/majority"] == 0.5


def test_a_class_that_the_fitted_texts_lack_and_words_that_never_come_again() -> None:
    ids = tf.reshape(tf.range(RESERVED, RESERVED + 40), [10, 4])
    train = [(ids, tf.constant([0, 1] * 5))]
    scores = text_baselines(train, {"test": [(ids, tf.constant([0, 1, 2, 2, 2] * 2))]}, RESERVED + 40, 3, 10).metrics
    assert "test/accuracy/tfidf" not in scores, "no word occurs twice"
    assert scores["test/accuracy/majority"] == 0.2
    train = [(tf.concat([ids, ids], axis=0), tf.constant([0, 1] * 10))]
    scores = text_baselines(train, {"test": [(ids, tf.constant([0, 1, 2, 2, 2] * 2))]}, RESERVED + 40, 3, 20).metrics
    assert np.isfinite(scores["test/log_loss/tfidf"])


def test_the_regression_of_texts_is_of_characters_where_these_tell_more() -> None:
    rng = np.random.default_rng(0)

    def batches(count: int) -> list[tuple[tf.Tensor, ...]]:
        labels = rng.integers(0, 2, count)
        stems = ["".join(rng.choice(list("bcdfgklmnprstz"), 6)) for _ in labels]
        words = [stem + ["ung", "ier"][label] for stem, label in zip(stems, labels, strict=True)]
        ids = tf.constant(RESERVED + rng.integers(0, 20, (count, 4)), tf.int32)
        return [(ids, tf.constant(labels, tf.int32), tf.constant(words))]

    train, held_out = batches(200), {"validation": batches(60), "test": batches(100)}
    scores = text_baselines(train, held_out, RESERVED + 20, 2, 200).metrics
    assert scores["test/accuracy/tfidf"] > 0.9
    without = {split: [batch[:2] for batch in one] for split, one in held_out.items()}
    scores = text_baselines(train, without, RESERVED + 20, 2, 200).metrics
    assert scores["test/accuracy/tfidf"] < 0.75, "without the tokens of all texts"


def test_for_test_the_regression_of_texts_learns_from_validation_too() -> None:
    ids = tf.reshape(tf.range(RESERVED, RESERVED + 40), [10, 4])
    train, validation = (
        [(tf.concat([ids[part]] * 4, 0), tf.constant([0, 1, 0, 1, 0] * 4))] for part in (slice(5), slice(5, 10))
    )
    unseen = {"validation": validation, "test": validation}
    scores = text_baselines(train, unseen, RESERVED + 40, 2, 20).metrics
    assert scores["validation/log_loss/tfidf"] == pytest.approx(np.log(2), rel=0.1), "words that train has not"
    assert scores["test/log_loss/tfidf"] < scores["validation/log_loss/tfidf"] - 0.1


def test_more_texts_than_are_fitted_are_thinned(monkeypatch) -> None:
    monkeypatch.setattr("unroll.pipelines.scoring.text_baseline.MAX_TEXTS", 100)
    seen = []

    def train():
        for batch in texts(400, 0):
            seen.append(len(batch[1]))
            yield batch

    scores = text_baselines(train(), {"test": texts(200, 1)}, RESERVED + 30, 2, 400).metrics
    assert sum(seen) == 400
    assert scores["test/accuracy/tfidf"] > 0.7, "fitted on a quarter, from all parts of the data"


def test_the_baselines_of_records_are_guesses_of_the_train_split() -> None:
    train = np.array([b"a"] * 30 + [b"b"] * 10, object)
    found = LabelColumn().baselines({"names": ["a", "b"]}, train, np.array([b"b", b"a"], object))
    assert found["accuracy/majority"] == 0.5
    assert found["log_loss/majority"] == pytest.approx(-np.log([0.25, 0.75]).mean())
    values = np.array([0, 0, 0, 100], np.float32)
    found = ValueColumn().baselines({"mean": 25.0, "std": 1.0}, values, np.array([0.0, 50.0]))
    assert (found["mae/mean"], found["mae/median"]) == (25.0, 25.0)
    assert found["rmse/median"] == pytest.approx(np.sqrt(1250))


def test_pictures_that_look_alike_are_found_among_many() -> None:
    rng = np.random.default_rng(0)
    known = rng.uniform(0, 255, [30, 16, 16, 3]).astype(np.uint8)
    order = rng.permutation(30)
    noisy = np.clip(known[order] + rng.normal(0, 5, [30, 16, 16, 3]), 0, 255).astype(np.uint8)
    rows, looks = averages([tf.constant(known[:20]), tf.constant(known[20:])])
    assert rows.tolist() == list(range(30))
    assert nearest(averages([tf.constant(noisy)])[1], looks).tolist() == order.tolist()
    rows, thinned = averages([tf.constant(known[:20]), tf.constant(known[20:])], stride=7)
    assert rows.tolist() == [0, 7, 14, 21, 28]
    assert np.array_equal(thinned, looks[::7])


def shown(classes: int) -> str:
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 40 * classes)])
    predicted = np.where(rng.random(len(labels)) < 0.9, labels, rng.integers(0, classes, len(labels)))
    predicted[labels == 7] = 8  # the worst class
    console = Console(width=100, record=True, file=None, quiet=False, stderr=True)
    print_tables(console, class_tables(labels, predicted, [f"c_{number}" for number in range(classes)]))
    return console.export_text()


def test_few_classes_are_shown_whole_and_many_from_the_worst() -> None:
    assert "Confusion matrix" in shown(9)
    lines = [line.split() for line in shown(30).splitlines()]
    classes = [line[0] for line in lines if line and line[0].startswith("c") and line[0] != "class"]
    assert classes[0] == "c_7", "none of it is found"
    heading = next(number for number, line in enumerate(lines) if line[-1:] == ["records"])
    assert lines[heading + 2][:2] == ["c_7", "c_8"], "the most frequent confusion"
    assert len(lines) < 40


def test_baselines_stand_beside_the_model_in_one_table() -> None:
    metrics = {"test/accuracy": 0.9, "test/accuracy/web": 0.8, "baseline/test/accuracy/tfidf": 0.7}
    console = Console(width=100, record=True, stderr=True)
    print_metrics(console, "m", metrics)
    assert [line.split() for line in console.export_text().splitlines() if "0.9" in line] == [
        ["accuracy", "0.9000", "0.8000", "0.7000"]
    ]
