"""Attention over a set of places."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("unroll")
class AdditiveAttention(keras.layers.Layer):
    """Looks at the places that a query asks for.

    Weights are softmax over places i of v . tanh(W a_i + U h) (Bahdanau et al. 2015; Xu et al. 2015, "Show, Attend and
    Tell", eq. 4-5). `keys` is done once for a sequence, `call` at every step.

    Args:
        units: rows of W and U.

    Call arguments:
        query: float `[rows, features of the query]`.
        places: float `[rows, places, features]`.
        keys: float `[rows, places, units]`, as `keys(places)` gave them.

    Returns:
        The mean of the places by weight, float `[rows, features]`, and the weights, `[rows, places]`.

    Example:
        >>> attention = AdditiveAttention(8)
        >>> attention.build([None, 16], [None, 49, 32])
        >>> places = tf.zeros([2, 49, 32])
        >>> context, weights = attention(tf.zeros([2, 16]), places, attention.keys(places))
        >>> context.shape, weights.shape
        (TensorShape([2, 32]), TensorShape([2, 49]))
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.key = keras.layers.Dense(units, name="key")
        self.question = keras.layers.Dense(units, use_bias=False, name="question")
        self.energy = keras.layers.Dense(1, use_bias=False, name="energy")

    def build(self, query_shape, places_shape):
        self.key.build(places_shape)
        self.question.build(query_shape)
        self.energy.build([None, None, self.units])

    def keys(self, places):
        return self.key(places)

    def call(self, query, places, keys):
        energies = self.energy(tf.tanh(keys + self.question(query)[:, None]))[..., 0]  # [N, P]
        weights = tf.nn.softmax(energies)
        return tf.einsum("np,npf->nf", weights, places), weights

    def get_config(self):
        return {**super().get_config(), "units": self.units}
