"""A model of what comes next in a sequence of ids, trained on streams whose state is carried from chunk to chunk."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from unroll.models.ensemble import averaged
from unroll.models.layers.configuration import Configured
from unroll.models.layers.encoder import causal_layer
from unroll.models.layers.transformer import WINDOW
from unroll.models.sequence_loss import sequence_cross_entropy
from unroll.models.tokens import PADDING, UNKNOWN

State = list[tf.Tensor]


@dataclass(frozen=True)
class AutoregressiveConfig:
    """What an `Autoregressive` is made of.

    Args:
        characters: of each id, how many characters it stands for; 0 of the special ones. As many as there are ids.
        streams: rows of a training batch, each of which goes on where it ended in the batch before.
        embedding: features of an id.
        cell, units, layers, recurrent_dropout, residual, kernel_size, window: of the stack, see `causal_layer`.
        layer_dropout: share of the features dropped that each layer of the stack reads.
        dropout: share of the stack's outputs dropped.
        members: networks, alike but for their initial weights, each trained by itself, of whose probabilities the mean
            is taken.
    """

    characters: Sequence[int]
    streams: int = 1
    embedding: int = 64
    cell: str = "lstm"
    units: int = 512
    layers: int = 1
    layer_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    dropout: float = 0.0
    residual: bool = False
    kernel_size: int = 3
    window: int = WINDOW
    members: int = 1


@keras.saving.register_keras_serializable("unroll")
class Network(Configured, keras.layers.Layer):
    """Ids to logits of the next one, by an embedding, a causal stack of any cell, and a linear map.

    Args:
        config: see `AutoregressiveConfig`.
    """

    Config = AutoregressiveConfig

    def __init__(self, config: AutoregressiveConfig, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        size = len(config.characters)
        # Keras begins so close to zero that a recurrent stack is all but blind to what it reads for a hundred steps
        wide = keras.initializers.RandomNormal(stddev=1.0)
        self.embedding = keras.layers.Embedding(size, config.embedding, wide, name="embedding")
        self.stack = causal_layer(
            config.cell,
            config.units,
            config.layers,
            dropout=config.layer_dropout,
            recurrent_dropout=config.recurrent_dropout,
            residual=config.residual,
            kernel_size=config.kernel_size,
            window=config.window,
            name="stack",
        )
        self.drop = keras.layers.Dropout(config.dropout, name="dropout")
        self.head = keras.layers.Dense(size, dtype="float32", name="head")
        self.embedding.build([None, None])
        self.stack.build([None, None, config.embedding])
        self.head.build([None, None, config.units])
        # an id that training never shows says nothing when it comes
        known = tf.one_hot(UNKNOWN, size, 0.0, 1.0)[:, None]
        self.embedding.embeddings.assign(self.embedding.embeddings * known)
        self.built = True

    def build(self, ids_shape=None):
        """Nothing is left to do: the configuration knows all shapes."""

    def initial_state(self, rows: tf.Tensor | int) -> State:
        """The state before the first id of so many sequences."""
        return self.stack.initial_state(rows)

    def step(self, ids: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """As `Autoregressive.step`."""
        hidden, after = self.stack.step(self.embedding(ids), state)
        return self.head(hidden), after

    def steps(
        self, ids: tf.Tensor, state: State, lengths: tf.Tensor | None = None, training: bool = False
    ) -> tuple[tf.Tensor, State]:
        """As `Autoregressive.steps`."""
        hidden, after = self.stack.steps(self.embedding(ids), state, lengths, training=training)
        return self.head(self.drop(hidden, training=training)), after


@keras.saving.register_keras_serializable("unroll")
class Autoregressive(Configured, keras.Model):
    """Ids to logits of the next one, by one network or by several, whose probabilities are averaged.

    Truncated backpropagation through time (Williams & Peng 1990): a batch holds a chunk of each stream; the state in
    which a chunk ends is kept, and the next one begins with it, but no gradient passes from chunk to chunk. The kept
    state belongs to a training, not to the model: it is neither among the weights nor saved, and an epoch begins
    without one.

    The loss is the networks' mean cross-entropy in nats a target, or that which `compile` was given: a function of
    targets `[targets]` and one network's logits `[targets, ids]`. `nats_per_character` is of their average, and counts
    the targets that stand for characters: neither the end of a document nor what is unknown, which no two vocabularies
    would count alike.

    Args:
        config: see `AutoregressiveConfig`.

    Call arguments:
        inputs: a dictionary of
            `ids`: int32 `[streams, time]`, what stands before each target, padded on the right.
            `begins`: bool `[streams]`, whether nothing came before. What follows padding must begin: no state is
                carried over it.

    Returns:
        Logits of each network, float `[members, streams, time, ids]`. The targets that `fit` takes are int32
        `[streams, time]`, 0 where none is.

    Example:
        >>> model = Autoregressive(AutoregressiveConfig([0, 0, 0, 0, 1, 1], streams=2, units=8))
        >>> model({"ids": tf.constant([[2, 4, 5], [2, 5, 0]]), "begins": tf.constant([True, True])}).shape
        TensorShape([1, 2, 3, 6])
    """

    Config = AutoregressiveConfig

    def __init__(self, config: AutoregressiveConfig, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.networks = [Network(config, name=f"network_{member}") for member in range(config.members)]
        self._kept = [tf.Variable(one, trainable=False) for one in self.initial_state(config.streams)]
        self._scores = keras.metrics.Mean(name="nats_per_character")
        self.built = True

    def build(self, inputs_shape=None):
        """Nothing is left to do: the configuration knows all shapes."""

    def initial_state(self, rows: tf.Tensor | int) -> State:
        """The state before the first id of so many sequences, network by network."""
        return [one for network in self.networks for one in network.initial_state(rows)]

    def step(self, ids: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """Logits of what follows ids int32 `[rows]`, float `[rows, ids]`, and the state then."""
        found = [network.step(ids, own) for network, own in self._by_network(state)]
        return averaged([logits for logits, _ in found]), [one for _, after in found for one in after]

    def steps(self, ids: tf.Tensor, state: State, lengths: tf.Tensor | None = None) -> tuple[tf.Tensor, State]:
        """Logits of what follows each of ids int32 `[rows, time]`, and the state after each row's last valid one."""
        logits, after = self._read(ids, state, lengths)
        return averaged(logits), after

    def call(self, inputs, training=False):
        logits, after = self._read(inputs["ids"], carried(self._kept, inputs["begins"]), training=training)
        for kept, one in zip(self._kept, after, strict=True):
            kept.assign(tf.stop_gradient(one))
        return tf.stack(logits)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        counted = tf.not_equal(y, PADDING)
        own = [self._loss_of(y, logits, counted) for logits in tf.unstack(y_pred, self.config.members)]
        return tf.add_n(own) / len(own)

    def _loss_of(self, targets, logits, counted):
        if self.loss is not None:
            return tf.reduce_mean(self.loss(tf.boolean_mask(targets, counted), tf.boolean_mask(logits, counted)))
        return sequence_cross_entropy(logits, targets, counted)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        characters = tf.gather(tf.constant(list(self.config.characters), tf.float32), y)
        logits = averaged(tf.unstack(tf.cast(y_pred, tf.float32), self.config.members))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        self._scores.update_state(losses / tf.maximum(characters, 1), characters)
        return self.get_metrics_result()

    def _read(self, ids, state, lengths=None, training=False):
        """Logits of each network, and the state after."""
        found = [network.steps(ids, own, lengths, training) for network, own in self._by_network(state)]
        return [logits for logits, _ in found], [one for _, after in found for one in after]

    def _by_network(self, state):
        size = len(state) // len(self.networks)
        return [(network, state[i * size : (i + 1) * size]) for i, network in enumerate(self.networks)]


def carried(state: State, begins: tf.Tensor) -> State:
    """The state of each row, anew where it begins, bool `[rows]`."""
    return [tf.where(tf.reshape(begins, [-1] + [1] * (one.shape.rank - 1)), tf.zeros_like(one), one) for one in state]
