"""Keras's recurrent layers, with a loop of our own where a CPU trains them."""

from typing import Any, ClassVar

import keras
import tensorflow as tf

from unroll.models.layers.recurrence.loop import recurrence
from unroll.models.layers.recurrence.steps import GRUStep, LSTMStep, Step


class _DropsInTraining(keras.layers.RNN):
    """A Keras layer that draws what it drops of the state where it trains, and only there.

    Keras draws in every pass, so that an exported graph would change with each answer what it draws from.
    """

    def _maybe_config_dropout_masks(self, cell, input_sequence, input_state):
        """What Keras calls whether it trains or not."""

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if training:
            super()._maybe_config_dropout_masks(self.cell, sequences[:, 0], initial_state)
        return super().inner_loop(sequences, initial_state, mask, training=training)


class _TrainedFaster(_DropsInTraining):
    """A Keras layer, the same but for the time that a step of training takes on a CPU.

    Inputs are multiplied for all timesteps at once and gradients taken as `recurrence` says. Of what is dropped from
    the state, all gates read the same (Gal & Ghahramani 2016), where Keras draws for each. Everything else is left to
    Keras: a GPU, which has cuDNN's kernels, other precision than float32, and every graph that does not train, exported
    ones among them. Weights are Keras's own, and so are the names by which files find them: the classes are called as
    Keras calls them for that reason.

    Args:
        units: features of the state.
        recurrent_dropout, return_sequences, return_state, name, dtype: as Keras has them.
    """

    _step: ClassVar[Step]

    def __init__(
        self,
        units: int,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        *,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(
            units,
            recurrent_dropout=recurrent_dropout,
            return_sequences=return_sequences,
            return_state=return_state,
            name=name,
            dtype=dtype,
        )

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if not training or self.compute_dtype != "float32" or tf.config.list_logical_devices("GPU"):
            return super().inner_loop(sequences, initial_state, mask, training=training)
        projected, bias = self._projected(tf.transpose(sequences, [1, 0, 2]))
        kernel = tf.convert_to_tensor(self.cell.recurrent_kernel)
        by_time = None if mask is None else tf.transpose(mask)
        dropped = None
        if self.recurrent_dropout:
            ones = tf.ones_like(initial_state[0])
            dropped = keras.random.dropout(ones, self.recurrent_dropout, seed=self.cell.seed_generator)
        hidden, states = recurrence(self._step, projected, kernel, initial_state, bias, by_time, dropped)
        outputs = tf.transpose(hidden, [1, 0, 2])  # [B, T, U]
        if mask is not None:  # as Keras has it, nothing is said before the first valid timestep
            outputs = tf.where(tf.cumsum(tf.cast(mask, tf.int32), axis=1)[..., None] > 0, outputs, 0)
        return outputs[:, -1], outputs, states

    def _projected(self, by_time: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Inputs `[time, batch, features]` times their weights, and the bias of the state's product if it has one."""
        kernel, bias = (tf.convert_to_tensor(one) for one in (self.cell.kernel, self.cell.bias))
        of_inputs, of_state = tf.unstack(bias) if bias.shape.rank == 2 else (bias, None)
        projected = tf.nn.bias_add(tf.matmul(tf.reshape(by_time, [-1, kernel.shape[0]]), kernel), of_inputs)
        return tf.reshape(projected, [*tf.unstack(tf.shape(by_time)[:2]), kernel.shape[1]]), of_state


class SimpleRNNCell(keras.layers.SimpleRNNCell):
    """Keras's own, which draws even where it does not train."""

    def call(self, sequence, states, training=False):
        if training:
            return super().call(sequence, states, training=True)
        product = tf.matmul(sequence, self.kernel) + tf.matmul(states[0], self.recurrent_kernel)
        output = self.activation(product + self.bias)
        return output, [output]


class SimpleRNN(_DropsInTraining):
    """h = tanh(W x + U h + b): Elman 1990.

    Args:
        units, recurrent_dropout, dtype: as Keras has them.
        kwargs: as `keras.layers.RNN` has them.
    """

    def __init__(self, units: int, recurrent_dropout: float = 0.0, *, dtype: Any = None, **kwargs: Any):
        cell = SimpleRNNCell(units, recurrent_dropout=recurrent_dropout, name="simple_rnn_cell", dtype=dtype)
        super().__init__(cell, dtype=dtype, **kwargs)


class LSTM(_TrainedFaster, keras.layers.LSTM):
    """Hochreiter & Schmidhuber 1997."""

    _step = LSTMStep()


class GRU(_TrainedFaster, keras.layers.GRU):
    """Cho et al. 2014."""

    _step = GRUStep()
