"""Stacks of vanilla RNN, LSTM, GRU or minimal GRU layers."""

import keras
import tensorflow as tf

from unroll.models.layers.mingru import MinGRU
from unroll.models.layers.recurrence.layers import GRU, LSTM, SimpleRNN

CELLS = {"rnn": SimpleRNN, "lstm": LSTM, "gru": GRU, "mingru": MinGRU}


@keras.saving.register_keras_serializable("unroll")
class Recurrent(keras.layers.Layer):
    """Stacked recurrent layers over right-padded sequences.

    Padding comes after the last valid timestep, so a forward pass never lets it reach a valid one and
    needs no mask in its loop.

    Args:
        cell: `rnn` (Elman 1990), `lstm` (Hochreiter & Schmidhuber 1997), `gru` (Cho et al. 2014) or `mingru` (Feng et
            al. 2024; see `MinGRU`).
        units: features of every layer.
        layers: number of layers.
        dropout: variational dropout on the layers' inputs: one mask for all timesteps of a sequence
            (Gal & Ghahramani 2016).
        recurrent_dropout: variational dropout on the state carried from step to step, or on what is written into it
            (`mingru`). On a GPU it rules out the cuDNN kernel.
        residual: adds each layer's input to its output where the shapes agree.

    Call arguments:
        sequence: float `[batch, time, features]`.

    Returns:
        float `[batch, time, units]`: the state after every timestep.

    Raises:
        ValueError: for a cell that does not exist.

    Example:
        >>> Recurrent("gru", units=32, layers=2)(keras.ops.zeros([4, 10, 8])).shape
        TensorShape([4, 10, 32])
    """

    def __init__(
        self,
        cell: str,
        units: int,
        layers: int = 1,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        residual: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {', '.join(CELLS)}. Received: cell={cell!r}")
        self.cell = cell
        self.units = units
        self.layers = layers
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.residual = residual
        self.dropouts = [keras.layers.SpatialDropout1D(dropout, name=f"dropout_{i}") for i in range(layers)]
        self.stack = [
            CELLS[cell](
                units,
                return_sequences=True,
                return_state=True,
                recurrent_dropout=recurrent_dropout,
                name=f"{cell}_{i}",
            )
            for i in range(layers)
        ]

    def build(self, shape):
        for layer in self.stack:
            layer.build(shape)
            shape = (*shape[:-1], self.units)

    def call(self, sequence, training=False):
        for dropout, layer in zip(self.dropouts, self.stack, strict=True):
            hidden, *_ = layer(dropout(sequence, training=training), training=training)  # [B, T, units]
            sequence = self._joined(hidden, sequence)
        return sequence

    def initial_state(self, rows):
        """The state before the first timestep: zeros, `[rows, units]` each, layer by layer (an LSTM's h, then c)."""
        zeros = keras.ops.zeros([rows, self.units], self.compute_dtype)
        return [zeros for layer in self.stack for _ in layer.state_size]

    def step(self, inputs, state):
        """One timestep, without dropout.

        Args:
            inputs: float `[rows, features]`.
            state: as `initial_state`, `steps` or the step before returned it.

        Returns:
            The last layer's output, float `[rows, units]`, and the new state.
        """
        after = []
        for layer, before in zip(self.stack, self._by_layer(state), strict=True):
            hidden, now = layer.cell(inputs, before)
            inputs = self._joined(hidden, inputs)
            after += now
        return inputs, after

    def steps(self, sequence, state, lengths=None, training=False):
        """Many timesteps, from a state on: `call` for a sequence that comes in chunks.

        Args:
            sequence: float `[rows, time, features]`, padded on the right.
            state: as `initial_state`, `step` or the chunk before returned it.
            lengths: int32 `[rows]`, valid timesteps of each row; None where all are valid.
            training: whether features are dropped.

        Returns:
            Outputs `[rows, time, units]` and the state after each row's last valid timestep.
        """
        mask = None if lengths is None else tf.sequence_mask(lengths, tf.shape(sequence)[1])
        after = []
        for dropout, layer, before in zip(self.dropouts, self.stack, self._by_layer(state), strict=True):
            read = dropout(sequence, training=training)
            hidden, *now = layer(read, initial_state=before, mask=mask, training=training)
            sequence = self._joined(hidden, sequence)
            after += now
        return sequence, after

    def _by_layer(self, state):
        state = iter(state)
        return [[next(state) for _ in layer.state_size] for layer in self.stack]

    def _joined(self, hidden, inputs):
        return hidden + inputs if self.residual and inputs.shape[-1] == self.units else hidden

    def get_config(self):
        return {
            **super().get_config(),
            "cell": self.cell,
            "units": self.units,
            "layers": self.layers,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "residual": self.residual,
        }
