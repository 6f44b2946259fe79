"""Evidence from tokens and pairs of tokens: naive Bayes ratios, weighed by training.

Wang & Manning 2012, "Baselines and Bigrams", show that a linear model over n-grams scaled by their
log-count ratios is hard to beat on sentiment; here it is one additive part of a neural classifier.
"""

import keras
import numpy as np
import tensorflow as tf

from unroll.models.text.tokenizer import PADDING


def ngram_features(ids: tf.Tensor, vocabulary: int, buckets: int) -> tf.Tensor:
    """Numbers the tokens and the neighbouring pairs of a text.

    Args:
        ids: int32 `[batch, time]`, token ids padded on the right with 0.
        vocabulary: number of token ids, reserved ones included.
        buckets: that pairs are hashed into; different pairs may share one.

    Returns:
        int32 `[batch, 2 * time - 1]` (`time` of them tokens): a token's own id, or `vocabulary` + a pair's
        bucket; 0 for padding.

    Example:
        >>> ngram_features(tf.constant([[5, 7, 0]]), vocabulary=10, buckets=4).shape
        TensorShape([1, 5])
    """
    first, second = tf.cast(ids[:, :-1], tf.int64), tf.cast(ids[:, 1:], tf.int64)
    bucket = (first * 1_000_003 + second * 7_919 + 12_345) % 2_147_483_647 % buckets
    pairs = tf.where(second == PADDING, 0, tf.cast(bucket, tf.int32) + vocabulary)
    return tf.concat([ids, pairs], axis=1)  # [B, 2T - 1]


def log_count_ratios(counts: np.ndarray, smoothing: float = 1.0) -> np.ndarray:
    """How much more a feature occurs in one class than in the others.

    r = log(((a + f_c) / |a + f_c|) / ((a + f_o) / |a + f_o|)), Wang & Manning 2012, section 2.

    Args:
        counts: `[features, classes]`: occurrences in the training split.
        smoothing: a, added to every count.

    Returns:
        float32 `[features, classes]`; row 0, which stands for padding, is 0.

    Example:
        >>> log_count_ratios(np.array([[0, 0], [3, 0], [0, 3]])).round(2)
        array([[ 0.  ,  0.  ],
               [ 1.39, -1.39],
               [-1.39,  1.39]], dtype=float32)
    """
    counts = np.array(counts, float)
    counts[PADDING] = 0  # how much padding there was depends on the batches
    inside = counts + smoothing
    outside = counts.sum(axis=1, keepdims=True) - counts + smoothing
    ratios = np.log(inside / inside.sum(axis=0)) - np.log(outside / outside.sum(axis=0))
    ratios[PADDING] = 0
    return ratios.astype(np.float32)


@keras.saving.register_keras_serializable("unroll")
class NgramEvidence(keras.layers.Layer):
    """Sums what a text's tokens and pairs of tokens say for each class.

    logits = (n / 100)^-1/2 * sum_f w_f * s_f + b over the text's features f, with n its tokens, s_f =
    (|r_f| + 0.3) / 2 fixed by the log-count ratios r, and w trained from 0: the ratios say how fast a
    feature is learnt. The power of n keeps long texts from being overconfident.

    Args:
        vocabulary: number of token ids.
        buckets: of hashed pairs.
        classes: number of classes.

    Call arguments:
        ids: int32 `[batch, time]`.
        lengths: int32 `[batch]`.

    Returns:
        float `[batch, classes]`.
    """

    def __init__(self, vocabulary: int, buckets: int, classes: int, **kwargs):
        super().__init__(**kwargs)
        self.vocabulary = vocabulary
        self.buckets = buckets
        self.classes = classes

    def build(self, ids_shape):
        shape = (self.vocabulary + self.buckets, self.classes)
        self.scales = self.add_weight(name="scales", shape=shape, initializer="ones", trainable=False)
        self.weights_ = self.add_weight(name="weights", shape=shape, initializer="zeros")
        self.bias = self.add_weight(name="bias", shape=(self.classes,), initializer="zeros")

    def call(self, ids, lengths):
        features = ngram_features(ids, self.vocabulary, self.buckets)
        # gathered before they are multiplied: a request pays for its own tokens, not for the whole table
        evidence = tf.gather(self.weights_, features) * tf.gather(self.scales, features)
        present = (features != PADDING)[:, :, None]  # [B, 2T - 1, 1]
        total = tf.reduce_sum(tf.where(present, evidence, 0), axis=1)  # [B, 2T - 1, C] -> [B, C]
        return total / tf.sqrt(tf.cast(lengths, total.dtype) / 100)[:, None] + self.bias

    def set_ratios(self, ratios: np.ndarray) -> None:
        """Sets the scales s from log-count ratios `[features, classes]`."""
        self.scales.assign((np.abs(ratios) + 0.3) / 2)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "buckets": self.buckets,
            "classes": self.classes,
        }
