"""From a model that says what may come next to whole sequences: greedy, beam search, sampling.

Written once for every autoregressive task. All of it is TensorFlow operations, so that a SavedModel decodes by itself;
a loop ends as soon as every row has ended.

A task brings a `step`: from ids int32 `[rows]` and a state (any nest of tensors whose first dimension is rows) to
logits `[rows, vocabulary]` over what comes next and the new state. What does not change from step to step, such as the
encoded source, belongs into the closure, not into the state, so that it is not copied.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from models.pieces import END, PADDING, START, UNKNOWN

Step = Callable[[tf.Tensor, Any], tuple[tf.Tensor, Any]]


class Decoded(NamedTuple):
    """Sequences without their start.

    Args:
        ids: int32 `[..., time]`, the end included where it was reached, then padding.
        log_probability: float32 `[...]`, natural logarithm, of all ids up to the end.
    """

    ids: tf.Tensor
    log_probability: tf.Tensor


def greedy(step: Step, state: Any, rows: tf.Tensor, max_length: int) -> Decoded:
    """The likeliest next id, again and again.

    Args:
        step: see the module.
        state: before the start.
        rows: how many sequences.
        max_length: ids at most.

    Returns:
        Of each row one sequence: ids `[rows, time]`, log-probability `[rows]`.

    Example:
        >>> def count(ids, state):  # START 2, END 3: 2, 3
        ...     return tf.one_hot(ids + 1, 5, on_value=9.0), state
        >>> greedy(count, (), tf.constant(1), 4).ids.numpy()
        array([[3]], dtype=int32)
    """

    def choose(log_probabilities, t):
        return tf.argmax(log_probabilities, axis=1, output_type=tf.int32)

    return _roll(step, state, rows, max_length, choose)


def sample(
    step: Step,
    state: Any,
    max_length: int,
    *,
    seed: tf.Tensor,
    temperature: tf.Tensor,
    top_k: tf.Tensor,
    top_p: tf.Tensor,
) -> Decoded:
    """Draws each id from what the model thinks possible; every row has settings of its own.

    A row's draw depends on its seed alone, not on the rows beside it.

    Args:
        step: see the module.
        state: before the start.
        max_length: ids at most.
        seed: int32 or int64 `[rows]`.
        temperature: float32 `[rows]`, by which logits are divided; 0 is greedy.
        top_k: int32 `[rows]`, only the k likeliest (Fan et al. 2018); 0 for all.
        top_p: float32 `[rows]`, only the likeliest that together hold this probability (nucleus sampling, Holtzman et
            al. 2020); 1 for all.

    Returns:
        Of each row one sequence: ids `[rows, time]` and its log-probability `[rows]` under the model itself, before
        temperature, k and p.
    """
    seeds = tf.stack([tf.cast(seed, tf.int64), tf.zeros_like(seed, tf.int64)], axis=1)
    draws = tf.map_fn(
        lambda one: tf.random.stateless_uniform([max_length], one), seeds, fn_output_signature=tf.float32
    )  # [B, T]

    def choose(log_probabilities, t):
        vocabulary = tf.shape(log_probabilities)[1]
        ranked, ids = tf.math.top_k(log_probabilities, vocabulary)  # [B, V]
        cold = temperature <= 0
        share = tf.nn.softmax(ranked / tf.where(cold, 1.0, temperature)[:, None])
        before = tf.cumsum(share, axis=1, exclusive=True)
        rank = tf.range(vocabulary)[None]
        kept = (before < top_p[:, None]) & ((rank < top_k[:, None]) | (top_k <= 0)[:, None]) & ~cold[:, None]
        kept = kept | (rank == 0)  # the likeliest stays whatever the settings
        cumulative = tf.cumsum(tf.where(kept, share, 0.0), axis=1)
        threshold = draws[:, t] * cumulative[:, -1]
        chosen = tf.reduce_sum(tf.cast(cumulative <= threshold[:, None], tf.int32), axis=1)
        last = tf.reduce_sum(tf.cast(kept, tf.int32), axis=1) - 1  # a draw that rounds up to the sum
        return tf.gather(ids, tf.minimum(chosen, last), batch_dims=1)

    return _roll(step, state, tf.shape(seed)[0], max_length, choose)


def beam_search(
    step: Step, state: Any, rows: tf.Tensor, max_length: int, *, beams: int, length_penalty: float = 0.0
) -> Decoded:
    """The likeliest sequences that a search with a fixed number of hypotheses finds.

    Hypotheses are ranked by log p / ((5 + length) / 6)^penalty (Wu et al. 2016, eq. 14, without coverage), the ended
    ones among the others, and `step` is asked about `rows * beams` rows, those of one sequence side by side.

    Args:
        step: see the module.
        state: before the start, of `rows` rows.
        rows: how many sequences.
        max_length: ids at most.
        beams: hypotheses a row.
        length_penalty: 0 ranks by probability, which favours short sequences; about 0.6 to 1 evens that out.

    Returns:
        Of each row its hypotheses, best first: ids `[rows, beams, time]`, log-probability `[rows, beams]`.
    """

    def spread(tensor):
        return tf.repeat(tensor, beams, axis=0)

    def score(total, length):
        return total / tf.pow((5.0 + tf.cast(length, tf.float32)) / 6.0, length_penalty)

    def body(t, ids, total, length, written, state):
        logits, state = step(tf.reshape(ids, [-1]), state)
        # no sequence has more successors among the best than there are hypotheses
        count = tf.minimum(beams, tf.shape(logits)[1])
        ranked, following = tf.math.top_k(_log_softmax(logits), count)  # [B * K, C]
        over = _over(ids)[..., None]
        # an ended hypothesis goes on with padding, at no cost
        padding = tf.where(tf.range(count) == 0, 0.0, ranked.dtype.min)
        ranked = tf.where(over, padding, tf.reshape(ranked, [-1, beams, count]))  # [B, K, C]
        following = tf.where(over, PADDING, tf.reshape(following, [-1, beams, count]))  # [B, K, C]
        totals = total[..., None] + ranked
        lengths = length[..., None] + tf.cast(~over, tf.int32)
        _, best = tf.math.top_k(tf.reshape(score(totals, lengths), [-1, beams * count]), beams)  # [B, K]
        parent = best // count
        total = tf.gather(tf.reshape(totals, [-1, beams * count]), best, batch_dims=1)
        ids = tf.gather(tf.reshape(following, [-1, beams * count]), best, batch_dims=1)
        length = tf.gather(lengths[..., 0], parent, batch_dims=1)
        written = tf.gather(written, parent, batch_dims=1)  # [B, K, T]
        written = tf.where(tf.range(max_length) == t, ids[..., None], written)
        flat = tf.reshape(parent + beams * tf.range(rows)[:, None], [-1])  # [B * K]
        return t + 1, ids, total, length, written, tf.nest.map_structure(lambda one: tf.gather(one, flat), state)

    state = tf.nest.map_structure(spread, state)
    first = tf.where(tf.range(beams) == 0, 0.0, -1e9)  # all hypotheses are the same start: one of them counts
    begin = (
        tf.constant(0),
        tf.fill([rows, beams], START),
        tf.tile(first[None], [rows, 1]),
        tf.zeros([rows, beams], tf.int32),
        tf.fill([rows, beams, max_length], PADDING),
        state,
    )
    t, _, total, length, written, _ = _while(body, begin, max_length)
    order = tf.argsort(score(total, length), axis=1, direction="DESCENDING", stable=True)
    return Decoded(tf.gather(written, order, batch_dims=1)[..., :t], tf.gather(total, order, batch_dims=1))


def _roll(step: Step, state: Any, rows: tf.Tensor, max_length: int, choose: Callable) -> Decoded:
    """One sequence a row; `choose` takes log-probabilities `[rows, vocabulary]` and the timestep."""

    def body(t, ids, total, written, state):
        logits, state = step(ids, state)
        log_probabilities = _log_softmax(logits)
        over = _over(ids)
        ids = tf.where(over, PADDING, choose(log_probabilities, t))
        total += tf.where(over, 0.0, tf.gather(log_probabilities, ids, batch_dims=1))
        written = tf.where(tf.range(max_length) == t, ids[:, None], written)
        return t + 1, ids, total, written, state

    written = tf.fill([rows, max_length], PADDING)
    begin = (tf.constant(0), tf.fill([rows], START), tf.zeros([rows]), written, state)
    t, _, total, written, _ = _while(body, begin, max_length)
    return Decoded(written[:, :t], total)


def _while(body: Callable, begin: tuple, max_length: int) -> tuple:
    """Steps until all rows have ended; the loop's second variable is the newest ids."""

    def unended(t, ids, *rest):
        return ~tf.reduce_all(_over(ids))

    def free(tensor):  # a step may know less of a shape than the state it began with, or more
        return tf.TensorShape([None, *tensor.shape[1:]]) if tensor.shape.rank else tensor.shape

    shapes = tf.nest.map_structure(free, begin)
    return tf.while_loop(unended, body, begin, shape_invariants=shapes, maximum_iterations=max_length)


def _over(ids: tf.Tensor) -> tf.Tensor:
    return (ids == END) | (ids == PADDING)


def _log_softmax(logits: tf.Tensor) -> tf.Tensor:
    """Of all that may follow: neither padding nor a start does, and nobody wants to read an unknown word."""
    never = tf.reduce_any(tf.range(tf.shape(logits)[-1])[:, None] == [PADDING, UNKNOWN, START], axis=1)
    return tf.nn.log_softmax(tf.cast(logits, tf.float32) + tf.where(never, tf.float32.min, 0.0))
