"""One to many: features of a picture to a sequence of words."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from models.attention import AdditiveAttention
from models.encoder import causal_layer
from models.pieces import START

CONDITIONINGS = ("attention", "show_and_tell", "karpathy")


class Memory(NamedTuple):
    """What a picture says at every step; tensors that a conditioning does not use have no features.

    Args:
        places: float `[rows, places, features]`.
        keys: float `[rows, places, embedding]`.
        added: float `[rows, embedding]`, added to every word.
    """

    places: tf.Tensor
    keys: tf.Tensor
    added: tf.Tensor


class State(NamedTuple):
    """What is carried from word to word.

    Args:
        hidden: the newest output, float `[rows, units]`.
        stack: of the recurrent layers or of the convolutions.
    """

    hidden: tf.Tensor
    stack: list[tf.Tensor]


@keras.saving.register_keras_serializable("unroll")
class CaptionDecoder(keras.layers.Layer):
    """Says what word comes next, from a picture and the words so far.

    Training and serving take the same steps, one word at a time.

    Args:
        vocabulary: ids, the reserved ones included.
        conditioning: how the picture comes in.
            `attention`: at every step a mean of the grid's places, weighed by what was said last, is read beside the
                word, and the first state comes from the grid's mean (Xu et al. 2015, "Show, Attend and Tell").
            `show_and_tell`: the picture is read once, before the first word (Vinyals et al. 2015, eq. 10-12).
            `karpathy`: h = f(Wx x + Wh h + Wv v), the picture is added at every step (the captioning RNN of Karpathy &
                Fei-Fei 2015, who add it at the first step only, as Karpathy teaches it).
        cell: `rnn`, `lstm`, `gru` or `tcn`.
        units: features of every layer.
        layers: recurrent layers, or temporal blocks of a TCN.
        embedding: features of a word, and of what attention compares.
        dropout: share dropped of words' features and of outputs.
        kernel_size: taps of a TCN's convolutions.
        use_cudnn: `auto`, or False to trace a graph that loads on any device.

    Call arguments:
        grid: float `[rows, places, features]`.
        ids: int32 `[rows, time]`, from the start on, the last one excepted.
        own: float scalar, share of the words that in training are not those of `ids` but the model's own likeliest
            (scheduled sampling, Bengio et al. 2015); None for no such words.

    Returns:
        Logits `[rows, time, vocabulary]` and attention weights `[rows, time, places]` (0 places without attention).

    Raises:
        ValueError: for a conditioning or cell that does not exist.
    """

    def __init__(
        self,
        vocabulary: int,
        conditioning: str = "attention",
        cell: str = "lstm",
        units: int = 256,
        layers: int = 1,
        embedding: int = 128,
        dropout: float = 0.0,
        kernel_size: int = 3,
        use_cudnn: bool | str = "auto",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if conditioning not in CONDITIONINGS:
            raise ValueError(
                f"conditioning must be one of {', '.join(CONDITIONINGS)}. Received: conditioning={conditioning!r}"
            )
        self.conditioning = conditioning
        self.units = units
        self.words = keras.layers.Embedding(vocabulary, embedding, name="words")
        self.stack = causal_layer(cell, units, layers, kernel_size=kernel_size, use_cudnn=use_cudnn, name="stack")
        self.dropout = keras.layers.Dropout(dropout, name="dropout")
        self.readout = keras.layers.Dense(units, activation="relu", name="readout")
        self.head = keras.layers.Dense(vocabulary, name="head", dtype="float32")
        self.recurrent = cell != "tcn"
        if conditioning == "attention":
            self.attention = AdditiveAttention(embedding, name="attention")
            self.gate = keras.layers.Dense(1, activation="sigmoid", name="gate")
            self.first_hidden = keras.layers.Dense(units, activation="tanh", name="first_hidden")
        else:
            self.picture = keras.layers.Dense(embedding, name="picture")
        self._config = {
            "vocabulary": vocabulary,
            "conditioning": conditioning,
            "cell": cell,
            "units": units,
            "layers": layers,
            "embedding": embedding,
            "dropout": dropout,
            "kernel_size": kernel_size,
        }

    def build(self, grid_shape, ids_shape=None):
        features, embedding = grid_shape[-1], self._config["embedding"]
        self.words.build()
        if self.conditioning == "attention":
            self.attention.build([None, self.units], [None, None, features])
            self.gate.build([None, self.units])
            self.first_hidden.build([None, features])
            self.stack.build([None, None, embedding + features])
            self.first_stack = []
            if self.recurrent:
                states = self.stack.initial_state(1)
                self.first_stack = [
                    keras.layers.Dense(self.units, activation="tanh", name=f"first_stack_{i}")
                    for i in range(len(states))
                ]
            for layer in self.first_stack:
                layer.build([None, features])
            self.readout.build([None, self.units + features])
        else:
            self.picture.build([None, features])
            self.stack.build([None, None, embedding])
            self.readout.build([None, self.units])
        self.head.build([None, self.units])

    def start(self, grid: tf.Tensor) -> tuple[Memory, State]:
        """Memory and state before the start.

        Args:
            grid: float `[rows, places, features]`.
        """
        rows, mean = tf.shape(grid)[0], tf.reduce_mean(grid, axis=1)  # [N, F]
        nothing = Memory(grid[:, :, :0], grid[:, :, :0], mean[:, :0])
        stack = self.stack.initial_state(rows)
        hidden = tf.zeros([rows, self.units], grid.dtype)
        if self.conditioning == "attention":
            if self.recurrent:
                stack = [layer(mean) for layer in self.first_stack]
            return nothing._replace(places=grid, keys=self.attention.keys(grid)), State(self.first_hidden(mean), stack)
        if self.conditioning == "karpathy":
            return nothing._replace(added=self.picture(mean)), State(hidden, stack)
        return nothing, State(*self.stack.step(self.picture(mean), stack))

    def step(self, ids: tf.Tensor, state: State, memory: Memory) -> tuple[tf.Tensor, State]:
        """One word, for `models.decoding`.

        Args:
            ids: int32 `[rows]`.
            state: of those rows.
            memory: of those rows.

        Returns:
            Logits over the next word, float32 `[rows, vocabulary]`, and the new state.
        """
        output, _, state = self._step(self.words(ids), state, memory)
        return self._logits(output), state

    def call(self, grid, ids, own=None, training=False):
        memory, state = self.start(grid)
        rows, time = tf.shape(ids)[0], tf.shape(ids)[1]
        words = self.dropout(self.words(ids), training=training)  # [N, T, E]
        by_time = tf.TensorArray(words.dtype, time).unstack(tf.transpose(words, [1, 0, 2]))
        mixed = training and own is not None
        chosen = tf.random.uniform([time, rows, 1]) < (own if mixed else 0.0)

        def body(t, said, state, outputs, weights):
            word = by_time.read(t)
            if mixed:
                word = tf.where(chosen[t], self.words(said), word)
            output, weight, state = self._step(word, state, memory)
            if mixed:
                said = tf.argmax(self._logits(output), axis=1, output_type=tf.int32)
            return t + 1, said, state, outputs.write(t, output), weights.write(t, weight)

        arrays = [tf.TensorArray(words.dtype, time) for _ in range(2)]
        begin = (tf.constant(0), tf.fill([rows], START), state, *arrays)
        *_, outputs, weights = tf.while_loop(lambda t, *_: t < time, body, begin, maximum_iterations=time)
        outputs = tf.transpose(outputs.stack(), [1, 0, 2])  # [N, T, O]
        return (
            self._logits(self.dropout(outputs, training=training)),
            tf.transpose(weights.stack(), [1, 0, 2]),  # [N, T, P]
        )

    def _step(self, word, state: State, memory: Memory) -> tuple[tf.Tensor, tf.Tensor, State]:
        """What the readout reads `[rows, O]`, the attention's weights `[rows, places]` and the new state."""
        if self.conditioning != "attention":
            word = word + memory.added if self.conditioning == "karpathy" else word
            hidden, stack = self.stack.step(word, state.stack)
            return hidden, hidden[:, :0], State(hidden, stack)
        context, weights = self.attention(state.hidden, memory.places, memory.keys)
        context = self.gate(state.hidden) * context  # [N, F]
        hidden, stack = self.stack.step(tf.concat([word, context], axis=1), state.stack)
        return tf.concat([hidden, context], axis=1), weights, State(hidden, stack)

    def _logits(self, output: Any) -> tf.Tensor:
        return self.head(self.readout(output))

    def get_config(self):
        return {**super().get_config(), **self._config}
