"""A network and n-grams that answer as one, each weighed by how sure both are."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from unroll.models.autoregressive import Autoregressive, State
from unroll.models.text.ngram_table import NgramTable

_UNLIKELY = 1e-9  # of n-grams: less is not told from nothing
_LEAST_REST = 1e-3  # whose logarithm is taken


class Experts(NamedTuple):
    """What both say of what follows some ids.

    Args:
        network: float32 `[rows, ids]`, natural logarithms of its probabilities.
        ngrams: likewise.
        sureness: float32 `[rows, features]`, mean logarithms of each distribution under each, the largest one
            of each, and those of the shares that the table leaves to shorter contexts.
    """

    network: tf.Tensor
    ngrams: tf.Tensor
    sureness: tf.Tensor


class Gate(NamedTuple):
    """How both are weighed: `weights = tanh(clip(sureness, least, most) @ inner + shift) @ outer + bias`.

    Args:
        least, most: float32 `[features]`, what the gate has seen: beyond, nobody knows what it would say.
        inner: float32 `[features, hidden]`.
        shift: float32 `[hidden]`.
        outer: float32 `[hidden, 2]`.
        bias: float32 `[2]`.
    """

    least: np.ndarray
    most: np.ndarray
    inner: np.ndarray
    shift: np.ndarray
    outer: np.ndarray
    bias: np.ndarray


class Mixture(keras.layers.Layer):
    """Ids to logits of the next one, as `Autoregressive` has them, by a network and n-grams.

    The logits are `a * log p + b * log q` of the network's probabilities p and the n-grams' q. The weights a and b are
    those of a small gate, at each place, as in Neubig & Dyer 2016 ("Generalizing and hybridizing count-based and neural
    language models", arXiv:1606.00499), but that logarithms are weighed, not probabilities.

    The state is that of the network and the last ids, int32 `[rows, order - 1]`, the last one first.

    Args:
        network: trained.
        table: n-grams of the same ids.
        gate: see `Gate`.

    Example:
        >>> model = Mixture(network, table, gate)  # doctest: +SKIP
        >>> logits, state = model.step(tf.constant([5]), model.initial_state(1))  # doctest: +SKIP
    """

    def __init__(self, network: Autoregressive, table: NgramTable, gate: Gate, **kwargs):
        super().__init__(trainable=False, **kwargs)
        self.network, self.table = network, table
        self._gate = Gate(*(tf.constant(one, tf.float32) for one in gate))
        self.built = True

    def initial_state(self, rows: tf.Tensor | int) -> State:
        """The state before the first id of so many sequences."""
        return [*self.network.initial_state(rows), tf.zeros([rows, self.table.order - 1], tf.int32)]

    def step(self, ids: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """As `Autoregressive.step`."""
        logits, after = self.network.step(ids, state[:-1])
        context = tf.concat([ids[:, None], state[-1][:, :-1]], axis=1)
        return weighed(experts(logits, self.table, context), self._gate), [*after, context]

    def steps(self, ids: tf.Tensor, state: State, lengths: tf.Tensor | None = None) -> tuple[tf.Tensor, State]:
        """As `Autoregressive.steps`."""
        logits, after = self.network.steps(ids, state[:-1], lengths)
        contexts, last = contexts_of(ids, state[-1], lengths)
        size = logits.shape[-1]
        said = experts(tf.reshape(logits, [-1, size]), self.table, tf.reshape(contexts, [-1, contexts.shape[-1]]))
        return tf.reshape(weighed(said, self._gate), tf.shape(logits)), [*after, last]


def contexts_of(ids: tf.Tensor, last: tf.Tensor, lengths: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """The context after each id, and after each row's last valid one.

    Args:
        ids: int32 `[rows, time]`.
        last: int32 `[rows, size]`, the context before, the last id first.
        lengths: int32 `[rows]`, valid ids; None: all are.

    Example:
        >>> contexts, last = contexts_of(tf.constant([[7, 8, 9]]), tf.constant([[6, 5]]), tf.constant([2]))
        >>> contexts.numpy().tolist(), last.numpy().tolist()
        ([[[7, 6], [8, 7], [9, 8]]], [[8, 7]])
    """
    size, time = last.shape[1], tf.shape(ids)[1]
    read = tf.concat([tf.reverse(last, [1]), ids], axis=1)  # [B, size + T]
    contexts = tf.stack([read[:, size - back : size - back + time] for back in range(size)], axis=2)
    ends = tf.fill([tf.shape(ids)[0]], time) if lengths is None else lengths
    return contexts, tf.gather(read, ends[:, None] + tf.range(size - 1, -1, -1), batch_dims=1)


def experts(logits: tf.Tensor, table: NgramTable, contexts: tf.Tensor) -> Experts:
    """What a network and n-grams say.

    Args:
        logits: float `[rows, ids]`, the network's.
        table: of n-grams.
        contexts: int32 `[rows, order - 1]`.
    """
    network = tf.nn.log_softmax(tf.cast(logits, tf.float32))
    probabilities, rest = table(contexts)
    ngrams = tf.math.log(tf.maximum(probabilities, _UNLIKELY))
    likely = tf.exp(network)
    means = [tf.reduce_sum(p * log, axis=1) for p in (likely, probabilities) for log in (network, ngrams)]
    most = [tf.reduce_max(log, axis=1) for log in (network, ngrams)]
    left = tf.math.log(tf.maximum(rest, _LEAST_REST))
    return Experts(network, ngrams, tf.concat([tf.stack([*means, *most], axis=1), left], axis=1))


def weights_of(sureness: tf.Tensor, gate: Gate) -> tf.Tensor:
    """By what the logarithms of the network's and of the n-grams' probabilities are multiplied, float32 `[rows, 2]`."""
    sureness = tf.minimum(tf.maximum(sureness, gate.least), gate.most)
    return tf.matmul(tf.tanh(tf.matmul(sureness, gate.inner) + gate.shift), gate.outer) + gate.bias


def weighed(said: Experts, gate: Gate) -> tf.Tensor:
    """Logits of the mixture, float32 `[rows, ids]`."""
    weights = weights_of(said.sureness, gate)
    return weights[:, :1] * said.network + weights[:, 1:] * said.ngrams
