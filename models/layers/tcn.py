"""The temporal convolutional network of Bai, Kolter & Koltun 2018 (arXiv:1803.01271)."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("unroll")
class CausalConv1D(keras.layers.Layer):
    """A dilated causal convolution whose kernel is weight-normalised.

    kernel = g * v / ||v||, with one norm per filter (Salimans & Kingma 2016, eq. 2). At
    initialisation g = ||v||, so the layer starts as a plain convolution.

    Args:
        filters: output features.
        kernel_size: taps; timestep t sees t, t - dilation, ..., t - (kernel_size - 1) * dilation.
        dilation: distance of the taps in timesteps.

    Call arguments:
        sequence: float `[batch, time, features]`.

    Returns:
        float `[batch, time, filters]`.

    Example:
        >>> CausalConv1D(8, kernel_size=3, dilation=2)(tf.zeros([4, 10, 5])).shape
        TensorShape([4, 10, 8])
    """

    def __init__(self, filters: int, kernel_size: int, dilation: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.dilation = dilation

    def build(self, shape):
        # v's scale is free under weight normalisation; He's start keeps the variance through ReLU
        self.direction = self.add_weight(
            name="direction",
            shape=(self.kernel_size, shape[-1], self.filters),
            initializer="he_normal",
        )
        with tf.init_scope():  # a value, also where Keras builds inside a graph
            norms = tf.norm(tf.convert_to_tensor(self.direction), axis=[0, 1])
        self.scale = self.add_weight(
            name="scale", shape=(self.filters,), initializer=lambda shape, dtype: tf.cast(norms, dtype)
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    @property
    def past(self) -> int:
        """Timesteps before the present one that an output depends on."""
        return (self.kernel_size - 1) * self.dilation

    def call(self, sequence):
        return self._read(tf.pad(sequence, [[0, 0], [self.past, 0], [0, 0]]))

    def steps(self, sequence, state, lengths=None):
        """Many timesteps, `[rows, T, F]`, from a state on; the state is that after each row's valid ones."""
        read = tf.concat([state, sequence], axis=1)  # [B, past + T, F]
        if lengths is None:
            return self._read(read), read[:, tf.shape(sequence)[1] :]
        newest = tf.cast(lengths, tf.int32)[:, None] + tf.range(self.past)  # [B, past]
        return self._read(read), tf.gather(read, newest, batch_dims=1)

    def step(self, inputs, state):
        """One timestep: float `[rows, F]` and the newest `past` inputs, `[rows, past, F]`; the new ones come back."""
        window = tf.concat([state, inputs[:, None]], axis=1)  # [N, past + 1, F]
        read = tf.einsum("nkf,kfo->no", window[:, :: self.dilation], self._kernel())
        return read + tf.cast(self.bias, read.dtype), window[:, 1:]

    def _read(self, sequence):
        """float `[B, past + T, F]` to `[B, T, filters]`."""
        read = tf.nn.conv1d(sequence, self._kernel(), 1, "VALID", dilations=self.dilation)
        return read + tf.cast(self.bias, read.dtype)

    def _kernel(self) -> tf.Tensor:
        direction = tf.convert_to_tensor(self.direction)  # [K, F, filters]
        norm = tf.sqrt(tf.reduce_sum(tf.square(direction), axis=[0, 1]))
        # Keras casts weights within `call` alone, and steps are not within it
        return tf.cast(direction * (self.scale / norm), self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "dilation": self.dilation,
        }


