"""One factory for every sequence encoder."""

import keras
import tensorflow as tf

from unroll.models.layers.recurrent import CELLS as RECURRENT_CELLS
from unroll.models.layers.recurrent import Recurrent
from unroll.models.layers.tcn import TCN
from unroll.models.layers.transformer import WINDOW, Transformer

CELLS = (*RECURRENT_CELLS, "tcn", "transformer")


def encoder(
    cell: str,
    units: int,
    layers: int = 1,
    *,
    bidirectional: bool = False,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    residual: bool = False,
    kernel_size: int = 3,
    window: int = WINDOW,
    name: str = "encoder",
) -> "SequenceEncoder | Transformer":
    """Makes the encoder that a configuration names.

    Args:
        cell: `rnn`, `lstm`, `gru`, `mingru`, `tcn` or `transformer`.
        units: features of every layer, per direction.
        layers: recurrent layers, temporal blocks of a TCN, or blocks of a Transformer.
        bidirectional: also reads the sequence from its end, with weights of its own; of a Transformer, which has no
            directions, every timestep attends to all.
        dropout: variational dropout on the inputs of every layer; of a Transformer, plain dropout of what its blocks
            read and add.
        recurrent_dropout: variational dropout on the carried state; recurrent cells only.
        residual: adds a recurrent layer's input to its output. A TCN and a Transformer always do.
        kernel_size: taps of a TCN's convolutions.
        window: timesteps that a causal Transformer attends to.
        name: the layer's name.

    Returns:
        A layer from (`[batch, time, features]`, lengths `[batch]`) to `[batch, time, its features]`, which are units *
        directions.

    Raises:
        ValueError: for a cell that does not exist.

    Example:
        >>> encoder("lstm", 16, bidirectional=True)(tf.zeros([2, 7, 4]), tf.constant([7, 3])).shape
        TensorShape([2, 7, 32])
    """

    if cell == "transformer" and bidirectional:
        return Transformer(units, layers, dropout, causal=False, name=name)

    def direction(name: str) -> Recurrent | TCN | Transformer:
        return causal_layer(
            cell,
            units,
            layers,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            residual=residual,
            kernel_size=kernel_size,
            window=window,
            name=name,
        )

    backward = direction("backward") if bidirectional else None
    return SequenceEncoder(direction("forward"), backward, name=name)


def causal_layer(
    cell: str,
    units: int,
    layers: int = 1,
    *,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    residual: bool = False,
    kernel_size: int = 3,
    window: int = WINDOW,
    name: str = "forward",
) -> Recurrent | TCN | Transformer:
    """One direction of an encoder, or a decoder; arguments and errors as of `encoder`.

    Returns:
        A layer from `[batch, time, features]` to `[batch, time, units]` that sees no later timestep, with
        `initial_state`, `step` and `steps` to run it a timestep or a chunk at a time.
    """
    if cell not in CELLS:
        raise ValueError(f"cell must be one of {', '.join(CELLS)}. Received: cell={cell!r}")
    if cell == "tcn":
        return TCN(units, layers, kernel_size, dropout, name=name)
    if cell == "transformer":
        return Transformer(units, layers, dropout, window=window, name=name)
    return Recurrent(cell, units, layers, dropout, recurrent_dropout, residual, name=name)


@keras.saving.register_keras_serializable("unroll")
class SequenceEncoder(keras.layers.Layer):
    """A forward encoder and, if bidirectional, one that reads each sequence from its last valid step.

    Args:
        forward: causal layer, `[batch, time, features]` to `[batch, time, units]`.
        backward: a second such layer, or None.

    Call arguments:
        sequence: float `[batch, time, features]`, padded on the right.
        lengths: int32 `[batch]`, valid timesteps of each row.

    Returns:
        float `[batch, time, units * directions]`. A valid timestep depends on valid timesteps only.
    """

    def __init__(self, forward: keras.layers.Layer, backward: keras.layers.Layer | None = None, **kwargs):
        super().__init__(**kwargs)
        self.forward = forward
        self.backward = backward

    @property
    def features(self) -> int:
        """Of every timestep of the output."""
        return self.forward.units * (1 if self.backward is None else 2)

    def build(self, sequence_shape):
        self.forward.build(sequence_shape)
        if self.backward is not None:
            self.backward.build(sequence_shape)

    def call(self, sequence, lengths, training=False):
        encoded = self.forward(sequence, training=training)  # [B, T, U]
        if self.backward is None:
            return encoded
        # only the valid steps are turned round, so padding stays behind it and out of the state
        reversed_ = tf.reverse_sequence(sequence, lengths, seq_axis=1)
        backward = self.backward(reversed_, training=training)
        return tf.concat([encoded, tf.reverse_sequence(backward, lengths, seq_axis=1)], axis=-1)  # [B, T, 2U]

    def get_config(self):
        return {
            **super().get_config(),
            "forward": keras.saving.serialize_keras_object(self.forward),
            "backward": self.backward and keras.saving.serialize_keras_object(self.backward),
        }

    @classmethod
    def from_config(cls, config):
        forward = keras.saving.deserialize_keras_object(config.pop("forward"))
        backward = config.pop("backward")
        return cls(forward, backward and keras.saving.deserialize_keras_object(backward), **config)
