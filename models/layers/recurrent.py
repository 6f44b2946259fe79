"""Stacks of vanilla RNN, LSTM or GRU layers."""

import keras

CELLS = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


@keras.saving.register_keras_serializable("unroll")
class Recurrent(keras.layers.Layer):
    """Stacked recurrent layers over right-padded sequences.

    Padding comes after the last valid timestep, so a forward pass never lets it reach a valid one and
    needs no mask in its loop.

    Args:
        cell: `rnn` (Elman 1990), `lstm` (Hochreiter & Schmidhuber 1997) or `gru` (Cho et al. 2014).
        units: features of every layer.
        layers: number of layers.
        dropout: variational dropout on the layers' inputs: one mask for all timesteps of a sequence
            (Gal & Ghahramani 2016).
        recurrent_dropout: variational dropout on the state carried from step to step. On a GPU it
            rules out the cuDNN kernel.
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
            CELLS[cell](units, return_sequences=True, recurrent_dropout=recurrent_dropout, name=f"{cell}_{i}")
            for i in range(layers)
        ]

    def build(self, shape):
        for layer in self.stack:
            layer.build(shape)
            shape = (*shape[:-1], self.units)

    def call(self, sequence, training=False):
        for dropout, layer in zip(self.dropouts, self.stack, strict=True):
            hidden = layer(dropout(sequence, training=training), training=training)  # [B, T, units]
            if self.residual and sequence.shape[-1] == self.units:
                hidden = hidden + sequence
            sequence = hidden
        return sequence

    def initial_state(self, rows):
        """The state before the first timestep: zeros, `[rows, units]` each, layer by layer (an LSTM's h, then c)."""
        zeros = keras.ops.zeros([rows, self.units], self.compute_dtype)
        return [zeros for layer in self.stack for _ in keras.tree.flatten(layer.cell.state_size)]

    def step(self, inputs, state):
        """One timestep, without dropout.

        Args:
            inputs: float `[rows, features]`.
            state: as `initial_state` or the step before returned it.

        Returns:
            The last layer's output, float `[rows, units]`, and the new state.
        """
        state, after = list(state), []
        for layer in self.stack:
            count = len(keras.tree.flatten(layer.cell.state_size))
            before, state = state[:count], state[count:]
            hidden, now = layer.cell(inputs, before)
            if self.residual and inputs.shape[-1] == self.units:
                hidden = hidden + inputs
            inputs = hidden
            after += now
        return inputs, after

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
