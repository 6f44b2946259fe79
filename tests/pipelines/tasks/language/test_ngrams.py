"""The n-gram baseline is a distribution, and that of the textbook."""

import itertools

import numpy as np
import pytest

from unroll.pipelines.tasks.language.scores.ngrams import surprise

rng = np.random.default_rng(0)
TRAIN = np.concatenate([rng.integers(0, 5, 2000) // 2, rng.integers(0, 5, 500)])


def test_probabilities_of_all_that_may_follow_add_up_to_one() -> None:
    for context in ([], [0], [1, 2], [4, 4, 4], [2, 0, 1, 1, 2]):
        asked = [np.array([*context, symbol]) for symbol in range(5)]
        last = np.stack([nats[:, -1] for nats in surprise(TRAIN, asked, 5, order=4)])
        np.testing.assert_allclose(np.exp(-last).sum(axis=0), 1, err_msg=str(context))


def test_bigrams_are_kneser_and_neys() -> None:
    """Counted anew in plain Python: modified discounts, and how many symbols each symbol follows."""
    pairs, total = {}, {}
    for a, b in itertools.pairwise(TRAIN):
        pairs[a, b] = pairs.get((a, b), 0) + 1
        total[a] = total.get(a, 0) + 1
    follows = {b: sum((a, b) in pairs for a in range(5)) for b in range(5)}
    assert min(pairs.values()) > 4, "so that no count of counts is there, and the discount is a half"
    kinds = sum(follows.values())
    unigram = {b: (follows[b] - 0.5) / kinds + 0.5 * 5 / kinds / 5 for b in range(5)}
    for a in range(5):
        for b in range(5):
            seen = sum((a, c) in pairs for c in range(5))
            expected = (pairs[a, b] - 0.5) / total[a] + 0.5 * seen / total[a] * unigram[b]
            (nats,) = surprise(TRAIN, [np.array([a, b])], 5, order=2)
            assert np.exp(-nats[1, 1]) == pytest.approx(expected)


def test_longer_contexts_help_where_there_are_any() -> None:
    text = np.tile([0, 1, 2, 0, 2, 1, 1], 60)
    (nats,) = surprise(text[:300], [text[300:]], 3, order=4)
    means = nats[:, 10:].mean(axis=1)
    assert np.all(np.diff(means) < 0)
    assert means[-1] < 0.05


def test_what_was_never_seen_costs_something_finite() -> None:
    (nats,) = surprise(np.zeros(50, int), [np.array([0, 7, 3, 0])], 8, order=3)
    assert np.isfinite(nats).all()
    assert nats[-1, 1] > nats[-1, 3]
