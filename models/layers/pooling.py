"""Many timesteps to one vector, blind to padding."""

from collections.abc import Sequence

import keras
import tensorflow as tf

POOLINGS = ("last", "mean", "max", "attention")


@keras.saving.register_keras_serializable("unroll")
class SequencePooling(keras.layers.Layer):
    """Pools the valid timesteps of right-padded sequences.

    Args:
        modes: one or more of `last`, `mean`, `max`, `attention`; several are concatenated.
            `attention` weighs timesteps by softmax(v . tanh(W h_t + b)), with as many rows in W as
            features (Yang et al. 2016, "Hierarchical Attention Networks", eq. 5-7).

    Call arguments:
        sequence: float `[batch, time, features]`.
        lengths: int32 `[batch]`, at least 1; timesteps at and after the length are ignored.

    Returns:
        float `[batch, features * len(modes)]`.

    Raises:
        ValueError: for a mode that does not exist.

    Example:
        >>> pooling = SequencePooling(["mean", "max"])
        >>> pooling(tf.constant([[[1.0], [3.0], [9.0]]]), tf.constant([2])).numpy()
        array([[2., 3.]], dtype=float32)
    """

    def __init__(self, modes: Sequence[str] = ("mean", "max"), **kwargs):
        super().__init__(**kwargs)
        unknown = [mode for mode in modes if mode not in POOLINGS]
        if unknown or not modes:
            raise ValueError(f"modes must be some of {', '.join(POOLINGS)}. Received: modes={list(modes)}")
        self.modes = list(modes)

    def build(self, sequence_shape):
        if "attention" in self.modes:
            self.projection = keras.layers.Dense(sequence_shape[-1], activation="tanh", name="projection")
            self.projection.build(sequence_shape)
            self.query = keras.layers.Dense(1, use_bias=False, name="query")
            self.query.build(sequence_shape)

    def call(self, sequence, lengths):
        valid = tf.sequence_mask(lengths, tf.shape(sequence)[1])[:, :, None]  # [B, T, 1]
        pooled = [getattr(self, f"_{mode}")(sequence, valid, lengths) for mode in self.modes]
        return tf.concat(pooled, axis=-1)  # [B, F * modes]

    def _last(self, sequence, valid, lengths):
        return tf.gather(sequence, lengths - 1, batch_dims=1)  # [B, F]

    def _mean(self, sequence, valid, lengths):
        total = tf.reduce_sum(tf.where(valid, sequence, 0), axis=1)  # [B, F]
        return total / tf.cast(lengths, sequence.dtype)[:, None]

    def _max(self, sequence, valid, lengths):
        return tf.reduce_max(tf.where(valid, sequence, sequence.dtype.min), axis=1)  # [B, F]

    def _attention(self, sequence, valid, lengths):
        scores = self.query(self.projection(sequence))  # [B, T, 1]
        weights = tf.nn.softmax(tf.where(valid, scores, scores.dtype.min), axis=1)
        return tf.reduce_sum(weights * sequence, axis=1)  # [B, F]

    def get_config(self):
        return {**super().get_config(), "modes": self.modes}
