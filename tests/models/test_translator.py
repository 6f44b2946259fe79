"""Networks that translate: one step after the other as all at once, whatever the cell."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll.models.decoding import beam_search
from unroll.models.encoder_decoder.translator import Translator, TranslatorConfig
from unroll.models.layers.encoder import CELLS
from unroll.models.sequence_loss import token_losses
from unroll.models.tokens import SPECIAL_IDS, START

SOURCE = tf.constant([[5, 6, 7, 8, 3], [9, 3, 0, 0, 0]])
TARGET = tf.constant([[2, 6, 7, 9], [2, 4, 0, 0]])


def translator(**config) -> Translator:
    keras.utils.set_random_seed(1)
    return Translator(TranslatorConfig(**{"vocabulary": 12, "units": 8, "embedding": 6, "layers": 2, **config}))


FAST = ("lstm", "mingru", "transformer")


@pytest.mark.parametrize(
    "cell", [cell if cell in FAST else pytest.param(cell, marks=pytest.mark.slow) for cell in CELLS]
)
def test_steps_say_what_all_at_once_says(cell):
    model = translator(cell=cell, window=6)
    (at_once,) = model({"source": SOURCE, "target": TARGET})
    memory, state = model.start(SOURCE)
    for t in range(TARGET.shape[1]):
        logits, state = model.step(TARGET[:, t], state, memory)
        rows = slice(None) if t < 2 else slice(1)  # the second target is over
        np.testing.assert_allclose(logits[rows], at_once[rows, t], atol=1e-5)
    looks = model.attention(SOURCE, TARGET)
    np.testing.assert_allclose(tf.reduce_sum(looks, axis=2), 1, atol=1e-5)
    assert not np.any(looks[1, :, 2:]), "padding"


@pytest.mark.parametrize("cell", ["lstm", "transformer"])
def test_padding_changes_nothing(cell):
    model = translator(cell=cell)
    (alone,) = model({"source": SOURCE[1:, :2], "target": TARGET[1:, :2]})
    (beside,) = model({"source": SOURCE, "target": TARGET})
    np.testing.assert_allclose(beside[1, :2], alone[0], atol=1e-5)


def test_members_answer_by_the_mean_of_their_probabilities():
    model = translator(members=2)
    logits = model({"source": SOURCE, "target": TARGET})
    memory, state = model.start(SOURCE)
    said, _ = model.step(TARGET[:, 0], state, memory)
    np.testing.assert_allclose(
        tf.nn.softmax(said), np.mean([tf.nn.softmax(one[:, 0]) for one in logits], axis=0), atol=1e-6
    )
    assert not np.allclose(logits[0], logits[1])


def test_untied_weights_are_more():
    tied, untied = (sum(np.prod(one.shape) for one in translator(tied=one).trainable_weights) for one in (True, False))
    assert untied == tied + 12 * 6


def test_losses_and_their_gradients_are_those_of_the_formula():
    rng = np.random.default_rng(0)
    logits, targets = tf.constant(rng.normal(size=(3, 4, 7)), tf.float32), tf.constant(rng.integers(0, 7, (3, 4)))
    weights = tf.constant(rng.random((3, 4)), tf.float32)

    def plainly(logits):
        wanted = 0.9 * tf.one_hot(targets, 7) + 0.1 / 7
        return -tf.reduce_sum(wanted * tf.nn.log_softmax(logits), axis=-1)

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        found, nats = token_losses(logits, targets, 0.1)
        ours, theirs = tf.reduce_sum(weights * found), tf.reduce_sum(weights * plainly(logits))
    np.testing.assert_allclose(found, plainly(logits), rtol=1e-5)
    np.testing.assert_allclose(nats, -tf.gather(tf.nn.log_softmax(logits), targets, batch_dims=2), rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(ours, logits), tape.gradient(theirs, logits), atol=1e-6)


def test_hypotheses_that_look_at_all_of_the_source_are_favoured():
    """Of two words as likely as each other, one after which the other half of the source was looked at."""

    def step(ids, state, memory):
        looked = state + tf.one_hot(tf.where(ids == 5, 1, 0), 2) * tf.cast(ids != START, tf.float32)[:, None]
        over = tf.one_hot(tf.fill(tf.shape(ids), 3), 7, 9.0, 0.0)
        first = tf.constant([[0.0, 0, 0, 0, 2.1, 2.0, 0]])
        return tf.where((ids == START)[:, None], first, over), looked

    def favour(state):
        return 5 * state[:, 1]

    arguments = (step, tf.zeros([1, 2]), None, tf.constant([[START]]), 4, SPECIAL_IDS)
    assert beam_search(*arguments, beams=2).ids[0, 0, 0] == 4
    assert beam_search(*arguments, beams=2, bonus=favour).ids[0, 0, 0] == 5
