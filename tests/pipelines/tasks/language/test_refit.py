"""The validation split, learnt once all was chosen by it."""

import keras
import numpy as np
import tensorflow as tf

from unroll.models.autoregressive import Autoregressive, AutoregressiveConfig
from unroll.pipelines.tasks.language.corpus.data import Split
from unroll.pipelines.tasks.language.refit import learn_validation

FIRST, IDS = 4, 8  # of a character; ids that there are


def untrained() -> Autoregressive:
    keras.utils.set_random_seed(0)
    model = Autoregressive(AutoregressiveConfig([0] * FIRST + [1] * (IDS - FIRST), streams=4, units=8, embedding=8))
    for network in model.networks:  # all that may follow is as likely
        network.head.kernel.assign(tf.zeros_like(network.head.kernel))
    model.compile("adam")
    return model


def surprise(model: Autoregressive, ids: np.ndarray) -> float:
    logits, _ = model.steps(ids[None, :-1], model.initial_state(1))
    return float(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(ids[None, 1:], logits)))


def learn(model: Autoregressive, ids: np.ndarray, running: bool) -> str:
    ends = np.array([len(ids)]) if running else np.arange(50, len(ids) + 1, 50)
    return learn_validation(model, Split(ids, ends), chunk=20, running=running, clip_norm=1.0)


def test_what_its_first_half_tells_of_its_second_is_learnt() -> None:
    text = np.tile(np.array([4, 4, 4, 5], np.int32), 1000)
    model = untrained()
    before = surprise(model, text[:200])
    said = learn(model, text, running=True)
    assert said.startswith("The validation split is learnt, too, read ")
    assert "% less on its second." in said
    assert surprise(model, text[:200]) < 0.9 * before


def test_what_tells_nothing_leaves_the_weights_alone() -> None:
    noise = np.random.default_rng(0).integers(FIRST, IDS, 4000).astype(np.int32)
    noise[2000:] = IDS - 1  # and then something else
    noise[:2000] = np.where(noise[:2000] == IDS - 1, FIRST, noise[:2000])
    model = untrained()
    trained = model.get_weights()
    assert learn(model, noise, running=False) == (
        "The validation split is not learnt: its first half tells next to nothing of its second."
    )
    for before, after in zip(trained, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_of_too_little_nothing_is_said() -> None:
    model = untrained()
    trained = model.get_weights()
    assert learn(model, np.full(500, FIRST, np.int32), running=True) == ""
    np.testing.assert_array_equal(trained[0], model.get_weights()[0])
