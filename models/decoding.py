"""From a model that says what may come next to whole sequences: greedy, beam search, sampling.

Written once for every autoregressive task. All of it is TensorFlow operations, so that a SavedModel decodes by itself;
a loop ends as soon as every row has ended.

A task brings a `step(ids, state, memory)`: from ids int32 `[rows]`, a state and a memory to logits `[rows, vocabulary]`
over what comes next and the new state. State and memory are nests of tensors whose first dimension is rows; the memory
is what does not change from step to step, such as the encoded source, and may hold None.

Every sequence continues a prompt: for a translation the start alone, for a language model a text. Prompts are padded on
the right; what is decoded begins behind a row's own last id.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

Step = Callable[[tf.Tensor, Any, Any], tuple[tf.Tensor, Any]]
_NEVER = -1e9  # the logarithm of no probability at all


class SpecialIds(NamedTuple):
    """Ids that mean something to decoding.

    Args:
        end: ends a sequence.
        padding: stands behind the end, and behind shorter prompts; never chosen.
        suppressed: others that are never chosen, such as those of the start and of unknown tokens.
    """

    end: int
    padding: int = 0
    suppressed: tuple[int, ...] = ()


class Decoded(NamedTuple):
    """Sequences without their prompts.

    Args:
        ids: int32 `[..., time]`, the end included where it was reached, then padding.
        log_probability: float32 `[...]`, natural logarithm, of all ids up to the end.
    """

    ids: tf.Tensor
    log_probability: tf.Tensor


def greedy(step: Step, state: Any, memory: Any, prompt: tf.Tensor, max_length: int, special: SpecialIds) -> Decoded:
    """The likeliest next id, again and again.

    Args:
        step: see the module.
        state: before the prompt.
        memory: of as many rows.
        prompt: int32 `[rows, prompt time]`, padded on the right.
        max_length: ids at most, the prompt's excluded.
        special: see there.

    Returns:
        Of each row one sequence: ids `[rows, time]`, log-probability `[rows]`.

    Example:
        >>> def count(ids, state, memory):
        ...     return tf.one_hot(ids + 1, 9, on_value=9.0), state
        >>> greedy(count, (), (), tf.constant([[4], [6]]), max_length=9, special=SpecialIds(end=8)).ids.numpy()
        array([[5, 6, 7, 8],
               [7, 8, 0, 0]], dtype=int32)
    """

    def choose(log_probabilities, t):
        return tf.argmax(log_probabilities, axis=1, output_type=tf.int32)

    return _roll(step, state, memory, prompt, max_length, special, choose)


def sample(
    step: Step,
    state: Any,
    memory: Any,
    prompt: tf.Tensor,
    max_length: int,
    special: SpecialIds,
    *,
    seed: tf.Tensor,
    temperature: tf.Tensor,
    top_k: tf.Tensor,
    top_p: tf.Tensor,
) -> Decoded:
    """Draws each id from what the model thinks possible; every row has settings of its own.

    A row's draw depends on its seed alone, not on the rows beside it.

    Args:
        step, state, memory, prompt, max_length, special: as of `greedy`.
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
        return drawn(log_probabilities, draws[:, t], temperature, top_k, top_p)

    return _roll(step, state, memory, prompt, max_length, special, choose)


def drawn(
    log_probabilities: tf.Tensor, draws: tf.Tensor, temperature: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor
) -> tf.Tensor:
    """The ids that numbers from 0 to 1 fall on, int32 `[rows]`, the likeliest ids first.

    Args:
        log_probabilities: float32 `[rows, vocabulary]`.
        draws: float32 `[rows]`.
        temperature, top_k, top_p: as of `sample`.
    """
    vocabulary = tf.shape(log_probabilities)[1]
    ranked, ids = tf.math.top_k(log_probabilities, vocabulary)  # [B, V]
    cold = temperature <= 0
    share = tf.nn.softmax(ranked / tf.where(cold, 1.0, temperature)[:, None])
    before = tf.cumsum(share, axis=1, exclusive=True)
    rank = tf.range(vocabulary)[None]
    kept = (before < top_p[:, None]) & ((rank < top_k[:, None]) | (top_k <= 0)[:, None]) & ~cold[:, None]
    kept = kept | (rank == 0)  # the likeliest stays whatever the settings
    cumulative = tf.cumsum(tf.where(kept, share, 0.0), axis=1)
    threshold = draws * cumulative[:, -1]
    chosen = tf.reduce_sum(tf.cast(cumulative <= threshold[:, None], tf.int32), axis=1)
    last = tf.reduce_sum(tf.cast(kept, tf.int32), axis=1) - 1  # a draw that rounds up to the sum
    return tf.gather(ids, tf.minimum(chosen, last), batch_dims=1)


