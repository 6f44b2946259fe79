"""Text that a model writes: a unit at a time, in a loop of the graph that is as lean as it can be.

`unroll.models.decoding` searches for answers to a source; this continues a text, as far as a row asks for, and hands
out the state, so that another call goes on as if there had been none.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from unroll.models.decoding import SpecialIds, drawn

Step = Callable[[tf.Tensor, Any], tuple[tf.Tensor, Any]]
_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # of SplitMix64
_MANTISSA = 24  # bits of a float32


class Choice(NamedTuple):
    """How the next unit is chosen, of each row.

    Args:
        temperature: float32 `[rows]`, by which logits are divided; 0 takes the likeliest.
        top_k: int32 `[rows]`, only the k likeliest (Fan et al. 2018); 0 for all.
        top_p: float32 `[rows]`, only the likeliest that together hold this probability (Holtzman et al. 2020).
        seed: int64 `[rows]`.
    """

    temperature: tf.Tensor
    top_k: tf.Tensor
    top_p: tf.Tensor
    seed: tf.Tensor


class Written(NamedTuple):
    """What was written, of each row.

    Args:
        ids: int32 `[rows, time]`, the end included where it was reached, padding behind.
        log_probability: float32 `[rows]`, natural logarithm, under the model itself.
        last: int32 `[rows]`, the id that the next step is to read.
        ended: bool `[rows]`, whether the end was reached, or what stops it.
        stopped: int32 `[rows]`, bytes of what stopped it, at the end; 0 for nothing.
        state: before `last` is read.
    """

    ids: tf.Tensor
    log_probability: tf.Tensor
    last: tf.Tensor
    ended: tf.Tensor
    stopped: tf.Tensor
    state: Any


def write(
    step: Step,
    ids: tf.Tensor,
    state: Any,
    length: tf.Tensor,
    choice: Choice,
    special: SpecialIds,
    *,
    position: tf.Tensor | int = 0,
    stops: tf.Tensor | None = None,
    pieces: tf.Tensor | None = None,
) -> Written:
    """Goes on from a state.

    A row depends on itself alone: its draws follow from its seed and the position, whatever is beside it and however
    the text is cut into calls.

    Args:
        step: from ids int32 `[rows]` and a state to logits `[rows, vocabulary]` and the new state.
        ids: int32 `[rows]`, the last of each text so far.
        state: before those are read.
        length: int32 `[rows]`, units to write.
        choice: see `Choice`.
        special: what ends a text, and what is never written.
        position: int64 `[rows]`, units that were written by earlier calls.
        stops: string `[rows, K]`, texts after which a row is over; empty ones do not count. They are found where a unit
            ends.
        pieces: string `[vocabulary]`, the text of each unit, for the stops.

    Example:
        >>> def count(ids, state):
        ...     return tf.one_hot(ids + 1, 9, on_value=9.0), state
        >>> cold = Choice(tf.zeros([2]), tf.zeros([2], tf.int32), tf.ones([2]), tf.zeros([2], tf.int64))
        >>> write(count, tf.constant([4, 6]), (), tf.constant([3, 9]), cold, SpecialIds(end=8)).ids.numpy()
        array([[5, 6, 7],
               [7, 8, 0]], dtype=int32)
    """
    rows, longest = tf.shape(ids)[0], tf.reduce_max(tf.concat([length, [0]], axis=0))
    draws = uniform(choice.seed, position, longest)  # [B, T]
    everything = tf.reduce_all((choice.top_k <= 0) & (choice.top_p >= 1))
    suppressed = [special.padding, *special.suppressed]
    stopping = _Stops(stops, pieces) if stops is not None and pieces is not None else None

    def body(t, ids, total, over, tail, stopped, written, state):
        logits, after = step(ids, state)
        never = tf.reduce_any(tf.range(logits.shape[-1])[:, None] == suppressed, axis=1)
        log_probabilities = tf.nn.log_softmax(tf.cast(logits, tf.float32) + tf.where(never, tf.float32.min, 0.0))
        chosen = tf.cond(
            everything,
            lambda: _any(log_probabilities, draws[:, t], choice.temperature),
            lambda: drawn(log_probabilities, draws[:, t], choice.temperature, choice.top_k, choice.top_p),
        )
        total += tf.where(over, 0.0, tf.gather(log_probabilities, chosen, batch_dims=1))
        kept = tf.nest.map_structure(
            lambda new, old: tf.where(tf.reshape(over, [-1] + [1] * (new.shape.rank - 1)), old, new), after, state
        )
        written = written.write(t + 1, tf.where(over, special.padding, chosen))
        ids = tf.where(over, ids, chosen)
        if stopping is not None:
            tail, found = tf.cond(
                stopping.any, lambda: stopping.after(tail, ids), lambda: (tail, tf.zeros([rows], tf.int32))
            )
            stopped = tf.where(over, stopped, found)
        over |= (ids == special.end) | (stopped > 0) | (t + 1 >= length)
        return t + 1, ids, total, over, tail, stopped, written, kept

    begin = (
        tf.constant(0),
        ids,
        tf.zeros([rows]),
        length <= 0,
        tf.fill([rows], "") if stopping is None else stopping.before(rows),
        tf.zeros([rows], tf.int32),
        # an array without an element does not know how many rows it has
        tf.TensorArray(tf.int32, size=1, dynamic_size=True, element_shape=[None]).write(0, ids),
        state,
    )
    _, last, total, _, _, stopped, written, state = tf.while_loop(
        lambda t, ids, total, over, *_: ~tf.reduce_all(over),
        body,
        begin,
        shape_invariants=tf.nest.map_structure(_free, begin),
    )
    written = tf.transpose(written.stack()[1:])  # [B, T]
    return Written(written, total, last, (last == special.end) | (stopped > 0), stopped, state)


def uniform(seed: tf.Tensor, position: tf.Tensor | int, count: tf.Tensor | int) -> tf.Tensor:
    """Numbers from 0 to 1, 1 excluded, each of which follows from its row's seed and its place alone (SplitMix64).

    Args:
        seed: int64 `[rows]`.
        position: int64 `[rows]`, place of the first.
        count: of them.

    Returns:
        float32 `[rows, count]`.

    Example:
        >>> one, other = uniform(tf.constant([7], tf.int64), 0, 5), uniform(tf.constant([7], tf.int64), 2, 3)
        >>> bool(tf.reduce_all(one[:, 2:] == other))
        True
    """
    step, *mixes = (tf.constant(one, tf.uint64) for one in _MULTIPLIERS)
    # seeds side by side must not draw the same numbers one place apart
    start = _mixed(tf.cast(seed, tf.uint64) * step + step, mixes)
    place = tf.cast(
        tf.reshape(tf.cast(position, tf.int64), [-1, 1]) + tf.range(1, tf.cast(count, tf.int64) + 1), tf.uint64
    )
    number = _mixed(start[:, None] + place * step, mixes)
    top = tf.bitwise.right_shift(number, tf.constant(64 - _MANTISSA, tf.uint64))
    return tf.cast(tf.cast(top, tf.int32), tf.float32) * 2.0**-_MANTISSA


def _mixed(number: tf.Tensor, multipliers: Sequence[tf.Tensor]) -> tf.Tensor:
    for shift, multiplier in zip((30, 27), multipliers, strict=True):
        number = (
            tf.bitwise.bitwise_xor(number, tf.bitwise.right_shift(number, tf.constant(shift, tf.uint64))) * multiplier
        )
    return tf.bitwise.bitwise_xor(number, tf.bitwise.right_shift(number, tf.constant(31, tf.uint64)))


def _any(log_probabilities: tf.Tensor, draws: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
    """Drawn from all, without the sorting that `drawn` needs; int32 `[rows]`."""
    cold = temperature <= 0
    share = tf.nn.softmax(log_probabilities / tf.where(cold, 1.0, temperature)[:, None])
    cumulative = tf.cumsum(share, axis=1)
    # below 1 by rounding: a draw up there is the last that is possible
    below = cumulative <= (draws * cumulative[:, -1])[:, None]
    chosen = tf.reduce_sum(tf.cast(below, tf.int32), axis=1)
    return tf.where(cold, tf.argmax(log_probabilities, axis=1, output_type=tf.int32), chosen)


class _Stops:
    """Texts that end a row, found at the end of what is written.

    Args:
        texts: string `[rows, K]`.
        pieces: string `[vocabulary]`.
    """

    def __init__(self, texts: tf.Tensor, pieces: tf.Tensor):
        self._texts, self._pieces = texts, pieces
        self._sizes = tf.strings.length(texts)  # [B, K]
        self._longest = tf.reduce_max(tf.concat([tf.reshape(self._sizes, [-1]), [0]], axis=0))
        self.any = self._longest > 0

    def before(self, rows: tf.Tensor) -> tf.Tensor:
        """So many bytes that a text could be read off, and which no text holds."""
        return tf.fill([rows], tf.strings.reduce_join(tf.fill([self._longest], b"\xff")))

    def after(self, tail: tf.Tensor, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The last bytes after one more unit, and the size of what stops there; 0 for nothing."""
        tail = tf.strings.join([tail, tf.gather(self._pieces, ids)])
        size = tf.fill(tf.shape(tail), self._longest)
        tail = tf.strings.substr(tail, -size, size)
        ends = tf.strings.substr(tf.broadcast_to(tail[:, None], tf.shape(self._texts)), -self._sizes, self._sizes)
        found = tf.where(tf.equal(ends, self._texts), self._sizes, 0)
        return tail, tf.reduce_max(found, axis=1)


def _free(tensor: Any) -> Any:
    """Of a loop's variable: a step may know less of the rows than the state it began with, or more."""
    if isinstance(tensor, tf.TensorArray):
        return tf.TensorShape(None)
    return tf.TensorShape([None, *tensor.shape[1:]]) if tensor.shape.rank else tensor.shape
