"""Attention of a decoder's layer to an encoded source."""

import keras
import tensorflow as tf

from unroll.models.layers.transformer import head_sizes


class SourceAttention(keras.layers.Layer):
    """What is looked at in the source, added to what a decoder's layer says: x + W_o Attention(RMSNorm(x), source).

    Dot products of several heads (Vaswani et al. 2017; multiplicative attention in Luong et al. 2015), which all
    timesteps ask at once.

    Args:
        units: features of input and output.
        dropout: share dropped of what is added, in training.

    Call arguments:
        hidden: float `[rows, time, units]`.
        keys, values: float `[rows, heads, positions, width]`, as `keys_of(source)` gave them.
        mask: bool `[rows, positions]`, False for padding; no row without a position.

    Returns:
        float `[rows, time, units]` and weights, the mean of all heads, float `[rows, time, positions]`.

    Example:
        >>> attention = SourceAttention(16)
        >>> attention.build([None, None, 16], [None, None, 32])
        >>> keys, values = attention.keys_of(tf.zeros([2, 5, 32]))
        >>> read, weights = attention(tf.zeros([2, 3, 16]), keys, values, tf.ones([2, 5], tf.bool))
        >>> read.shape, weights.shape
        (TensorShape([2, 3, 16]), TensorShape([2, 3, 5]))
    """

    def __init__(self, units: int, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.heads, self.width = head_sizes(units)
        self.norm = keras.layers.RMSNormalization(name="norm")
        self.query = keras.layers.Dense(self.heads * self.width, use_bias=False, name="query")
        self.key_value = keras.layers.Dense(2 * self.heads * self.width, use_bias=False, name="key_value")
        self.joined = keras.layers.Dense(units, use_bias=False, name="joined")
        self.drop = keras.layers.Dropout(dropout, name="dropout")

    def build(self, hidden_shape, source_shape):
        self.norm.build(hidden_shape)
        self.query.build(hidden_shape)
        self.key_value.build(source_shape)
        self.joined.build((*hidden_shape[:-1], self.heads * self.width))

    def keys_of(self, source):
        """Keys and values of a source, done once for all timesteps."""
        read = tf.reshape(self.key_value(source), [tf.shape(source)[0], -1, 2, self.heads, self.width])
        keys, values = tf.unstack(tf.transpose(read, [2, 0, 3, 1, 4]))
        return keys, values

    def call(self, hidden, keys, values, mask, training=False):
        rows, time = tf.shape(hidden)[0], tf.shape(hidden)[1]
        asked = tf.reshape(self.query(self.norm(hidden)), [rows, time, self.heads, self.width])
        asked = tf.transpose(asked, [0, 2, 1, 3]) * self.width**-0.5
        scores = tf.cast(tf.matmul(asked, keys, transpose_b=True), tf.float32)  # [N, heads, T, P]
        weights = tf.nn.softmax(tf.where(mask[:, None, None], scores, scores.dtype.min))
        read = tf.matmul(tf.cast(weights, values.dtype), values)
        read = tf.reshape(tf.transpose(read, [0, 2, 1, 3]), [rows, time, self.heads * self.width])
        return hidden + self.drop(self.joined(read), training=training), tf.reduce_mean(weights, axis=1)
