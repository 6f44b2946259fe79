"""Attention over the positions of a source."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("unroll")
class AdditiveAttention(keras.layers.Layer):
    """Looks at the positions that a query asks for.

    Weights are softmax over positions i of v . tanh(W a_i + U h) (Bahdanau et al. 2015; Xu et al. 2015, "Show, Attend
    and Tell", eq. 4-5). `keys` is done once for a sequence, `call` at every step.

    Args:
        units: rows of W and U.

    Call arguments:
        query: float `[rows, features of the query]`, or `[rows, time, features of the query]` for many at once.
        source: float `[rows, positions, features]`.
        keys: float `[rows, positions, units]`, as `keys(source)` gave them.
        source_mask: bool `[rows, positions]`, False for padding; None where there is none.

    Returns:
        The mean of the positions by weight, float `[rows, features]`, and the weights, `[rows, positions]`; with a time
        dimension where the query has one. Padding has weight 0; a row of nothing but padding has only such weights.

    Example:
        >>> attention = AdditiveAttention(8)
        >>> attention.build([None, 16], [None, 49, 32])
        >>> source = tf.zeros([2, 49, 32])
        >>> context, weights = attention(tf.zeros([2, 16]), source, attention.keys(source))
        >>> context.shape, weights.shape
        (TensorShape([2, 32]), TensorShape([2, 49]))
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.key = keras.layers.Dense(units, name="key")
        self.question = keras.layers.Dense(units, use_bias=False, name="question")
        self.energy = keras.layers.Dense(1, use_bias=False, name="energy")

    def build(self, query_shape, source_shape):
        self.key.build(source_shape)
        self.question.build(query_shape)
        self.energy.build([None, None, self.units])

    def keys(self, source):
        return self.key(source)

    def call(self, query, source, keys, source_mask=None):
        if len(query.shape) > 2:
            keys = keys[:, None]
            source_mask = None if source_mask is None else source_mask[:, None]
        energies = self.energy(tf.tanh(keys + self.question(query)[..., None, :]))[..., 0]  # [N, P] or [N, T, P]
        if source_mask is not None:
            energies = tf.where(source_mask, energies, energies.dtype.min)
        weights = tf.nn.softmax(energies)
        if source_mask is not None:
            weights = tf.where(source_mask, weights, 0)  # where all is padding, the softmax is even
        return tf.einsum("n...p,npf->n...f", weights, source), weights

    def get_config(self):
        return {**super().get_config(), "units": self.units}
