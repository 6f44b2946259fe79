"""Decoding against brute force over every sequence of a small vocabulary."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from unroll.models.decoding import SpecialIds, beam_search, greedy, sample
from unroll.models.tokens import END, PADDING, SPECIAL_IDS, START, UNKNOWN

VOCABULARY = 8  # four of them can be said, and the end
LENGTH = 4
SAYABLE = [END, 4, 5, 6, 7]


class Toy:
    """Logits that depend on the newest id and, through the state, on all ids before it."""

    def __init__(self, rows: int, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.table = rng.normal(size=[rows, VOCABULARY, 5, VOCABULARY]).astype(np.float32) * 2
        self.rows = rows

    def asked(self, repeats: int = 1):
        """Step, state and memory of each row, so often."""

        def step(ids, state, memory):
            total = (state + ids) % 5
            rows = tf.range(tf.shape(ids)[0])
            return tf.gather_nd(memory["table"], tf.stack([rows, ids, total], axis=1)), total

        table = tf.constant(np.repeat(self.table, repeats, axis=0))
        return step, tf.zeros([self.rows * repeats], tf.int32), {"table": table, "nothing": None}

    def log_probabilities(self, row: int, previous: int, total: int) -> np.ndarray:
        logits = self.table[row, previous, total].astype(np.float64).copy()
        logits[[PADDING, UNKNOWN, START]] = -np.inf
        return logits - np.log(np.exp(logits).sum())

    def log_probability(self, row: int, ids: tuple[int, ...]) -> float:
        total, previous, answer = 0, START, 0.0
        for one in ids:
            total = (total + previous) % 5
            answer += self.log_probabilities(row, previous, total)[one]
            previous = one
        return answer

    def every_sequence(self) -> list[tuple[int, ...]]:
        """Those that end, and those that are cut at `LENGTH`."""
        sequences = []
        for length in range(1, LENGTH + 1):
            for body in itertools.product(SAYABLE[1:], repeat=length - 1):
                sequences.append((*body, END))
                if length == LENGTH:
                    sequences += [(*body, last) for last in SAYABLE[1:]]
        return sequences


def starts(rows) -> tf.Tensor:
    return tf.fill([rows, 1], START)


def unpadded(ids) -> tuple[int, ...]:
    return tuple(int(one) for one in ids if one != PADDING)


def test_greedy_takes_the_likeliest_next_id():
    toy = Toy(rows=6)
    decoded = greedy(*toy.asked(), starts(6), LENGTH, SPECIAL_IDS)
    for row in range(6):
        said, total, previous = [], 0, START
        while len(said) < LENGTH and previous != END:
            total = (total + previous) % 5
            previous = int(toy.log_probabilities(row, previous, total).argmax())
            said.append(previous)
        assert unpadded(decoded.ids[row].numpy()) == tuple(said)
        assert decoded.log_probability[row].numpy() == pytest.approx(toy.log_probability(row, tuple(said)), abs=1e-5)


@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_a_wide_beam_finds_the_best_of_all_sequences(penalty):
    toy, beams = Toy(rows=5, seed=1), 400  # more than there are prefixes
    decoded = beam_search(*toy.asked(), starts(5), LENGTH, SPECIAL_IDS, beams=beams, length_penalty=penalty)
    for row in range(5):
        scored = {s: toy.log_probability(row, s) / ((5 + len(s)) / 6) ** penalty for s in toy.every_sequence()}
        best = sorted(scored, key=scored.get, reverse=True)[:10]
        assert [unpadded(ids) for ids in decoded.ids[row, :10].numpy()] == best
        expected = [toy.log_probability(row, sequence) for sequence in best]
        np.testing.assert_allclose(decoded.log_probability[row, :10], expected, atol=1e-4)


def test_a_narrow_beam_is_what_numpy_finds_with_as_many_hypotheses():
    toy, beams = Toy(rows=8, seed=2), 3
    decoded = beam_search(*toy.asked(), starts(8), LENGTH, SPECIAL_IDS, beams=beams)
    for row in range(8):
        pool = {(): 0.0}
        for _ in range(LENGTH):
            grown = {s: p for s, p in pool.items() if s and s[-1] == END}
            for sequence, total in pool.items():
                if sequence not in grown:
                    grown |= {
                        (*sequence, one): total
                        + toy.log_probability(row, (*sequence, one))
                        - toy.log_probability(row, sequence)
                        for one in SAYABLE
                    }
            pool = dict(sorted(grown.items(), key=lambda item: -item[1])[:beams])
        assert [unpadded(ids) for ids in decoded.ids[row].numpy()] == list(pool)


def test_one_beam_is_greedy():
    toy = Toy(rows=20, seed=3)
    one = beam_search(*toy.asked(), starts(20), LENGTH, SPECIAL_IDS, beams=1)
    other = greedy(*toy.asked(), starts(20), LENGTH, SPECIAL_IDS)
    np.testing.assert_array_equal(one.ids[:, 0], other.ids)
    np.testing.assert_allclose(one.log_probability[:, 0], other.log_probability, atol=1e-5)


def test_each_row_may_have_a_width_and_a_length_of_its_own():
    toy, widths, lengths = Toy(12, seed=3), [1, 2, 3, 5] * 3, [4, 3, 2, 0, 1, 4] * 2
    own = {"widths": tf.constant(widths), "lengths": tf.constant(lengths)}
    many = beam_search(*toy.asked(), starts(12), LENGTH, SPECIAL_IDS, beams=5, **own)
    differs = 0
    for row, (width, length) in enumerate(zip(widths, lengths, strict=True)):
        one = Toy(1)
        one.table = toy.table[row : row + 1]
        alone = beam_search(*one.asked(), starts(1), length, SPECIAL_IDS, beams=width)
        assert unpadded(many.ids[row, 0]) == unpadded(alone.ids[0, 0])
        np.testing.assert_allclose(many.log_probability[row, 0], alone.log_probability[0, 0], atol=1e-5)
        wide = beam_search(*one.asked(), starts(1), LENGTH, SPECIAL_IDS, beams=5)
        differs += unpadded(many.ids[row, 0]) != unpadded(wide.ids[0, 0])
    assert differs > 3, "or the test tells nothing"


def test_it_stops_when_every_row_has_ended():
    calls = tf.Variable(0)

    def step(ids, state, memory):
        calls.assign_add(1)
        return tf.one_hot(tf.where(state >= 2, END, 4), VOCABULARY, on_value=9.0), state + 1

    decoded = greedy(step, tf.constant([0, 2]), (), starts(2), 50, SPECIAL_IDS)
    assert calls.numpy() == 3
    np.testing.assert_array_equal(decoded.ids, [[4, 4, END], [END, PADDING, PADDING]])


@tf.function
def _rows(step, state, memory, length, **settings):
    return sample(step, state, memory, starts(tf.shape(state)[0]), length, SPECIAL_IDS, **settings)


def draw(toy: Toy, repeats: int, *, temperature=1.0, top_k=0, top_p=1.0, length=1, first_seed=0):
    rows = toy.rows * repeats
    return _rows(
        *toy.asked(repeats),
        length,
        seed=tf.range(first_seed, first_seed + rows),
        temperature=tf.fill([rows], float(temperature)),
        top_k=tf.fill([rows], top_k),
        top_p=tf.fill([rows], float(top_p)),
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_samples_follow_the_tempered_distribution(temperature):
    toy, count = Toy(rows=1, seed=4), 3000
    first = draw(toy, count, temperature=temperature).ids[:, 0].numpy()
    expected = np.exp(toy.log_probabilities(0, START, START % 5) / temperature)
    expected /= expected.sum()
    share = np.bincount(first, minlength=VOCABULARY) / count
    assert np.abs(share - expected).max() < 4 * np.sqrt(0.25 / count)


def test_samples_keep_to_the_likeliest():
    toy = Toy(rows=1, seed=5)
    probabilities = np.exp(toy.log_probabilities(0, START, START % 5))
    order = np.argsort(-probabilities)
    assert set(draw(toy, 500, temperature=3.0, top_k=2).ids[:, 0].numpy()) == set(order[:2])
    nucleus = order[: np.searchsorted(np.cumsum(probabilities[order]), 0.8) + 1]
    assert set(draw(toy, 1000, top_p=0.8).ids[:, 0].numpy()) == set(nucleus)
    assert set(draw(toy, 100, top_p=0.0).ids[:, 0].numpy()) == {order[0]}


def test_a_sample_without_temperature_is_greedy():
    toy = Toy(rows=12, seed=6)
    cold = draw(toy, 1, temperature=0.0, length=LENGTH)
    other = greedy(*toy.asked(), starts(12), LENGTH, SPECIAL_IDS)
    np.testing.assert_array_equal(cold.ids, other.ids)
    np.testing.assert_allclose(cold.log_probability, other.log_probability, atol=1e-5)


def test_a_sample_depends_on_its_seed_and_not_on_its_neighbours():
    toy = Toy(rows=1, seed=7)
    many = draw(toy, 50, temperature=2.0, length=LENGTH)
    again = draw(toy, 10, temperature=2.0, length=LENGTH, first_seed=20)
    width = min(many.ids.shape[1], again.ids.shape[1])
    np.testing.assert_array_equal(many.ids[20:30, :width], again.ids[:, :width])
    assert len({unpadded(ids) for ids in many.ids.numpy()}) > 10
    for ids, log_probability in zip(many.ids.numpy(), many.log_probability.numpy(), strict=True):
        assert log_probability == pytest.approx(toy.log_probability(0, unpadded(ids)), abs=1e-4)


PROMPTS = [[START, 4, 5], [START, 6, PADDING], [START, PADDING, PADDING], [START, 7, 7]]


def said_so_far(toy: Toy, row: int, prompt: list[int], ids: tuple[int, ...]) -> float:
    """The log-probability of ids after a prompt."""
    known = tuple(one for one in prompt[1:] if one != PADDING)
    return toy.log_probability(row, known + ids) - toy.log_probability(row, known)


def test_prompts_of_any_length_are_continued_each_from_its_own_end():
    toy = Toy(rows=4, seed=8)
    decoded = greedy(*toy.asked(), tf.constant(PROMPTS), LENGTH, SPECIAL_IDS)
    for row, prompt in enumerate(PROMPTS):
        said: tuple[int, ...] = ()
        while len(said) < LENGTH and END not in said:
            said = max(((*said, one) for one in SAYABLE), key=lambda ids: said_so_far(toy, row, prompt, ids))
        assert unpadded(decoded.ids[row].numpy()) == said
        expected = said_so_far(toy, row, prompt, said)
        assert decoded.log_probability[row].numpy() == pytest.approx(expected, abs=1e-4)


def test_the_best_of_all_continuations_is_found_behind_a_prompt():
    toy, beams = Toy(rows=4, seed=9), 400
    decoded = beam_search(*toy.asked(), tf.constant(PROMPTS), LENGTH, SPECIAL_IDS, beams=beams)
    for row, prompt in enumerate(PROMPTS):
        best = max(toy.every_sequence(), key=lambda ids: said_so_far(toy, row, prompt, ids))
        assert unpadded(decoded.ids[row, 0].numpy()) == best


def test_a_prompt_is_the_same_in_a_graph_that_knows_no_lengths():
    toy = Toy(rows=4, seed=10)
    step, state, memory = toy.asked()

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    def traced(prompt):
        return greedy(step, state, memory, prompt, LENGTH, SPECIAL_IDS).ids

    for prompt in (tf.constant(PROMPTS), starts(4)):
        np.testing.assert_array_equal(traced(prompt), greedy(step, state, memory, prompt, LENGTH, SPECIAL_IDS).ids)


def test_a_prompt_that_has_ended_is_not_continued():
    toy = Toy(rows=2, seed=11)
    decoded = greedy(*toy.asked(), tf.constant([[START, END], [START, 4]]), LENGTH, SPECIAL_IDS)
    assert unpadded(decoded.ids[0].numpy()) == ()
    assert decoded.log_probability[0] == 0
    assert len(unpadded(decoded.ids[1].numpy())) > 0


def test_the_special_ids_are_those_that_are_given():
    def step(ids, state, memory):
        return tf.tile(tf.constant([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]), [tf.shape(ids)[0], 1]), state

    prompt = tf.constant([[1]])
    special = SpecialIds(end=3, padding=5, suppressed=(4,))
    np.testing.assert_array_equal(greedy(step, (), (), prompt, 4, special).ids, [[3]])
    special = SpecialIds(end=0, padding=4, suppressed=(5,))
    np.testing.assert_array_equal(greedy(step, (), (), prompt, 4, special).ids, [[3, 3, 3, 3]])
