"""What n-grams foresee, looked up in a graph: a sorted table of contexts, each with the symbols that follow it."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from unroll.models.text.kneser_ney import Level, powers, random_numbers


class Foreseen(NamedTuple):
    """What n-grams say of what follows some contexts.

    Args:
        probabilities: float32 `[rows, ids]`.
        rest: float32 `[rows, order - 1]`, of the last symbol, the last two and so on, the share that they leave to
            shorter contexts: 1 where they were never seen.
    """

    probabilities: tf.Tensor
    rest: tf.Tensor


class NgramTable(keras.layers.Layer):
    """Interpolated n-grams as a graph can ask them, in about 25 small operations whatever their order.

    Contexts of all lengths stand in one sorted array of 64-bit keys, in which a request's are found by halving; what
    follows each stands side by side in another. It takes 16 bytes a context, and 6 or 8 for each thing that follows.

    Args:
        counted: levels of `unroll.models.text.kneser_ney`, of each order from 1 to 2 at least.
        floor: float `[ids]`, what is likely of an id before anything was counted; adds up to 1.

    Call arguments:
        context: int32 `[rows, order - 1]`, ids before that which is foreseen, the last one first; 0 where nothing is.

    Returns:
        See `Foreseen`.

    Example:
        >>> from unroll.models.text.kneser_ney import levels
        >>> table = NgramTable(list(levels(np.array([4, 5, 6] * 20), order=2)), floor=np.full(7, 1 / 7))
        >>> table(tf.constant([[4], [0]])).probabilities.numpy().round(1)
        array([[0. , 0. , 0. , 0. , 0. , 1. , 0. ],
               [0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2]], dtype=float32)
    """

    def __init__(self, counted: Sequence[Level], floor: np.ndarray, **kwargs):
        super().__init__(trainable=False, **kwargs)
        unigrams, *longer = sorted(counted, key=lambda level: level.order)
        self.order, self.size = len(counted), len(floor)
        alone = np.array(floor) * (unigrams.rest[0] if len(unigrams.rest) else 1.0)
        alone[unigrams.symbols] += unigrams.own
        keys = np.concatenate([level.contexts for level in longer]).view(np.int64)
        rising = np.argsort(keys)
        place = np.empty_like(rising)
        place[rising] = np.arange(len(rising))
        first = np.cumsum([0, *(len(level.contexts) for level in longer)])
        owner = place[np.concatenate([begin + one.of_context for begin, one in zip(first, longer, strict=False)])]
        order = np.argsort(owner, kind="stable")
        # the last row stands for any context that was never seen
        self._keys = self._held("keys", np.append(keys[rising], np.iinfo(np.int64).max))
        self._rest = self._held("rest", np.append(np.concatenate([one.rest for one in longer])[rising], 1), np.float32)
        counts = np.bincount(owner, minlength=len(keys))
        self._first = self._held("first", np.cumsum([0, *counts, 0]), np.int32)
        symbols = np.concatenate([one.symbols for one in longer])[order]
        self._symbols = self._held("symbols", symbols, np.int16 if self.size <= np.iinfo(np.int16).max else np.int32)
        self._own = self._held("own", np.concatenate([one.own for one in longer])[order], np.float32)
        self._alone = self._held("alone", alone, np.float32)
        self._numbers = self._held("numbers", random_numbers(self.size).view(np.int64))
        self._powers = powers(self.order - 1).view(np.int64)
        self.built = True

    def build(self, context_shape=None):
        """Nothing is left to do."""

    @property
    def bytes(self) -> int:
        """What it takes of memory, and of a SavedModel."""
        return sum(weight.numpy().nbytes for weight in self.weights)

    def call(self, context):
        rows = tf.shape(context)[0]
        place = self._places(context)
        rest = tf.gather(self._rest.value, place)  # [R, order - 1]
        left = tf.math.cumprod(rest, axis=1, exclusive=True, reverse=True)  # by all longer contexts
        place = tf.reshape(place, [-1])
        begin = tf.gather(self._first.value, place)
        end = tf.cumsum(tf.gather(self._first.value, place + 1) - begin)
        number = tf.range(end[-1])
        owner = tf.searchsorted(end, number, side="right")
        # a context's last entry is the table's last of that context
        entry = number + tf.gather(tf.gather(self._first.value, place + 1) - end, owner)
        share = tf.gather(self._own.value, entry) * tf.gather(tf.reshape(left, [-1]), owner)
        symbol = tf.cast(tf.gather(self._symbols.value, entry), tf.int32)
        where = owner // (self.order - 1) * self.size + symbol
        own = tf.reshape(tf.math.unsorted_segment_sum(share, where, rows * self.size), [rows, self.size])
        return Foreseen(own + left[:, :1] * rest[:, :1] * self._alone, rest)

    def _places(self, context):
        """The row of each context in the table, int32 `[rows, order - 1]`."""
        keys = tf.cumsum(tf.gather(self._numbers.value, context) * self._powers, axis=1)
        known = tf.convert_to_tensor(self._keys.value)  # to gather from a variable has all other reads copy it
        place = tf.reshape(tf.searchsorted(known, tf.reshape(keys, [-1])), tf.shape(keys))
        return tf.where(tf.equal(tf.gather(known, place), keys), place, known.shape[0] - 1)

    def _held(self, name: str, array: np.ndarray, kind: type | None = None) -> keras.Variable:
        """An array as a variable: a constant would stand in the graph once more for each signature."""
        array = array.astype(kind or array.dtype)
        held = self.add_weight(array.shape, "zeros", array.dtype.name, trainable=False, name=name)
        held.assign(array)
        return held
