"""An encoder and a decoder with attention, of any cell."""

from dataclasses import dataclass
from typing import NamedTuple

import keras
import tensorflow as tf

from unroll.models.encoder_decoder.source_attention import SourceAttention
from unroll.models.layers.configuration import Configured
from unroll.models.layers.encoder import causal_layer, encoder
from unroll.models.layers.transformer import WINDOW
from unroll.models.tokens import PADDING


@dataclass(frozen=True)
class EncoderDecoderConfig:
    """What a `EncoderDecoder` is made of.

    Args:
        vocabulary: ids of both languages, the special ones included.
        cell, kernel_size, window: see `unroll.models.layers.encoder.encoder`; the window is of the decoder.
        units: features of every layer, of which each direction of the encoder has half.
        layers: of the encoder, and of the decoder.
        embedding: features of a token.
        dropout: share dropped of what each layer reads, of the source and of what the last layer says.
        tied: whether a token is read and written by the same weights (Press & Wolf 2017).
    """

    vocabulary: int
    cell: str = "lstm"
    units: int = 512
    layers: int = 1
    embedding: int = 256
    dropout: float = 0.3
    kernel_size: int = 3
    window: int = WINDOW
    tied: bool = True


class Memory(NamedTuple):
    """An encoded source.

    Args:
        keys, values: of each layer of the decoder, float `[rows, heads, positions, width]`.
        mask: bool `[rows, positions]`, False for padding.
    """

    keys: list[tf.Tensor]
    values: list[tf.Tensor]
    mask: tf.Tensor


@keras.saving.register_keras_serializable("unroll")
class EncoderDecoder(Configured, keras.layers.Layer):
    """Reads a source in both directions, and says which token comes next in the target.

    Each layer of the decoder reads the tokens so far and then asks the source, whatever its cell is (Domhan 2018, "How
    Much Attention Do You Need?"): no timestep waits for what was said before it, so that all are trained at once.
    Layers are added to what they read where the shapes agree (Wu et al. 2016).

    Args:
        config: see `EncoderDecoderConfig`.

    Call arguments:
        source: int32 `[rows, positions]`, padded on the right; no row without an id.
        target: int32 `[rows, time]`, from the start on, padded on the right.

    Returns:
        Logits of what follows each, float32 `[rows, time, vocabulary]`, and what was looked at, `[rows, time,
        positions]`, the mean of all layers.

    Example:
        >>> network = EncoderDecoder(EncoderDecoderConfig(vocabulary=50, units=16, embedding=8))
        >>> logits, weights = network(tf.constant([[5, 6, 3]]), tf.constant([[2, 7, 8, 9]]))
        >>> logits.shape, weights.shape
        (TensorShape([1, 4, 50]), TensorShape([1, 4, 3]))
    """

    Config = EncoderDecoderConfig

    def __init__(self, config: EncoderDecoderConfig, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        cell, units, size = config.cell, config.units, config.embedding
        small = keras.initializers.RandomNormal(stddev=size**-0.5)
        self.embedding = keras.layers.Embedding(config.vocabulary, size, small, name="embedding")
        self.drop = keras.layers.Dropout(config.dropout, name="dropout")
        self.encoder = encoder(
            cell,
            units if cell == "transformer" else -(-units // 2),
            config.layers,
            bidirectional=True,
            dropout=config.dropout,
            residual=True,
            kernel_size=config.kernel_size,
        )
        self.stack = [
            causal_layer(
                cell,
                units,
                dropout=config.dropout,
                residual=True,
                kernel_size=config.kernel_size,
                window=config.window,
                name=f"layer_{i}",
            )
            for i in range(config.layers)
        ]
        self.attentions = [SourceAttention(units, config.dropout, name=f"attention_{i}") for i in range(config.layers)]
        self.readout = keras.layers.Dense(size, activation="tanh", name="readout")
        self.head = None if config.tied else keras.layers.Dense(config.vocabulary, name="head", dtype="float32")
        self.embedding.build()
        self.encoder.build([None, None, size])
        for i, (layer, attention) in enumerate(zip(self.stack, self.attentions, strict=True)):
            layer.build([None, None, units if i else size])
            attention.build([None, None, units], [None, None, self.encoder.features])
        self.readout.build([None, None, units])
        if self.head is not None:
            self.head.build([None, None, size])
        else:
            self.bias = self.add_weight(name="bias", shape=[config.vocabulary], initializer="zeros")
        self.built = True

    def build(self, source_shape=None, target_shape=None):
        """Nothing is left to do: the configuration knows all shapes."""

    def encode(self, ids: tf.Tensor, training: bool = False) -> Memory:
        """A source, int32 `[rows, positions]`, as the decoder asks it."""
        mask = ids != PADDING
        lengths = tf.math.count_nonzero(mask, axis=1, dtype=tf.int32)
        source = self.encoder(self._embedded(ids), lengths, training=training)
        source = self.drop(source, training=training)
        keys, values = zip(*(attention.keys_of(source) for attention in self.attentions), strict=True)
        return Memory(list(keys), list(values), mask)

    def call(self, source, target, training=False):
        memory = self.encode(source, training=training)
        hidden, looks = self._embedded(target), []
        for i, (layer, attention) in enumerate(zip(self.stack, self.attentions, strict=True)):
            hidden = layer(hidden, training=training)
            hidden, weights = attention(hidden, memory.keys[i], memory.values[i], memory.mask, training=training)
            looks.append(weights)
        return self._logits(self.drop(hidden, training=training)), tf.add_n(looks) / len(looks)

    def initial_state(self, rows: tf.Tensor) -> list[list[tf.Tensor]]:
        """Of each layer, before the first token."""
        return [layer.initial_state(rows) for layer in self.stack]

    def step(self, ids: tf.Tensor, state: list, memory: Memory) -> tuple[tf.Tensor, tf.Tensor, list]:
        """One token, int32 `[rows]`: logits, what was looked at `[rows, positions]`, and the new state."""
        hidden, looks, after = self._embedded(ids), [], []
        for i, (layer, attention) in enumerate(zip(self.stack, self.attentions, strict=True)):
            hidden, now = layer.step(hidden, state[i])
            hidden, weights = attention(hidden[:, None], memory.keys[i], memory.values[i], memory.mask)
            hidden = hidden[:, 0]
            looks.append(weights[:, 0])
            after.append(now)
        return self._logits(hidden), tf.add_n(looks) / len(looks), after

    def _embedded(self, ids):
        return self.embedding(ids) * self.config.embedding**0.5  # of about 1 each, whose norm as rows of a product is 1

    def _logits(self, hidden):
        said = self.readout(hidden)
        if self.head is not None:
            return self.head(said)
        weights = tf.cast(self.embedding.embeddings, tf.float32)
        rows = tf.reshape(tf.cast(said, tf.float32), [-1, self.config.embedding])
        logits = tf.matmul(rows, weights, transpose_b=True) + self.bias
        return tf.reshape(logits, tf.concat([tf.shape(said)[:-1], [self.config.vocabulary]], axis=0))
