import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll.models.layers.encoder import CELLS
from unroll.models.text.classifier import TextClassifier, TextClassifierConfig, total, truncate_middle
from unroll.models.text.ngrams import NgramEvidence, log_count_ratios, ngram_features
from unroll.models.text.tokenizer import Tokenizer, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't miss it!", ["don't", "miss", "it", "!"]),
        ("<br /><br />Good.<b>Bold</b>", ["good", ".", "bold"]),
        ("3 < 4 and 5 > 2", ["3", "<", "4", "and", "5", ">", "2"]),
        ("'quoted' O\u2019Neill", ["'", "quoted", "'", "o'neill"]),
        ("fine\U0001f600\U0001f600", ["fine", "\U0001f600", "\U0001f600"]),
        ("好吃", ["好", "吃"]),
        ("\uff27\uff4f\uff4f\uff44\uff01", ["good", "!"]),
        ("cafe\u0301", ["café"]),
        ("o\ufb03ce co\u00adop zero\u200bwidth", ["office", "coop", "zerowidth"]),
        ("\u201cfine\u201d", ['"', "fine", '"']),
        ("a\u00a0b\u2003c\u2028d", ["a", "b", "c", "d"]),
        (
            "isn&#39;t &#x27;it&apos; R&amp;D &amp;nbsp;&hellip;",
            ["isn't", "'", "it", "'", "r", "&", "d", ".", ".", "."],
        ),
        ("&#150; &nosuch; &#0;", ["-", "&", "nosuch", ";", "\ufffd"]),
        ("\u0e40\u0e01\u0e48\u0e07\u0e21\u0e32\u0e01", ["\u0e40\u0e01\u0e48", "\u0e07", "\u0e21\u0e32", "\u0e01"]),
        (
            "\u1781\u17d2\u1789\u17bb\u17c6\u179f\u17d2\u179a\u17b6",
            ["\u1781\u17d2\u1789\u17bb\u17c6", "\u179f\u17d2\u179a\u17b6"],
        ),
        ("\u1000\u1031\u102c\u1004\u103a\u1038", ["\u1000\u1031\u102c", "\u1004\u103a\u1038"]),
        ("\u0e9a\u0ecd\u0ec8\u0e94\u0eb5", ["\u0e9a\u0ecd\u0ec8", "\u0e94\u0eb5"]),
        ("\u0f56\u0f7c\u0f51\u0f0b\u0f61\u0f72\u0f42\u0f0d", ["\u0f56\u0f7c\u0f51", "\u0f61\u0f72\u0f42", "\u0f0d"]),
        ("CAFÉ", ["café"]),
        ("nul\0inside", ["nul", "inside"]),
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


def test_long_sequences_are_truncated_in_the_middle():
    ids = tf.constant([[1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 0, 0], [1, 2, 0, 0, 0, 0, 0]])
    short, lengths = truncate_middle(ids, tf.constant([7, 5, 2]), 4)
    assert short.numpy().tolist() == [[1, 2, 6, 7], [1, 2, 4, 5], [1, 2, 0, 0]]
    assert lengths.numpy().tolist() == [4, 4, 2]


def test_ngram_features_number_words_and_pairs():
    features = ngram_features(tf.constant([[5, 7, 5, 7, 0]]), vocabulary=10, buckets=1000).numpy()[0]
    assert features[:5].tolist() == [5, 7, 5, 7, 0]
    pairs = features[5:]
    assert pairs[0] == pairs[2] != pairs[1], "(5, 7) twice, (7, 5) once"
    assert pairs[3] == 0, "a pair with padding is not a feature"
    assert ((pairs[:3] >= 10) & (pairs[:3] < 1010)).all()


def test_log_count_ratios_of_two_classes_are_wang_and_mannings():
    counts = np.array([[0, 0], [3, 1], [0, 5]], float)
    p, q = counts[:, 0] + 1, counts[:, 1] + 1
    expected = np.log((p / p.sum()) / (q / q.sum()))
    got = log_count_ratios(counts)
    np.testing.assert_allclose(got[1:, 0], expected[1:], rtol=1e-6)
    np.testing.assert_allclose(got[1:, 1], -expected[1:], rtol=1e-6)
    assert (got[0] == 0).all()


@pytest.mark.parametrize("cell", CELLS)
def test_a_text_is_answered_alike_alone_and_beside_a_longer_one(cell):
    keras.utils.set_random_seed(0)
    poolings = ["last", "mean", "max", "attention"]
    config = TextClassifierConfig(50, 3, cell, 8, members=2, bidirectional=True, pooling=poolings, ngram_buckets=64)
    model = TextClassifier(config)
    row = [4, 9, 3, 1, 7]
    model(tf.constant([row]))
    model.evidence.weights_.assign(np.random.default_rng(1).normal(size=model.evidence.weights_.shape))
    alone = total(model(tf.constant([row]))).numpy()[0]
    together = total(model(tf.constant([row + [0] * 30, list(range(2, 37))]))).numpy()[0]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_linear_path_is_its_sum():
    layer = NgramEvidence(vocabulary=10, buckets=8, classes=2)
    ids = tf.constant([[5, 7, 5, 0]])
    layer(ids, tf.constant([3]))
    rng = np.random.default_rng(0)
    weights, ratios, bias = rng.normal(size=(18, 2)), rng.normal(size=(18, 2)), rng.normal(size=2)
    layer.set_ratios(ratios)
    layer.weights_.assign(weights)
    layer.bias.assign(bias)
    features = [f for f in ngram_features(ids, 10, 8).numpy()[0] if f]
    assert len(features) == 5, "three words and two pairs"
    expected = sum(weights[f] * (np.abs(ratios[f]) + 0.3) / 2 for f in features) / np.sqrt(3 / 100) + bias
    np.testing.assert_allclose(layer(ids, tf.constant([3]))[0], expected, rtol=1e-4)


def test_members_are_averaged_and_each_has_its_own_loss():
    keras.utils.set_random_seed(0)
    model = TextClassifier(TextClassifierConfig(20, 2, "gru", 4, members=3, ngram_buckets=16, encoder_loss=0.5))
    ids, labels = tf.constant([[3, 4], [5, 6]]), tf.constant([0, 1])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    paths = model(ids)

    def cross_entropy(logits):
        logits = logits.numpy().astype(float)
        return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(2), labels.numpy()])

    expected = cross_entropy(total(paths)) + 0.5 * sum(cross_entropy(paths["encoders"][:, m]) for m in range(3))
    assert float(model.compute_loss(ids, labels, paths)) == pytest.approx(expected, rel=1e-5)