def beam_search(
    step: Step,
    state: Any,
    memory: Any,
    prompt: tf.Tensor,
    max_length: int | tf.Tensor,
    special: SpecialIds,
    *,
    beams: int | tf.Tensor,
    length_penalty: float | tf.Tensor = 0.0,
    lengths: tf.Tensor | None = None,
    widths: tf.Tensor | None = None,
    bonus: Callable[[Any], tf.Tensor] | None = None,
) -> Decoded:
    """The likeliest sequences that a search with a fixed number of hypotheses finds.

    Hypotheses are ranked by log p / ((5 + length) / 6)^penalty, and a bonus such as that for coverage (Wu et al. 2016,
    eq. 14), the ended ones among the others, and `step` is asked about `rows * beams` rows, those of one sequence side
    by side.

    Args:
        step, state, memory, prompt, max_length, special: as of `greedy`; the rows of state and memory are spread over
            the hypotheses here.
        beams: hypotheses a row.
        length_penalty: 0 ranks by probability, which favours short sequences; about 0.6 to 1 evens that out.
        lengths: int32 `[rows]`, ids of each row at most, none above `max_length`; None: that for all.
        widths: int32 `[rows]`, hypotheses that count of each row, none above `beams`; None: all. What a row's are is
            then as if it had been asked alone; those behind them are of no meaning.
        bonus: from a state to what is added to the hypotheses that it is of, float32 `[rows * beams]`.

    Returns:
        Of each row its hypotheses, best first: ids `[rows, beams, time]`, log-probability `[rows, beams]`.
    """

    def score(total, length):
        return total / tf.pow((5.0 + tf.cast(length, tf.float32)) / 6.0, length_penalty)

    def favour(state):
        return 0.0 if bonus is None else tf.reshape(bonus(state), [-1, beams])

    def body(t, ids, total, length, written, state):
        logits, state = step(tf.reshape(ids, [-1]), state, memory)
        # no sequence has more successors among the best than there are hypotheses
        count = tf.minimum(beams, tf.shape(logits)[1])
        ranked, following = tf.math.top_k(_log_softmax(logits, special), count)  # [B * K, C]
        over = _over(ids, special)[..., None]
        if lengths is not None:
            over |= (t >= lengths)[:, None, None]
        # an ended hypothesis goes on with padding, at no cost
        padding = tf.where(tf.range(count) == 0, 0.0, ranked.dtype.min)
        ranked = tf.where(over, padding, tf.reshape(ranked, [-1, beams, count]))  # [B, K, C]
        following = tf.where(over, special.padding, tf.reshape(following, [-1, beams, count]))  # [B, K, C]
        totals = total[..., None] + ranked
        sizes = length[..., None] + tf.cast(~over, tf.int32)
        scores = score(totals, sizes) if bonus is None else score(totals, sizes) + favour(state)[..., None]
        _, best = tf.math.top_k(tf.reshape(scores, [-1, beams * count]), beams)  # [B, K]
        parent = best // count
        total = counted(tf.gather(tf.reshape(totals, [-1, beams * count]), best, batch_dims=1))
        ids = tf.gather(tf.reshape(following, [-1, beams * count]), best, batch_dims=1)
        length = tf.gather(sizes[..., 0], parent, batch_dims=1)
        written = tf.gather(written, parent, batch_dims=1)  # [B, K, T]
        written = tf.where(tf.range(max_length) == t, ids[..., None], written)
        flat = tf.reshape(parent + beams * tf.range(rows)[:, None], [-1])  # [B * K]
        return t + 1, ids, total, length, written, tf.nest.map_structure(lambda one: tf.gather(one, flat), state)

    def counted(total):
        return total if widths is None else tf.where(tf.range(beams) < widths[:, None], total, _NEVER)

    rows = tf.shape(prompt)[0]
    newest, state = _read(step, state, memory, prompt, special.padding)
    state, memory = _spread(state, beams), _spread(memory, beams)
    first = tf.where(tf.range(beams) == 0, 0.0, _NEVER)  # all hypotheses are the same prompt: one of them counts
    begin = (
        tf.constant(0),
        tf.repeat(newest[:, None], beams, axis=1),
        tf.tile(first[None], [rows, 1]),
        tf.zeros([rows, beams], tf.int32),
        tf.fill([rows, beams, max_length], special.padding),
        state,
    )
    t, _, total, length, written, state = _while(body, begin, max_length, special)
    order = tf.argsort(score(total, length) + favour(state), axis=1, direction="DESCENDING", stable=True)
    return Decoded(tf.gather(written, order, batch_dims=1)[..., :t], tf.gather(total, order, batch_dims=1))


