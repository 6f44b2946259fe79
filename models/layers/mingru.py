"""The minimal GRU of Feng et al. 2024, "Were RNNs All We Needed?" (arXiv:2410.01201)."""

from typing import Any

import keras
import tensorflow as tf

_BLOCK = 16  # timesteps of one turn of the loop, whose bookkeeping costs more than a step of a small layer


@keras.saving.register_keras_serializable("unroll")
class MinGRUCell(keras.layers.Layer):
    """One step of a minimal GRU, whose gate and candidate read the input alone (section 3.1.3).

    z = sigmoid(W_z x + b_z), g = W_h x + b_h, h = (1 - z) h + z g: as the paper defines it, without the positive
    candidates that its logarithmic scan asks for.

    Args:
        units: features of h.
        recurrent_dropout: share of the candidate's features dropped, so that what the state holds already is never
            lost (Semeniuta et al. 2016), one mask for all timesteps. No product reads h, where the other cells drop.

    Call arguments:
        inputs: float `[rows, features]`.
        states: a list of h, float `[rows, units]`.

    Returns:
        The new h, and a list of it.
    """

    def __init__(self, units: int, recurrent_dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units
        self.recurrent_dropout = recurrent_dropout
        self.projection = keras.layers.Dense(2 * units, name="projection", dtype=self.dtype_policy)
        self.drop = keras.layers.SpatialDropout1D(recurrent_dropout, name="drop", dtype=self.dtype_policy)

    def build(self, inputs_shape):
        self.projection.build(inputs_shape)

    def gate_and_candidate(self, inputs):
        """z and g of any inputs `[..., features]`, float `[..., units]` each."""
        gate, candidate = tf.split(self.projection(inputs), 2, axis=-1)
        return tf.sigmoid(gate), candidate

    def call(self, inputs, states, training=False):
        gate, candidate = self.gate_and_candidate(inputs)
        candidate = self.drop(candidate[:, None], training=training)[:, 0]
        hidden = (1 - gate) * states[0] + gate * candidate
        return hidden, [hidden]

    def get_config(self):
        return {**super().get_config(), "units": self.units, "recurrent_dropout": self.recurrent_dropout}


@keras.saving.register_keras_serializable("unroll")
class MinGRU(keras.layers.RNN):
    """A layer of minimal GRU cells, whose matrix products are done for all timesteps at once.

    What is left to the loop over time is h = (1 - z) h + z g, with a gradient that is written by hand: see
    `decaying_sum`. No cuDNN kernel exists for it.

    Args:
        units: features of the state.
        recurrent_dropout: see `MinGRUCell`.
        return_sequences, return_state, name, dtype, trainable: as of every `keras.layers.RNN`.

    Call arguments:
        sequences: float `[batch, time, features]`.
        initial_state: float `[batch, units]`; None for zeros.
        mask: bool `[batch, time]`; a timestep where it is False leaves the state as it is.

    Returns:
        As of every `keras.layers.RNN`; with `return_sequences`, float `[batch, time, units]`.

    Example:
        >>> MinGRU(16, return_sequences=True)(tf.zeros([2, 7, 4])).shape
        TensorShape([2, 7, 16])
    """

    def __init__(
        self,
        units: int,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        *,
        name: str | None = None,
        dtype: Any = None,
        trainable: bool = True,
    ):
        cell = MinGRUCell(units, recurrent_dropout, name="cell", dtype=dtype)
        super().__init__(cell, return_sequences, return_state, name=name, dtype=dtype, trainable=trainable)

    def inner_loop(self, sequences, initial_state, mask, training=False):
        gate, candidate = self.cell.gate_and_candidate(sequences)  # [B, T, U]
        candidate = self.cell.drop(candidate, training=training)
        if mask is not None:
            gate = tf.where(mask[..., None], gate, 0)
        # a sum over many timesteps: in half precision small gates would add nothing
        gate, candidate, first = (tf.cast(one, tf.float32) for one in (gate, candidate, initial_state[0]))
        by_time = [tf.transpose(one, [1, 0, 2]) for one in (1 - gate, gate * candidate)]
        states = tf.transpose(decaying_sum(*by_time, first), [1, 0, 2])  # [B, T, U]
        return states[:, -1], states, [states[:, -1]]

    def get_config(self):
        return {
            **super(keras.layers.RNN, self).get_config(),
            "units": self.cell.units,
            "recurrent_dropout": self.cell.recurrent_dropout,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@tf.custom_gradient
def decaying_sum(kept: tf.Tensor, added: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """h_t = kept_t * h_(t-1) + added_t, by a loop over time.

    Its gradient is the same recurrence from the end: d_t = g_t + kept_(t+1) * d_(t+1). One pass of it gives all three
    (d_t, d_t * h_(t-1) and kept_1 * d_1), where differentiating the loop would keep and read each step's tensors.

    Args:
        kept: float `[time, rows, units]`, time at least 1.
        added: float `[time, rows, units]`.
        first: float `[rows, units]`, h before the first timestep.

    Returns:
        h after every timestep, float `[time, rows, units]`.
    """
    states = _loop(kept, added, first)

    def gradient(upstream):
        later = tf.concat([kept[1:], tf.zeros_like(kept[:1])], axis=0)
        reached = _loop(later[::-1], upstream[::-1], tf.zeros_like(first))[::-1]
        before = tf.concat([first[None], states[:-1]], axis=0)
        return reached * before, reached, kept[0] * reached[0]

    return states, gradient


def _loop(kept: tf.Tensor, added: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    time, rows, units = tf.shape(kept)[0], tf.shape(kept)[1], kept.shape[2]
    turns = (time + _BLOCK - 1) // _BLOCK
    filled = [[0, turns * _BLOCK - time], [0, 0], [0, 0]]
    shape = [turns, _BLOCK, rows, units]
    arrays = [
        tf.TensorArray(kept.dtype, turns).unstack(tf.reshape(tf.pad(one, filled), shape)) for one in (kept, added)
    ]

    def body(turn, state, states):
        written = []
        for share, more in zip(*(tf.unstack(one.read(turn), _BLOCK) for one in arrays), strict=True):
            state = share * state + more
            written.append(state)
        return turn + 1, state, states.write(turn, tf.stack(written))

    begin = (tf.constant(0), first, tf.TensorArray(kept.dtype, turns, element_shape=[_BLOCK, None, units]))
    *_, states = tf.while_loop(lambda turn, *_: turn < turns, body, begin, maximum_iterations=turns)
    return tf.reshape(states.stack(), [turns * _BLOCK, rows, units])[:time]
