"""What is written follows the model: the likeliest unit, or draws in proportion, however it is asked for."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import chisquare

from unroll.models.decoding import SpecialIds
from unroll.models.generation import Choice, uniform, write

SIZE, END = 7, 3
SPECIAL = SpecialIds(END, suppressed=(1, 2))
table = tf.constant(np.random.default_rng(0).normal(size=(SIZE, SIZE)), tf.float32)


def step(ids, state):
    """A Markov chain that counts its steps in its state, and seldom ends."""
    return tf.gather(table, ids) - 4 * tf.one_hot(END, SIZE), [state[0] + 1]


def choice(rows: int, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, seed: int = 0) -> Choice:
    return Choice(
        tf.fill([rows], temperature),
        tf.fill([rows], top_k),
        tf.fill([rows], top_p),
        seed + tf.range(rows, dtype=tf.int64),
    )


def written(rows: int, length: int, chosen: Choice, state=None, ids=None, **further):
    state = [tf.zeros([rows])] if state is None else state
    ids = tf.fill([rows], 4) if ids is None else ids
    return write(step, ids, state, tf.fill([rows], length), chosen, SPECIAL, **further)


def expected(temperature: float, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
    """Of what follows 4."""
    logits = table[4].numpy() - 4 * np.eye(SIZE)[END]
    logits[[0, 1, 2]] = -np.inf
    p = np.exp(logits / temperature - np.max(logits))
    p /= p.sum()
    ranked = np.argsort(-p)
    kept = ranked[np.cumsum(p[ranked]) - p[ranked] < top_p][: top_k or None]
    return np.where(np.isin(np.arange(SIZE), kept), p, 0) / p[kept].sum()


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.5}, {"top_k": 2}, {"temperature": 1.5, "top_p": 0.7}])
def test_draws_are_in_proportion_to_the_softmax(settings):
    drawn = written(20_000, 1, choice(20_000, **settings)).ids.numpy()[:, 0]
    share = expected(**{"temperature": 1.0, **settings})
    counts = np.bincount(drawn, minlength=SIZE)
    assert not counts[share == 0].any()
    assert chisquare(counts[share > 0], 20_000 * share[share > 0]).pvalue > 1e-3


def test_the_likeliest_is_that_of_a_loop_over_steps():
    answer, ids, total = written(1, 20, choice(1, temperature=0.0)), 4, 0.0
    for got in answer.ids.numpy()[0]:
        logits = np.where(np.isin(np.arange(SIZE), [0, 1, 2]), -np.inf, step(tf.constant([ids]), [0.0])[0][0])
        ids = int(np.argmax(logits))
        total += logits[ids] - np.log(np.sum(np.exp(logits)))
        assert got == ids
    assert float(answer.log_probability[0]) == pytest.approx(total, rel=1e-5)
    assert float(answer.state[0][0]) == 20


def test_a_text_that_is_written_in_parts_is_that_which_is_written_at_once():
    whole = written(3, 30, choice(3, temperature=1.2))
    first = written(3, 11, choice(3, temperature=1.2))
    rest = written(3, 19, choice(3, temperature=1.2), first.state, first.last, position=tf.constant([11] * 3, tf.int64))
    joined = np.concatenate([first.ids, rest.ids], axis=1)
    for row in range(3):
        over = np.flatnonzero(whole.ids[row] == END)
        until = over[0] + 1 if len(over) else 30
        np.testing.assert_array_equal(joined[row, :until], whole.ids[row, :until])


def test_a_row_depends_on_itself_alone():
    many = written(5, 12, choice(5, seed=3))
    for row in range(5):
        alone = written(1, 12, choice(1, seed=3 + row)).ids[0].numpy()
        np.testing.assert_array_equal(many.ids[row, : len(alone)], alone)


def test_rows_end_where_they_are_to():
    lengths = tf.constant([0, 2, 9])
    answer = write(step, tf.fill([3], 4), [tf.zeros([3])], lengths, choice(3, temperature=0.0), SPECIAL)
    assert np.count_nonzero(answer.ids, axis=1).tolist() == [0, 2, 9]
    assert answer.state[0].numpy().tolist() == [0, 2, 9], "a state is as its row left it"
    assert not answer.ended.numpy().any()
    none = write(step, tf.fill([3], 4), [tf.zeros([3])], 0 * lengths, choice(3), SPECIAL)
    assert none.ids.shape == (3, 0)


def test_stops_are_found_across_units_and_nowhere_else():
    pieces = tf.constant(["", "", "", "", "a", "é", "bc"])

    def cycle(ids, state):
        return 50 * tf.one_hot(4 + (ids - 3) % 3, SIZE), state  # a é bc a é bc

    def stopped(*stops):
        texts = tf.constant([stops])
        cold = choice(1, temperature=0.0)
        answer = write(cycle, tf.constant([6]), (), tf.constant([7]), cold, SPECIAL, stops=texts, pieces=pieces)
        return np.count_nonzero(answer.ids), int(answer.stopped[0]), bool(answer.ended[0])

    assert stopped("") == (7, 0, False)
    assert stopped("x", "") == (7, 0, False)
    assert stopped("éb") == (7, 0, False), "it ends within a unit"
    assert stopped("c") == (3, 1, True)
    assert stopped("ébc", "c") == (3, 4, True), "the longest of those that end there, in bytes"
    assert stopped("caé") == (5, 4, True)


def test_numbers_are_even_and_unlike_from_seed_to_seed_and_place_to_place():
    many = uniform(tf.range(2000, dtype=tf.int64), 0, 50).numpy()
    assert many.min() >= 0
    assert many.max() < 1
    counts = np.histogram(many, 20, (0, 1))[0]
    assert chisquare(counts).pvalue > 1e-3
    assert abs(np.corrcoef(many[:-1].ravel(), many[1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(many[:, :-1].ravel(), many[:, 1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(many[1:, :-1].ravel(), many[:-1, 1:].ravel())[0, 1]) < 0.02