@keras.saving.register_keras_serializable("unroll")
class TemporalBlock(keras.layers.Layer):
    """Two causal convolutions with ReLU and dropout, and a residual path around them (figure 1b).

    Args:
        filters: output features.
        kernel_size: taps of each convolution.
        dilation: distance of the taps.
        dropout: share of features dropped, the same at every timestep.

    Call arguments:
        sequence: float `[batch, time, features]`.

    Returns:
        float `[batch, time, filters]`.
    """

    def __init__(self, filters: int, kernel_size: int, dilation: int, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.dropout = dropout
        self.convolutions = [CausalConv1D(filters, kernel_size, dilation, name=f"conv_{i}") for i in (1, 2)]
        self.dropouts = [keras.layers.SpatialDropout1D(dropout, name=f"dropout_{i}") for i in (1, 2)]
        self.shortcut: keras.layers.Layer | None = None

    def build(self, shape):
        if shape[-1] != self.filters:
            self.shortcut = keras.layers.Dense(self.filters, name="shortcut")
            self.shortcut.build(shape)
        self.convolutions[0].build(shape)
        self.convolutions[1].build((*shape[:-1], self.filters))

    def call(self, sequence, training=False):
        hidden = sequence
        for convolution, dropout in zip(self.convolutions, self.dropouts, strict=True):
            hidden = dropout(tf.nn.relu(convolution(hidden)), training=training)  # [B, T, filters]
        return tf.nn.relu(hidden + self._around(sequence))

    def step(self, inputs, state):
        """One timestep, float `[rows, F]`, with a state a convolution; without dropout."""
        hidden, after = inputs, []
        for convolution, before in zip(self.convolutions, state, strict=True):
            hidden, now = convolution.step(hidden, before)
            hidden = tf.nn.relu(hidden)
            after.append(now)
        return tf.nn.relu(hidden + self._around(inputs)), after

    def steps(self, sequence, state, lengths=None, training=False):
        """Many timesteps, `[rows, T, F]`, from a state a convolution on."""
        hidden, after = sequence, []
        for convolution, dropout, before in zip(self.convolutions, self.dropouts, state, strict=True):
            hidden, now = convolution.steps(hidden, before, lengths)
            hidden = dropout(tf.nn.relu(hidden), training=training)
            after.append(now)
        return tf.nn.relu(hidden + self._around(sequence)), after

    def _around(self, sequence):
        return sequence if self.shortcut is None else self.shortcut(sequence)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "dilation": self.dilation,
            "dropout": self.dropout,
        }


@keras.saving.register_keras_serializable("unroll")
class TCN(keras.layers.Layer):
    """A stack of temporal blocks with dilations 1, 2, 4, ...

    A timestep sees only itself and the past, so padding at the end changes no valid timestep.

    Args:
        units: features of every block.
        layers: number of blocks.
        kernel_size: taps of each convolution.
        dropout: share of features dropped inside the blocks.

    Call arguments:
        sequence: float `[batch, time, features]`.

    Returns:
        float `[batch, time, units]`.

    Example:
        >>> tcn = TCN(units=64, layers=4, kernel_size=3)
        >>> tcn.receptive_field
        61
    """

    def __init__(self, units: int, layers: int = 1, kernel_size: int = 3, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.layers = layers
        self.kernel_size = kernel_size
        self.dropout = dropout
        self.blocks = [TemporalBlock(units, kernel_size, 2**i, dropout, name=f"block_{i}") for i in range(layers)]

    @property
    def receptive_field(self) -> int:
        """Timesteps that one output depends on: 1 + 2 (kernel_size - 1) (2^layers - 1)."""
        return 1 + 2 * (self.kernel_size - 1) * (2**self.layers - 1)

    def build(self, shape):
        for block in self.blocks:
            if not block.built:  # a reloaded model builds its innermost layers first
                block.build(shape)
            shape = (*shape[:-1], self.units)

    def call(self, sequence, training=False):
        for block in self.blocks:
            sequence = block(sequence, training=training)  # [B, T, units]
        return sequence

    def initial_state(self, rows):
        """The state before the first timestep: of each convolution the inputs it will look back at, all zeros."""
        convolutions = [convolution for block in self.blocks for convolution in block.convolutions]
        return [
            tf.zeros([rows, convolution.past, convolution.direction.shape[1]], self.compute_dtype)
            for convolution in convolutions
        ]

    def step(self, inputs, state):
        """One timestep, at a cost that does not grow with the timesteps before it; without dropout.

        Args:
            inputs: float `[rows, features]`.
            state: as `initial_state`, `steps` or the step before returned it.

        Returns:
            The output, float `[rows, units]`, and the new state.
        """
        after = []
        for i, block in enumerate(self.blocks):
            inputs, now = block.step(inputs, state[2 * i : 2 * i + 2])
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
        after = []
        for i, block in enumerate(self.blocks):
            sequence, now = block.steps(sequence, state[2 * i : 2 * i + 2], lengths, training=training)
            after += now
        return sequence, after

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "layers": self.layers,
            "kernel_size": self.kernel_size,
            "dropout": self.dropout,
        }