def score_sequences(
    step: Step, state: Any, memory: Any, prompt: tf.Tensor, ids: tf.Tensor, special: SpecialIds
) -> tf.Tensor:
    """How likely given sequences are.

    Args:
        step, state, memory, prompt, special: as of `greedy`.
        ids: int32 `[rows, count, time]`, that continue each prompt, then padding.

    Returns:
        float32 `[rows, count]`, natural logarithm of the probability of all ids before the padding.

    Example:
        >>> def count(ids, state, memory):
        ...     return tf.one_hot(ids + 1, 9, on_value=9.0), state
        >>> several = tf.constant([[[5, 6, 7, 8], [5, 7, 8, 0]]])
        >>> score_sequences(count, (), (), tf.constant([[4]]), several, SpecialIds(end=8)).numpy().round()
        array([[-0., -9.]], dtype=float32)
    """
    count, time = tf.shape(ids)[1], ids.shape[2]
    flat = tf.reshape(ids, [-1, time])
    state, memory, prompt = _spread((state, memory, prompt), count)
    found = _roll(step, state, memory, prompt, time, special, lambda _, t: flat[:, t])
    return tf.reshape(found.log_probability, [-1, count])


def _roll(
    step: Step,
    state: Any,
    memory: Any,
    prompt: tf.Tensor,
    max_length: int,
    special: SpecialIds,
    choose: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> Decoded:
    """One sequence a row; `choose` takes log-probabilities `[rows, vocabulary]` and the timestep."""

    def body(t, ids, total, written, state):
        logits, state = step(ids, state, memory)
        log_probabilities = _log_softmax(logits, special)
        over = _over(ids, special)
        ids = tf.where(over, special.padding, choose(log_probabilities, t))
        total += tf.where(ids == special.padding, 0.0, tf.gather(log_probabilities, ids, batch_dims=1))
        written = tf.where(tf.range(max_length) == t, ids[:, None], written)
        return t + 1, ids, total, written, state

    rows = tf.shape(prompt)[0]
    newest, state = _read(step, state, memory, prompt, special.padding)
    written = tf.fill([rows, max_length], special.padding)
    begin = (tf.constant(0), newest, tf.zeros([rows]), written, state)
    t, _, total, written, _ = _while(body, begin, max_length, special)
    return Decoded(written[:, :t], total)


def _read(step: Step, state: Any, memory: Any, prompt: tf.Tensor, padding: int) -> tuple[tf.Tensor, Any]:
    """Each prompt's last id, `[rows]`, and the state after all ids before it."""
    if prompt.shape[1] == 1:
        return prompt[:, 0], state
    lengths = tf.math.count_nonzero(prompt != padding, axis=1, dtype=tf.int32)

    def body(t, state):
        _, after = step(prompt[:, t], state, memory)
        inside = t < lengths - 1  # [N]
        kept = tf.nest.map_structure(
            lambda new, old: tf.where(tf.reshape(inside, [-1] + [1] * (new.shape.rank - 1)), new, old), after, state
        )
        return t + 1, kept

    begin = (tf.constant(0), state)
    _, state = tf.while_loop(lambda t, _: t < tf.reduce_max(lengths) - 1, body, begin, shape_invariants=_shapes(begin))
    return tf.gather(prompt, tf.maximum(lengths - 1, 0), batch_dims=1), state


def _while(body: Callable, begin: tuple, max_length: int, special: SpecialIds) -> tuple:
    """Steps until all rows have ended; the loop's second variable is the newest ids."""

    def unended(t, ids, *rest):
        return ~tf.reduce_all(_over(ids, special))

    return tf.while_loop(unended, body, begin, shape_invariants=_shapes(begin), maximum_iterations=max_length)


def _shapes(begin: tuple) -> tuple:
    """Of a loop's variables: a step may know less of the rows than the state it began with, or more."""

    def free(tensor):
        return tf.TensorShape([None, *tensor.shape[1:]]) if tensor.shape.rank else tensor.shape

    return tf.nest.map_structure(free, begin)


def _spread(nest: Any, beams: int) -> Any:
    """Each row as often as there are hypotheses, those of one row side by side."""
    return tf.nest.map_structure(lambda one: one if one is None else tf.repeat(one, beams, axis=0), nest)


def _over(ids: tf.Tensor, special: SpecialIds) -> tf.Tensor:
    return (ids == special.end) | (ids == special.padding)


def _log_softmax(logits: tf.Tensor, special: SpecialIds) -> tf.Tensor:
    """Of all that may follow."""
    suppressed = [special.padding, *special.suppressed]
    never = tf.reduce_any(tf.range(tf.shape(logits)[-1])[:, None] == suppressed, axis=1)
    return tf.nn.log_softmax(tf.cast(logits, tf.float32) + tf.where(never, tf.float32.min, 0.0))
