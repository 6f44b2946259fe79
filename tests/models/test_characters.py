"""Runs of characters are those of scikit-learn's `char_wb`, hashed, and cost no more than a text's start."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.feature_extraction.text import CountVectorizer

from unroll.models.text.characters import CharacterRuns, CharacterWeights, character_runs
from unroll.models.text.tokenizer import joined, tokenize


def counted(words: list[str]) -> list[dict[int, float]]:
    rows, buckets, counts = (one.numpy() for one in character_runs(tf.constant(words, tf.string)))
    return [dict(zip(buckets[rows == row], counts[rows == row], strict=True)) for row in range(len(words))]


def expected(words: str) -> list[int]:
    return sorted(CountVectorizer(analyzer="char_wb", ngram_range=(2, 4)).fit_transform([words]).data)


@pytest.mark.parametrize(
    ("tokens", "read"),
    [
        ("no no", "no no"),
        ("a b a", "a b a"),
        ("don't miss it !", "don't miss it !"),
        ("caf\u00e9 \u00fcber \U0001f600", "caf\u00e9 \u00fcber \U0001f600"),
        ("\ufffd", "\ufffd"),
        ("\u597d \u770b \u5417 ? yes", "\u597d\u770b\u5417 ? yes"),
        ("\u304b\u308f \u3044 \u3044 ok \u597d", "\u304b\u308f\u3044\u3044 ok \u597d"),
        ("\u0e40\u0e01\u0e48 \u0e07 \u0e21\u0e32 \u0e01", "\u0e40\u0e01\u0e48\u0e07\u0e21\u0e32\u0e01"),
        ("\ud55c\uad6d \ub9d0", "\ud55c\uad6d \ub9d0"),
    ],
)
def test_runs_stay_within_words_that_blanks_part(tokens: str, read: str) -> None:
    (found,) = counted([tokens])
    assert sorted(found.values()) == expected(read)


def test_the_same_run_is_the_same_in_every_text_and_whatever_is_asked_with_it() -> None:
    texts = ["untied", "tie", "a longer one , with much else", "untied"]
    found = counted(texts)
    assert found[0] == found[3] == counted(["untied"])[0]
    assert len(found[0].keys() & found[1].keys()) == 3, "ti, ie and tie"
    assert counted([]) == []


def test_a_long_text_costs_no_more_than_its_start() -> None:
    long = "so much to say " * 50_000
    assert counted([long]) == counted([long[:2000]])


def test_weights_of_runs_make_logits() -> None:
    (of_untied,) = counted(["untied"])
    buckets = np.array(sorted(of_untied), int)
    weights = CharacterWeights(buckets, np.full(len(buckets), 2.0), np.tile([1.0, -1.0], (len(buckets), 1)))
    path = CharacterRuns(weights)
    words = joined(tokenize(tf.constant(["Untied", "untied untied", "0 0", "!"]), 10))
    answers = path(words).numpy()
    np.testing.assert_allclose(answers[0], np.sqrt(len(buckets)) * np.array([1, -1]), rtol=1e-5)
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-5, err_msg="all of them twice")
    np.testing.assert_array_equal(answers[2:], 0)
    np.testing.assert_allclose(path(words[:1]), answers[:1], rtol=1e-6)
