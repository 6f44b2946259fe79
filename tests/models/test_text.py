import keras
import numpy as np
import pytest
import tensorflow as tf

from models.classifier import TextClassifier, both_ends
from models.ngrams import log_count_ratios, ngram_features
from models.text import Tokenizer, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't miss it!", ["don't", "miss", "it", "!"]),
        ("<br /><br />Good.<b>Bold</b>", ["good", ".", "bold"]),
        ("3 < 4 and 5 > 2", ["3", "<", "4", "and", "5", ">", "2"]),
        ("'quoted' O\u2019Neill", ["'", "quoted", "'", "o'neill"]),
        ("fine\U0001f600\U0001f600", ["fine", "\U0001f600", "\U0001f600"]),
        ("好吃", ["好", "吃"]),
        ("CAFÉ", ["café"]),
        ("", ["\ufffd"]),
        (" \n\t ", ["\ufffd"]),
        (b"ab\xff cd", ["ab\ufffd", "cd"]),
        ("a" * 70 + " b", ["a" * 70, "b"]),
    ],
)
def test_tokens(text, tokens):
    got = [token.decode() for token in tokenize(tf.constant([text]), 16).to_list()[0]]
    assert got == tokens


def test_a_megabyte_of_text_is_cut_to_the_first_tokens():
    assert tokenize(tf.constant(["word " * 200_000]), 1000).row_lengths().numpy().tolist() == [1000]


def test_ids_are_padded_and_unknown_words_are_one():
    ranks = tf.lookup.KeyValueTensorInitializer(["good", "bad"], tf.range(2, dtype=tf.int64))
    ids = Tokenizer(ranks, 8)(tf.constant(["good film", "bad", ""])).numpy()
    assert ids.tolist() == [[2, 1], [3, 0], [1, 0]]


def test_no_texts_give_no_rows():
    ranks = tf.lookup.KeyValueTensorInitializer(["good"], tf.range(1, dtype=tf.int64))
    assert Tokenizer(ranks, 8)(tf.constant([], tf.string)).shape[0] == 0


def test_both_ends_of_long_sequences():
    ids = tf.constant([[1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 0, 0], [1, 2, 0, 0, 0, 0, 0]])
    short, lengths = both_ends(ids, tf.constant([7, 5, 2]), 4)
    assert short.numpy().tolist() == [[1, 2, 6, 7], [1, 2, 4, 5], [1, 2, 0, 0]]
    assert lengths.numpy().tolist() == [4, 4, 2]


def test_ngram_features_number_words_and_pairs():
    features = ngram_features(tf.constant([[5, 7, 5, 7, 0]]), vocabulary=10, buckets=1000).numpy()[0]
    assert features[:5].tolist() == [5, 7, 5, 7, 0]
    pairs = features[5:]
    assert pairs[0] == pairs[2] != pairs[1], "(5, 7) twice, (7, 5) once"
    assert pairs[3] == 0, "a pair with padding is no feature"
    assert ((pairs[:3] >= 10) & (pairs[:3] < 1010)).all()


def test_log_count_ratios_of_two_classes_are_wang_and_mannings():
    counts = np.array([[0, 0], [3, 1], [0, 5]], float)
    p, q = counts[:, 0] + 1, counts[:, 1] + 1
    expected = np.log((p / p.sum()) / (q / q.sum()))
    got = log_count_ratios(counts)
    np.testing.assert_allclose(got[1:, 0], expected[1:], rtol=1e-6)
    np.testing.assert_allclose(got[1:, 1], -expected[1:], rtol=1e-6)
    assert (got[0] == 0).all()


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "tcn"])
def test_a_text_is_answered_alike_alone_and_beside_a_longer_one(cell):
    keras.utils.set_random_seed(0)
    model = TextClassifier(
        50, 3, cell, 8, bidirectional=True, pooling=["last", "mean", "max", "attention"], ngram_buckets=64
    )
    row = [4, 9, 3, 1, 7]
    model(tf.constant([row]))
    evidence = model.evidence
    evidence.ratios.assign(np.random.default_rng(0).normal(size=evidence.ratios.shape))
    evidence.weights_.assign(np.random.default_rng(1).normal(size=evidence.ratios.shape))
    alone = model(tf.constant([row]))["logits"].numpy()[0]
    together = model(tf.constant([row + [0] * 30, list(range(2, 37))]))["logits"].numpy()[0]
    np.testing.assert_allclose(together, alone, atol=1e-5)
