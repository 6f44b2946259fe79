"""The simple path of texts: the graph answers as the fit says, and neither part of it alone does as well everywhere."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from unroll.models.text.bag_of_words import BagOfWords
from unroll.pipelines.data.term_counts import TermCounts
from unroll.pipelines.scoring import bag_of_words
from unroll.pipelines.scoring.bag_of_words import CHOICES, Choice
from unroll.pipelines.scoring.mixing import mix

VOCABULARY, BUCKETS = 120, 256


def texts(count: int, seed: int, shares: list[float], telling: float = 0.3) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Batches of ids: words of a text's class among those of none, some of them several times."""
    rng, batches = np.random.default_rng(seed), []
    for start in range(0, count, 50):
        labels = rng.choice(len(shares), min(50, count - start), p=shares)
        words = rng.integers(2 + 10 * len(shares), VOCABULARY, (len(labels), 12))
        own = 2 + 10 * labels[:, None] + rng.integers(0, 10, words.shape)
        ids = np.where(rng.random(words.shape) < telling, own, words)
        ids[np.arange(12) >= rng.integers(1, 13, (len(labels), 1))] = 0
        batches.append((tf.constant(ids, tf.int32), tf.constant(labels, tf.int32)))
    return batches


def counted(*args) -> TermCounts:
    return TermCounts.of(texts(*args), VOCABULARY, BUCKETS)


def with_words(batches: list[tuple[tf.Tensor, tf.Tensor]], endings: list[str]) -> list[tuple[tf.Tensor, ...]]:
    """The same with a word beside them that no other text has, but for its class's ending."""
    rng, found = np.random.default_rng(1), []
    for ids, labels in batches:
        stems = ["".join(rng.choice(list("bcdfgklmnprstz"), 6)) for _ in labels]
        words = [stem + endings[label] for stem, label in zip(stems, labels.numpy(), strict=True)]
        found.append((ids, labels, tf.constant(words)))
    return found


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()


def test_the_graph_answers_as_the_fit_does() -> None:
    shares = [0.5, 0.3, 0.2]
    batches = texts(120, 0, shares)
    counts = TermCounts.of(batches, VOCABULARY, BUCKETS)
    for weights in bag_of_words.fit(counts, 3, [Choice(0.5, 3), Choice(1, 0.2)]):
        path = BagOfWords(weights, VOCABULARY)
        answers = np.concatenate([path(ids).numpy() for ids, _ in batches])
        np.testing.assert_allclose(answers, bag_of_words.logits(weights, counts), atol=1e-5)
        longer = tf.pad(batches[0][0], [[0, 0], [0, 7]])
        np.testing.assert_allclose(path(longer), path(batches[0][0]), atol=1e-6, err_msg="by padding")
        assert np.isfinite(path(tf.constant([[1, 119, 1]])).numpy()).all()


def test_characters_count_where_they_tell_more_than_words() -> None:
    batches = with_words(texts(300, 0, [0.5, 0.5], telling=0.05), ["ung", "ier"])
    train, held_out = (TermCounts.of(part, VOCABULARY, BUCKETS) for part in (batches[:4], batches[4:]))
    choice, answers, weights = bag_of_words.choose(train, held_out, 2)
    assert choice.characters
    assert "runs of two to four characters" in str(choice)
    assert log_loss(answers, held_out.labels) < 0.4
    path = BagOfWords(weights, VOCABULARY)
    of_graph = np.concatenate([path(ids, words) for ids, _, words in batches[4:]])
    np.testing.assert_allclose(of_graph, answers, atol=1e-5)


def test_without_characters_words_are_all_that_is_tried() -> None:
    batches = with_words(texts(100, 0, [0.5, 0.5]), ["ung", "ier"])
    counts = TermCounts.of([*batches, batches[0][:2]], VOCABULARY, BUCKETS)
    assert counts.characters is None
    assert not bag_of_words.choose(counts, TermCounts.of(batches, VOCABULARY, BUCKETS), 2)[0].characters


@pytest.mark.parametrize("shares", [[0.85, 0.15], [0.6, 0.25, 0.15]])
def test_what_is_chosen_holds_on_further_texts(shares: list[float]) -> None:
    further = counted(1500, 7, shares)
    train = counted(200, 3, shares)
    choice, left_out = bag_of_words.cross_validate(train, len(shares))
    by_choice = {
        str(one): log_loss(bag_of_words.logits(weights, further), further.labels)
        for one, weights in zip(CHOICES, bag_of_words.fit(train, len(shares), CHOICES), strict=True)
    }
    prior = log_loss(np.log(np.tile(shares, (len(further.labels), 1))), further.labels)
    assert by_choice[str(choice)] < min(by_choice.values()) + 0.05 * prior
    assert by_choice[str(choice)] < 0.9 * prior
    assert log_loss(left_out, train.labels) == pytest.approx(by_choice[str(choice)], abs=0.1), "of texts left out"


def test_naive_bayes_of_texts_that_are_left_out_themselves_is_not_biased_to_a_class() -> None:
    """Words that come once speak for the class of their text, and without it for the smaller one, if it is smoothed as
    the others are."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [180, 20])
    ids = 2 + rng.permutation(2400).reshape(200, 12)  # each word once
    counts = TermCounts.of([(tf.constant(ids, tf.int32), tf.constant(labels, tf.int32))], 2402, 16)
    matrix = counts.matrix.tolil()
    matrix[:, 2402:] = 0
    _, answers = bag_of_words._bayes(bag_of_words._present(matrix.tocsr()), labels, 2)
    assert np.abs(answers[:, 0] - answers[:, 1]).max() < 0.1


def test_a_class_that_only_some_folds_have_and_words_that_never_come_again() -> None:
    labels = np.array([0] * 20 + [1] * 19 + [2])
    ids = tf.reshape(tf.range(2, 122), [40, 3])
    counts = TermCounts.of([(ids, tf.constant(labels, tf.int32))], 122, BUCKETS)
    choice, left_out = bag_of_words.cross_validate(counts, 3)
    weights = next(bag_of_words.fit(counts, 3, [choice]))
    assert np.isfinite(left_out).all()
    assert np.isfinite(bag_of_words.logits(weights, counts)).all()


def test_a_network_counts_as_far_as_it_surely_helps() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    simple = np.eye(2)[labels] * 0.8 + rng.normal(size=(600, 2))
    better = np.eye(2)[labels] * 2 + rng.normal(size=(600, 2))
    noise = 5 * rng.normal(size=(600, 2))
    found = mix(simple, [better], labels, alone=0.8)
    assert found.share > 0.8
    assert found.network[0] > 0.8
    found = mix(simple, [noise], labels, alone=0.8)
    assert found.network[0] < 0.02
    assert found.simple == pytest.approx(0.8, abs=0.1)
    assert mix(simple[:10], [better[:10]], labels[:10], alone=0.8).network == [0], "too few to tell"


def test_how_much_of_a_network_counts_is_steady() -> None:
    """Draws of the same validation records, of a network that helps a little: none differs from the others by all."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, 600)
    simple = 1.2 * np.eye(3)[labels] + rng.normal(size=(600, 3))
    network = 0.6 * np.eye(3)[labels] + 0.6 * simple + rng.normal(size=(600, 3))
    found = []
    for _ in range(12):
        drawn = rng.integers(0, 600, 600)
        found.append(mix(simple[drawn], [network[drawn]], labels[drawn], alone=1.2).share)
    assert np.std(found) < 0.2
    assert np.mean(found) > 0.2
