"""One to many and many to many: a source, encoded, to a sequence of tokens."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from unroll.models.layers.attention import AdditiveAttention
from unroll.models.layers.configuration import Configured
from unroll.models.layers.encoder import causal_layer
from unroll.models.layers.recurrent import CELLS as RECURRENT_CELLS
from unroll.models.layers.transformer import WINDOW

CONTEXTS = ("attention", "initial", "every_step")


@dataclass(frozen=True)
class SequenceDecoderConfig:
    """What a `SequenceDecoder` is made of.

    Args:
        vocabulary: ids, the special ones included.
        context: how the source comes in.
            `attention`: at every step a mean of the source's positions, weighed by the newest output, is read beside
                the token, and the first state comes from the source's mean (Bahdanau et al. 2015; Xu et al. 2015,
                "Show, Attend and Tell"). A Transformer reads the tokens alone, and its output asks the source (Luong et
                al. 2015, section 3), so that it is trained on all tokens at once.
            `initial`: the source's mean is read once, before the first token (Vinyals et al. 2015, "Show and Tell",
                eq. 10-12).
            `every_step`: h = f(Wx x + Wh h + Wv v), the source's mean is added at every step (the captioning RNN of
                Karpathy & Fei-Fei 2015, who add it at the first step only, as Karpathy teaches it).
        cell, layers, kernel_size: see `unroll.models.layers.encoder.encoder`.
        units: features of every layer.
        embedding: features of a token, and of what attention compares.
        dropout: share dropped of tokens' features and of outputs.
        word_dropout: share of the tokens that training hides, so that the source has to say what the tokens before
            would (Bowman et al. 2016, section 3.2.1).
        window: tokens that a Transformer attends to.

    Raises:
        ValueError: for a context that does not exist.
    """

    vocabulary: int
    context: str = "attention"
    cell: str = "lstm"
    units: int = 256
    layers: int = 1
    embedding: int = 128
    dropout: float = 0.0
    word_dropout: float = 0.0
    kernel_size: int = 3
    window: int = WINDOW

    def __post_init__(self):
        if self.context not in CONTEXTS:
            raise ValueError(f"context must be one of {', '.join(CONTEXTS)}. Received: context={self.context!r}")


class Memory(NamedTuple):
    """What the source says at every step; None for what a context does not use.

    Args:
        source: float `[rows, positions, features]`.
        keys: float `[rows, positions, embedding]`.
        mask: bool `[rows, positions]`, False for padding.
        added: float `[rows, embedding]`, added to every token.
    """

    source: tf.Tensor | None = None
    keys: tf.Tensor | None = None
    mask: tf.Tensor | None = None
    added: tf.Tensor | None = None


class State(NamedTuple):
    """What is carried from token to token.

    Args:
        hidden: the newest output, float `[rows, units]`.
        stack: of the recurrent layers or of the convolutions.
    """

    hidden: tf.Tensor
    stack: list[tf.Tensor]


@keras.saving.register_keras_serializable("unroll")
class SequenceDecoder(Configured, keras.layers.Layer):
    """Says which token comes next, from a source and the tokens so far.

    Serving takes steps, one token at a time, of which `models.decoding` makes whole sequences. Training does too where
    a step reads what the one before said; else it takes all tokens at once, with equal outputs.

    Args:
        config: see `SequenceDecoderConfig`.

    Call arguments:
        source: float `[rows, positions, features]`, such as an encoder's output or a picture's grid.
        ids: int32 `[rows, time]`, from the start on, the last one excepted.
        own: float scalar, share of the tokens that in training are not those of `ids` but the model's own likeliest
            (scheduled sampling, Bengio et al. 2015); None for no such tokens.
        source_mask: bool `[rows, positions]`, False for padding; None where there is none.

    Returns:
        Logits `[rows, time, vocabulary]` and attention weights `[rows, time, positions]` (0 positions without
        attention).

    Example:
        >>> decoder = SequenceDecoder(SequenceDecoderConfig(vocabulary=50, units=16))
        >>> source, ids = tf.zeros([2, 49, 32]), tf.constant([[2, 7, 8], [2, 9, 0]])
        >>> logits, weights = decoder(source, ids)
        >>> logits.shape, weights.shape
        (TensorShape([2, 3, 50]), TensorShape([2, 3, 49]))
    """

    Config = SequenceDecoderConfig

    def __init__(self, config: SequenceDecoderConfig, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        units, embedding = config.units, config.embedding
        self.embedding = keras.layers.Embedding(config.vocabulary, embedding, name="embedding")
        self.stack = causal_layer(
            config.cell, units, config.layers, kernel_size=config.kernel_size, window=config.window, name="stack"
        )
        self.dropout = keras.layers.Dropout(config.dropout, name="dropout")
        self.hide = keras.layers.Dropout(config.word_dropout, noise_shape=(None, None, 1), name="hide")
        self.readout = keras.layers.Dense(units, activation="relu", name="readout")
        self.head = keras.layers.Dense(config.vocabulary, name="head", dtype="float32")
        self.recurrent = config.cell in RECURRENT_CELLS
        self.reads_context = config.context == "attention" and config.cell != "transformer"
        if config.context == "attention":
            self.attention = AdditiveAttention(embedding, name="attention")
            self.gate = keras.layers.Dense(1, activation="sigmoid", name="gate")
            self.first_hidden = keras.layers.Dense(units, activation="tanh", name="first_hidden")
        else:
            self.projection = keras.layers.Dense(embedding, name="projection")

    def build(self, source_shape, ids_shape=None):
        features, units, embedding = source_shape[-1], self.config.units, self.config.embedding
        self.embedding.build()
        if self.config.context == "attention":
            self.attention.build([None, units], [None, None, features])
            self.gate.build([None, units])
            self.first_hidden.build([None, features])
            self.stack.build([None, None, embedding + features if self.reads_context else embedding])
            self.first_stack = []
            if self.recurrent:
                states = self.stack.initial_state(1)
                self.first_stack = [
                    keras.layers.Dense(units, activation="tanh", name=f"first_stack_{i}") for i in range(len(states))
                ]
            for layer in self.first_stack:
                layer.build([None, features])
            self.readout.build([None, units + features])
        else:
            self.projection.build([None, features])
            self.stack.build([None, None, embedding])
            self.readout.build([None, units])
        self.head.build([None, units])

    def start(self, source: tf.Tensor, source_mask: tf.Tensor | None = None) -> tuple[Memory, State]:
        """Memory and state before the first token.

        Args:
            source: float `[rows, positions, features]`.
            source_mask: bool `[rows, positions]`, False for padding; None where there is none.
        """
        rows, mean = tf.shape(source)[0], _mean(source, source_mask)  # [N, F]
        stack = self.stack.initial_state(rows)
        hidden = tf.zeros([rows, self.config.units], source.dtype)
        if self.config.context == "attention":
            if self.recurrent:
                stack = [layer(mean) for layer in self.first_stack]
            return Memory(source, self.attention.keys(source), source_mask), State(self.first_hidden(mean), stack)
        if self.config.context == "every_step":
            return Memory(added=self.projection(mean)), State(hidden, stack)
        return Memory(), State(*self.stack.step(self.projection(mean), stack))

    def step(self, ids: tf.Tensor, state: State, memory: Memory) -> tuple[tf.Tensor, State]:
        """One token, for `unroll.models.decoding`.

        Args:
            ids: int32 `[rows]`.
            state: of those rows.
            memory: of those rows.

        Returns:
            Logits over the next token, float32 `[rows, vocabulary]`, and the new state.
        """
        output, _, state = self._step(self.embedding(ids), state, memory)
        return self._logits(output), state

    def call(self, source, ids, own=None, source_mask=None, training=False):
        memory, state = self.start(source, source_mask=source_mask)
        rows, time = tf.shape(ids)[0], tf.shape(ids)[1]
        tokens = self.hide(self.dropout(self.embedding(ids), training=training), training=training)  # [N, T, E]
        mixed = training and own is not None
        if not (mixed or self.reads_context):
            outputs, weights = self._at_once(tokens, state, memory, training)
            return self._logits(self.dropout(outputs, training=training)), weights
        by_time = tf.TensorArray(tokens.dtype, time).unstack(tf.transpose(tokens, [1, 0, 2]))
        chosen = tf.random.uniform([time, rows, 1]) < (own if mixed else 0.0)

        def body(t, said, state, outputs, weights):
            token = by_time.read(t)
            if mixed:
                token = tf.where(chosen[t], self.embedding(said), token)
            output, weight, state = self._step(token, state, memory)
            if mixed:
                said = tf.argmax(self._logits(output), axis=1, output_type=tf.int32)
            return t + 1, said, state, outputs.write(t, output), weights.write(t, weight)

        arrays = [tf.TensorArray(tokens.dtype, time) for _ in range(2)]
        begin = (tf.constant(0), tf.cast(ids[:, 0], tf.int32), state, *arrays)
        *_, outputs, weights = tf.while_loop(lambda t, *_: t < time, body, begin, maximum_iterations=time)
        outputs = tf.transpose(outputs.stack(), [1, 0, 2])  # [N, T, O]
        return (
            self._logits(self.dropout(outputs, training=training)),
            tf.transpose(weights.stack(), [1, 0, 2]),  # [N, T, P]
        )

    def _step(self, token, state: State, memory: Memory) -> tuple[tf.Tensor, tf.Tensor, State]:
        """What the readout reads `[rows, O]`, the attention's weights `[rows, positions]` and the new state."""
        if self.reads_context:
            context, weights = self._look(state.hidden, memory)
            hidden, stack = self.stack.step(tf.concat([token, context], axis=1), state.stack)
            return tf.concat([hidden, context], axis=1), weights, State(hidden, stack)
        token = token if memory.added is None else token + memory.added
        hidden, stack = self.stack.step(token, state.stack)
        return *self._read(hidden, memory), State(hidden, stack)

    def _at_once(self, tokens, state: State, memory: Memory, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """What `_step` gives of tokens `[rows, T, E]`, but the state, where no step needs what the last one said."""
        tokens = tokens if memory.added is None else tokens + memory.added[:, None]
        hidden, _ = self.stack.steps(tokens, state.stack, training=training)  # [N, T, U]
        return self._read(hidden, memory)

    def _read(self, hidden, memory: Memory) -> tuple[tf.Tensor, tf.Tensor]:
        if self.config.context != "attention":
            return hidden, hidden[..., :0]
        context, weights = self._look(hidden, memory)
        return tf.concat([hidden, context], axis=-1), weights

    def _look(self, query, memory: Memory) -> tuple[tf.Tensor, tf.Tensor]:
        context, weights = self.attention(query, memory.source, memory.keys, source_mask=memory.mask)
        return self.gate(query) * context, weights

    def _logits(self, output: Any) -> tf.Tensor:
        return self.head(self.readout(output))


def _mean(source: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """Of the positions that are not padding, `[rows, features]`."""
    if mask is None:
        return tf.reduce_mean(source, axis=1)
    total = tf.reduce_sum(tf.where(mask[..., None], source, 0), axis=1)
    return tf.math.divide_no_nan(total, tf.reduce_sum(tf.cast(mask, source.dtype), axis=1, keepdims=True))
