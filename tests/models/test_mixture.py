"""N-grams in a graph, and a network that they are mixed with."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll.models.autoregressive import Autoregressive, AutoregressiveConfig
from unroll.models.text.kneser_ney import frequent, levels, within
from unroll.models.text.mixture import Gate, Mixture
from unroll.models.text.ngram_table import NgramTable
from unroll.models.tokens import END, PADDING, RESERVED, START
from unroll.pipelines.tasks.language.scores.ngrams import surprise

TEXT = """Shall I compare thee to a summer's day?
Thou art more lovely and more temperate:
Rough winds do shake the darling buds of May,
And summer's lease hath all too short a date;
Sometime too hot the eye of heaven shines,
And often is his gold complexion dimm'd;
And every fair from fair sometime declines,
By chance or nature's changing course untrimm'd;
But thy eternal summer shall not fade,
Nor lose possession of that fair thou ow'st;
Nor shall death brag thou wander'st in his shade,
When in eternal lines to time thou grow'st:
So long as men can breathe or eyes can see,
So long lives this, and this gives life to thee.
"""
KNOWN = sorted(set(TEXT))
IDS = np.array([RESERVED + KNOWN.index(character) for character in TEXT])
SIZE = RESERVED + len(KNOWN)
FLOOR = np.where(np.arange(SIZE) < RESERVED, 0, 1 / len(KNOWN))
READ = 500  # characters that are counted


def contexts(ids: np.ndarray, order: int) -> tf.Tensor:
    """What stands before each of some ids, the last one first."""
    padded = np.concatenate([np.full(order - 1, PADDING), ids])
    rows = [padded[order - 2 - back : order - 2 - back + len(ids)] for back in range(order - 1)]
    return tf.constant(np.stack(rows, axis=1), tf.int32)


@pytest.mark.parametrize("order", [2, 3, 5, 10])
def test_a_table_has_the_probabilities_of_the_n_grams_that_it_holds(order):
    table = NgramTable(list(levels(IDS[:READ], order)), FLOOR)
    asked = IDS[READ:]
    found = table(contexts(asked, order)).probabilities.numpy()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    (nats,) = surprise(IDS[:READ] - RESERVED, [asked - RESERVED], len(KNOWN), order)
    np.testing.assert_allclose(found[np.arange(len(asked)), asked], np.exp(-nats[-1]), atol=1e-5)


def test_trigrams_are_kneser_and_neys():
    """Counted anew in plain Python: of a document's begin how often, of others after how many symbols."""
    documents = [[4, 5, 4, 6], [5, 4, 6], [4, 5, 5]]
    ids = np.array([one for document in documents for one in (START, *document, END)])
    room = np.concatenate([[0, *range(2, len(document) + 3)] for document in documents])
    table = NgramTable(list(levels(ids, 3, np.minimum(room, 3))), np.array([0, 0, 0, 0.25, 0.25, 0.25, 0.25]))
    whole = [(START, *document, END) for document in documents]

    def grams(n: int) -> list[tuple[int, ...]]:
        return [one[i : i + n] for one in whole for i in range(len(one) - n + 1)]

    begins = [one[:2] for one in whole]
    counts = {
        3: {gram: grams(3).count(gram) for gram in grams(3)},
        2: {gram: sum(gram == longer[1:] for longer in set(grams(3))) + begins.count(gram) for gram in grams(2)},
        1: {gram: sum(gram == longer[1:] for longer in set(grams(2))) for gram in grams(1) if gram != (START,)},
    }

    def probability(context: tuple[int, ...], symbol: int) -> float:
        """All discounts are a half: of so little text nothing else can be told."""
        lower = 0.25 if not context else probability(context[1:], symbol)
        own = {gram: count for gram, count in counts[len(context) + 1].items() if gram[:-1] == context}
        total = sum(own.values())
        if not total:
            return lower
        return (max(own.get((*context, symbol), 0) - 0.5, 0) + 0.5 * len(own) * lower) / total

    for context in [(4, 5), (START, 4), (5, 4), (6, 6)]:
        found = table(tf.constant([context[::-1]])).probabilities[0].numpy()
        np.testing.assert_allclose(found[3:], [probability(context, symbol) for symbol in (3, 4, 5, 6)], atol=1e-6)
    begun = table(tf.constant([[START, PADDING]])).probabilities[0].numpy()
    np.testing.assert_allclose(begun[3:], [probability((START,), symbol) for symbol in (3, 4, 5, 6)], atol=1e-6)


