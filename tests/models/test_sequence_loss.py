"""The sequence loss against closed forms and a loop in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from unroll.models.sequence_loss import sequence_cross_entropy

rng = np.random.default_rng(0)
MASK = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_it_is_the_mean_over_the_tokens_that_count(smoothing):
    logits, targets = rng.normal(size=(3, 4, 7)).astype(np.float32) * 3, rng.integers(0, 7, (3, 4))
    losses = []
    for row, time in zip(*np.nonzero(MASK), strict=True):
        log_p = logits[row, time] - np.log(np.exp(logits[row, time].astype(float)).sum())
        wanted = np.full(7, smoothing / 7)
        wanted[targets[row, time]] += 1 - smoothing
        losses.append(-(wanted * log_p).sum())
    got = sequence_cross_entropy(tf.constant(logits), tf.constant(targets), tf.constant(MASK), smoothing)
    assert float(got) == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_even_logits_cost_the_logarithm_of_the_vocabulary(smoothing):
    got = sequence_cross_entropy(tf.zeros([2, 5, 11]), tf.ones([2, 5], tf.int32), tf.ones([2, 5], tf.bool), smoothing)
    assert float(got) == pytest.approx(np.log(11), rel=1e-6)


def test_a_smoothed_loss_is_least_at_the_smoothed_distribution():
    smoothing, targets, mask = 0.2, tf.constant([[2]]), tf.constant([[True]])
    best = np.full(5, smoothing / 5)
    best[2] += 1 - smoothing
    entropy = -(best * np.log(best)).sum()
    logits = tf.Variable(np.log(best)[None, None].astype(np.float32))
    with tf.GradientTape() as tape:
        loss = sequence_cross_entropy(logits, targets, mask, smoothing)
    assert float(loss) == pytest.approx(entropy, rel=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, logits), np.zeros([1, 1, 5]), atol=1e-6)


def test_padding_has_no_gradient():
    logits = tf.Variable(rng.normal(size=(3, 4, 7)).astype(np.float32))
    with tf.GradientTape() as tape:
        loss = sequence_cross_entropy(logits, tf.zeros([3, 4], tf.int32), tf.constant(MASK), 0.1)
    gradient = tf.convert_to_tensor(tape.gradient(loss, logits)).numpy()
    assert (np.abs(gradient).sum(axis=-1) > 0).tolist() == MASK.tolist()


def test_nothing_to_say_costs_nothing():
    assert float(sequence_cross_entropy(tf.ones([1, 2, 3]), tf.zeros([1, 2], tf.int32), tf.zeros([1, 2], tf.bool))) == 0


def test_half_precision_is_summed_in_single():
    logits = tf.constant(rng.normal(size=(4, 500, 9)), tf.float16)
    targets, mask = tf.zeros([4, 500], tf.int32), tf.ones([4, 500], tf.bool)
    got = sequence_cross_entropy(logits, targets, mask)
    assert got.dtype == tf.float32
    assert float(got) == pytest.approx(float(sequence_cross_entropy(tf.cast(logits, tf.float32), targets, mask)))
