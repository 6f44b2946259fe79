"""Naive Bayes and a regression over words and pairs of words, in the graph: what a text says without its order."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from unroll.models.text.characters import CharacterRuns, CharacterWeights
from unroll.models.text.ngrams import ngram_features


@dataclass(frozen=True)
class BagOfWordsWeights:
    """Of a `BagOfWords`, features as `ngram_features` numbers them.

    Args:
        bayes: of each word or pair that a text holds, float32 `[features, classes]`.
        idf: inverse document frequencies, float32 `[features]`; 0 of what the regression leaves out.
        regression: of each word or pair in TF-IDF, float32 `[features, classes]`.
        bias: float32 `[classes]`.
        characters: of the regression's part over runs of characters; None without.
    """

    bayes: np.ndarray
    idf: np.ndarray
    regression: np.ndarray
    bias: np.ndarray
    characters: CharacterWeights | None = None


class BagOfWords(tf.Module):
    """logits = sum_f bayes_f / sqrt(n) + sum_f x_f regression_f / |x| + bias.

    The first sum is over the n different features of a text; x_f = (1 + log count_f) idf_f is its TF-IDF with
    sublinear counts. `CharacterRuns` come to that where they count.

    Args:
        weights: fitted ones.
        vocabulary: number of token ids.

    Call arguments:
        ids: int32 `[batch, time]`, padded on the right with 0; no row without a token.
        words: the tokens themselves, string `[batch]`, a blank between them; only where characters count.

    Returns:
        float32 `[batch, classes]`.
    """

    def __init__(self, weights: BagOfWordsWeights, vocabulary: int):
        super().__init__(name="bag_of_words")
        self.vocabulary = vocabulary
        self.buckets = len(weights.idf) - vocabulary
        self.classes = len(weights.bias)
        # folded, and side by side: a request pays for a single look-up of each of its tokens
        both = [weights.bayes, weights.regression * weights.idf[:, None], weights.idf[:, None] ** 2]
        self.table = tf.Variable(np.concatenate(both, axis=1).astype(np.float32), trainable=False)
        self.bias = tf.Variable(weights.bias.astype(np.float32), trainable=False)
        self.characters = None if weights.characters is None else CharacterRuns(weights.characters)

    def __call__(self, ids: tf.Tensor, words: tf.Tensor | None = None) -> tf.Tensor:
        features, place = _occurrences(ngram_features(ids, self.vocabulary, self.buckets))
        present = features > 0
        count = tf.cast(tf.where(present, place, 1), tf.float32)  # [B, F], the how manieth of its kind
        first = tf.cast(present & (place == 1), tf.float32)
        after, before = 1 + tf.math.log(count), 1 + tf.math.log(tf.maximum(count - 1, 1))
        before = tf.where(count > 1, before, 0.0)
        rows = tf.gather(self.table, features) * tf.cast(present, tf.float32)[:, :, None]  # [B, F, 2C + 1]
        bayes = tf.einsum("bf,bfc->bc", first, rows[:, :, : self.classes])
        regression = tf.einsum("bf,bfc->bc", after - before, rows[:, :, self.classes : -1])
        norm = tf.sqrt(tf.einsum("bf,bf->b", after**2 - before**2, rows[:, :, -1]))[:, None]  # [B, 1]
        distinct = tf.reduce_sum(first, axis=1, keepdims=True)  # [B, 1]
        logits = bayes / tf.sqrt(tf.maximum(distinct, 1)) + tf.math.divide_no_nan(regression, norm) + self.bias
        return logits if self.characters is None else logits + self.characters(words)


def _occurrences(features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Each row's features in order, and the how manieth of its kind each is, from 1; int32 `[batch, features]`."""
    ordered = tf.sort(features, axis=1)
    place = tf.range(tf.shape(ordered)[1])[None] - tf.searchsorted(ordered, ordered, side="left")
    return ordered, place + 1