def test_what_is_rare_is_left_out_until_the_rest_fits():
    counted = list(levels(IDS, 6))
    whole = NgramTable(counted, FLOOR)
    kept = within(counted, limit=whole.bytes // 3)
    table = NgramTable(kept, FLOOR)
    assert table.bytes < 0.4 * whole.bytes
    np.testing.assert_allclose(table(contexts(IDS, 6)).probabilities.numpy().sum(axis=1), 1, atol=1e-5)
    assert [len(level.grams) for level in kept][-2:] == [len(level.grams) for level in counted][-2:], "the short ones"
    assert frequent(counted[0], 2).counts.min() >= 2


def mixture(members: int = 1, order: int = 4) -> Mixture:
    keras.utils.set_random_seed(2)
    characters = [0] * RESERVED + [1] * len(KNOWN)
    network = Autoregressive(AutoregressiveConfig(characters, units=6, embedding=4, cell="gru", members=members))
    rng, features = np.random.default_rng(1), 6 + order - 1
    inner, outer = 0.1 * rng.normal(size=(features, 3)), rng.normal(size=(3, 2))
    gate = Gate(np.full(features, -5), np.full(features, -0.1), inner, np.zeros(3), outer, np.array([0.6, 0.5]))
    return Mixture(network, NgramTable(list(levels(IDS[:READ], order)), FLOOR), gate)


@pytest.mark.parametrize("members", [1, 2])
def test_step_by_step_is_all_at_once(members):
    model = mixture(members)
    ids = tf.constant(np.stack([IDS[READ : READ + 9], IDS[READ + 40 : READ + 49]]), tf.int32)
    together, last = model.steps(ids, model.initial_state(2))
    state, one_by_one = model.initial_state(2), []
    for t in range(9):
        logits, state = model.step(ids[:, t], state)
        one_by_one.append(logits)
    np.testing.assert_allclose(tf.stack(one_by_one, axis=1), together, atol=1e-4)
    first, between = model.steps(ids[:, :2], model.initial_state(2))  # fewer than a context has
    rest, after = model.steps(ids[:, 2:], between)
    np.testing.assert_allclose(tf.concat([first, rest], axis=1), together, atol=1e-4)
    for one, *others in zip(last, state, after, strict=True):
        for other in others:
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_stands_behind_a_row_is_not_read():
    model = mixture()
    ids = tf.constant([[*IDS[READ : READ + 5], 0, 0], [*IDS[: 7 - 2], 0, 0]], tf.int32)
    _, short = model.steps(ids[:1, :5], model.initial_state(1))
    _, padded = model.steps(ids, model.initial_state(2), tf.constant([5, 0]))
    for one, both, empty in zip(short, padded, model.initial_state(1), strict=True):
        np.testing.assert_allclose(both[:1], one, atol=1e-5)
        np.testing.assert_allclose(both[1:], empty, atol=1e-5)


def test_logarithms_are_weighed_by_how_sure_both_are():
    """The gate's formula anew, in NumPy."""
    model, order = mixture(), 4
    ids = IDS[READ : READ + 12]
    state = model.initial_state(1)
    network, _ = model.network.steps(tf.constant(ids[None], tf.int32), state[:-1])
    found, _ = model.steps(tf.constant(ids[None], tf.int32), state)
    read = tf.constant(np.stack([np.r_[ids[t::-1], [PADDING] * order][: order - 1] for t in range(12)]), tf.int32)
    ngrams = model.table(read)
    p = tf.nn.softmax(network[0]).numpy().astype(float)
    q = ngrams.probabilities.numpy().astype(float)
    log_p, log_q = np.log(p), np.log(np.maximum(q, 1e-9))
    told = [(p * log_p).sum(1), (p * log_q).sum(1), (q * log_p).sum(1), (q * log_q).sum(1), log_p.max(1), log_q.max(1)]
    told = np.concatenate([np.stack(told, axis=1), np.log(np.maximum(ngrams.rest, 1e-3))], axis=1).clip(-5, -0.1)
    rng = np.random.default_rng(1)
    inner, outer = 0.1 * rng.normal(size=(9, 3)), rng.normal(size=(3, 2))
    weights = np.tanh(told @ inner) @ outer + [0.6, 0.5]
    np.testing.assert_allclose(found[0], weights[:, :1] * log_p + weights[:, 1:] * log_q, atol=1e-3)
    assert np.ptp(weights, axis=0).min() > 0.02, "the weights are not the same everywhere"
