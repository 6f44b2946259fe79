"""What is counted of windows, and what a model gains that learns from what it reads."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll.models.autoregressive import Autoregressive, AutoregressiveConfig
from unroll.models.text.lossless import REPLACEMENT
from unroll.models.tokens import RESERVED, START, UNKNOWN
from unroll.pipelines.tasks.language.corpus.corpus import Window
from unroll.pipelines.tasks.language.scores.dynamic import dynamic_scores
from unroll.pipelines.tasks.language.scores.evaluation import score_windows, window_batches
from unroll.pipelines.training.progress import Progress


def test_a_replacement_character_that_is_known_is_scored_and_what_is_unknown_is_not():
    units = ["a", REPLACEMENT, "bc", REPLACEMENT]
    ids, nats = [4, 5, 6, UNKNOWN], [1.0, 2.0, 4.0, 50.0]

    def predict(inputs, signature="serving_default"):
        rows = len(inputs["text"])
        if signature != "score":
            return {name: np.zeros(rows) for name in ("characters", "unknown", "surprise")}
        return {
            "ids": np.array([[*ids, 0]] * rows),
            "units": np.array([[*(unit.encode() for unit in units), b""]] * rows, object),
            "log_probabilities": -np.array([[*nats, 99.0]] * rows),
            "unknown": np.ones(rows, int),
        }

    records = window_batches([Window("".join(units), "", 0)] * 2)
    found = score_windows({"unigram": 9.0, "documents": None}, records, predict, Progress())
    assert found.metrics["nats_per_character"] == pytest.approx(7 / 4)
    assert found.metrics["perplexity"] == pytest.approx(np.exp(7 / 3)), "of a unit"
    assert found.metrics["unknown"] == pytest.approx(1 / 5)


def test_a_model_that_learns_from_what_it_reads_foresees_more_of_the_same_and_is_put_back():
    keras.utils.set_random_seed(0)
    characters = (0,) * RESERVED + (1,) * 3
    model = Autoregressive(AutoregressiveConfig(characters, cell="gru", units=6, embedding=4, members=2))
    before = [weight.copy() for weight in model.get_weights()]
    text = np.tile([4, 5, 6, 6], 40)
    read = np.concatenate([[START], text[:-1]])

    def segments(split):
        for begin in range(0, len(text), 10):
            here = slice(begin, begin + 10)
            inputs = {"ids": tf.constant(read[None, here], tf.int32), "begins": tf.constant([begin == 0])}
            yield inputs, tf.constant(text[None, here], tf.int32)

    found = dynamic_scores(model, segments, Progress())
    assert found["test/nats_per_character/dynamic"] < found["test/nats_per_character/fixed"] - 1e-3
    logits, _ = model.steps(tf.constant(read[None], tf.int32), model.initial_state(1))
    lost = tf.nn.sparse_softmax_cross_entropy_with_logits(text[None], logits)
    assert found["test/nats_per_character/fixed"] == pytest.approx(float(tf.reduce_mean(lost)), rel=1e-5)
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
