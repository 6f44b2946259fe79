"""How n-grams are mixed in, and where they are not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll.models.autoregressive import Autoregressive, AutoregressiveConfig
from unroll.models.tokens import RESERVED
from unroll.pipelines.tasks.language.corpus.data import Split
from unroll.pipelines.tasks.language.mixing import learn_mixture, mixed

SYMBOLS = 12
CHARACTERS = [0] * RESERVED + [1] * SYMBOLS


def untrained() -> Autoregressive:
    keras.utils.set_random_seed(0)
    model = Autoregressive(AutoregressiveConfig(CHARACTERS, streams=4, units=4, embedding=4))
    (network,) = model.networks  # to which all that may follow is as likely
    network.head.kernel.assign(tf.zeros_like(network.head.kernel))
    network.head.bias.assign([-30.0] * RESERVED + [0.0] * SYMBOLS)
    return model


def split(ids: np.ndarray, running: bool = True) -> Split:
    return Split(ids.astype(np.int32), np.array([len(ids)]) if running else np.arange(20, len(ids) + 1, 20))


def regular(size: int, step: int = 2) -> np.ndarray:
    """A text in which each symbol but every fifth follows from the two before it."""
    rng, ids = np.random.default_rng(size), [0, 1]
    for place in range(size - 2):
        ids.append(int(rng.integers(SYMBOLS)) if place % 5 == 0 else (ids[-1] + step * ids[-2]) % SYMBOLS)
    return np.array(ids) + RESERVED


def nats(model, ids: np.ndarray) -> float:
    logits, _ = model.steps(ids[None, :-1], model.initial_state(1))
    return float(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(ids[None, 1:], logits)))


@pytest.mark.parametrize("running", [True, False], ids=["running", "documents"])
def test_n_grams_that_know_more_are_mixed_in(running):
    network, train, validation = untrained(), split(regular(6000), running), split(regular(3000), running)
    ngrams, said = learn_mixture(network, train, validation, chunk=50, running=running)
    assert said.startswith(f"N-grams of order {ngrams.order} are mixed in, ")
    assert 3 <= ngrams.order < 10, "no more than is of use"
    asked = regular(1000).astype(np.int32)
    model = mixed(network, ngrams, [train], running)
    gain = nats(network, asked) - nats(model, asked)
    assert gain > 1
    assert f"that gains {ngrams.gain:.3f} nats a character" in said
    assert ngrams.gain == pytest.approx(gain, rel=0.15)
    other = regular(2000, step=5).astype(np.int32)
    more = mixed(network, ngrams, [train, split(other[:1500], running)], running)
    assert nats(more, other[1500:]) < nats(model, other[1500:]) - 0.5, "what is counted later is known, too"


def test_n_grams_that_know_nothing_are_not_mixed_in():
    rng = np.random.default_rng(0)
    noise = [split(rng.integers(RESERVED, RESERVED + SYMBOLS, size)) for size in (6000, 3000)]
    ngrams, said = learn_mixture(untrained(), *noise, chunk=50, running=True)
    assert ngrams is None
    assert said == "N-grams are not mixed in: that would gain 0.000 nats a character."


def test_of_too_little_nothing_is_said():
    assert learn_mixture(untrained(), split(regular(6000)), split(regular(500)), chunk=50, running=True) == (None, "")
