"""N-grams beside a network: counted in the text that it has learnt, weighed as the validation split teaches."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from unroll.models.autoregressive import Autoregressive, State, carried
from unroll.models.text.kneser_ney import Level, gram_keys, interpolated, levels, within
from unroll.models.text.mixture import Experts, Gate, Mixture, contexts_of, experts, weighed, weights_of
from unroll.models.text.ngram_table import NgramTable
from unroll.models.tokens import END, PADDING, START, UNKNOWN
from unroll.pipelines.tasks.language.corpus.data import Split
from unroll.pipelines.tasks.language.corpus.streams import Streams
from unroll.pipelines.tasks.language.scores.ngrams import LEARNT, ORDER

HIDDEN = 16
"""Units of the gate."""
_OUTLIERS = 1e-3  # share of a feature's smallest and largest values, that are taken for smaller ones
_SPREAD = 0.1  # of a feature at least: one that hardly differs must not count for much where it does
_LIMIT = 16_000_000  # bytes of a table
_SAMPLE, _NUMBERS = 100_000, 32_000_000  # units that the gate learns from at most, and numbers to be kept of them
_LEAST = 2_000  # units, below which nothing can be told
_BLOCKS, _FOLDS = 12, 3  # of those, one behind the other; how often a part of them is held out
_WORTHWHILE = 0.003  # nats a character
_STEPS, _RATE, _DECAY = 300, 0.03, 1e-4  # of its learning
_BATCH, _WIDEST = 2000, 500_000  # units of a step at most, and numbers


class Ngrams(NamedTuple):
    """How n-grams are mixed in.

    Args:
        order: of the longest.
        gate: that weighs them.
        gain: nats a character, by blocks of the validation split that were held out.
    """

    order: int
    gate: Gate
    gain: float


def learn_mixture(
    network: Autoregressive, train: Split, validation: Split, *, chunk: int, running: bool
) -> tuple[Ngrams | None, str]:
    """Finds out how n-grams are best mixed in, and whether they help.

    A gate learns to weigh both by the validation split, which neither has learnt. What it gains is measured on blocks
    that were held out when another gate learnt.

    Args:
        network: trained.
        train: what both have learnt.
        validation: what they have not.
        chunk: units that are read at once of each block at most.
        running: whether the pieces are one text.

    Returns:
        How, None where it gains next to nothing; and what was decided, in a line, empty where there is too little to
        decide by.
    """
    characters = network.config.characters
    size = min(len(validation.ids), _SAMPLE, _NUMBERS // len(characters))
    if len(validation.ids) < _LEAST or len(train.ids) < _LEAST:
        return None, ""
    if size < _LEAST:
        return None, f"N-grams are not mixed in: {len(characters):,} units are too many."
    judged = validation.part(len(validation.ids) - size, len(validation.ids))
    counted = _counted([train], characters, running, ORDER)
    order = _best_order(counted, judged.ids, characters)
    counted = counted if order == ORDER else _counted([train], characters, running, order)
    table = _table(counted, characters, running)
    said, targets, blocks = _read(network, table, judged, min(chunk, size // (4 * _BLOCKS)), running)
    known = np.array(characters)[targets]
    folds, nats = blocks * _FOLDS // _BLOCKS, np.zeros(len(targets))
    for fold in range(_FOLDS):
        held = folds == fold
        nats[held] = _nats(_taught(said, targets, ~held), said, targets, held)
    alone = -np.take_along_axis(said.network, targets[:, None], axis=1)[:, 0]
    gained, sizes = np.bincount(blocks, (alone - nats) * (known > 0)), np.bincount(blocks, known)
    gains = gained[sizes > 0] / sizes[sizes > 0]
    gain, chance = gains.mean(), gains.std(ddof=1) / np.sqrt(len(gains))
    if gain < max(_WORTHWHILE, 2 * chance):
        return None, f"N-grams are not mixed in: that would gain {max(0.0, gain):.3f} nats a character."
    gate = _taught(said, targets, np.ones(len(targets), bool))
    weights = weights_of(said.sureness, gate).numpy().mean(axis=0)
    return Ngrams(order, gate, float(gain)), (
        f"N-grams of order {order} are mixed in, {table.bytes / 1e6:.1f} MB of them: on blocks of the validation split "
        f"that were held out, that gains {gain:.3f} nats a character. The logarithms of their probabilities count "
        f"{weights[1]:.2f} times, those of the network's {weights[0]:.2f} times."
    )


def mixed(network: Autoregressive, ngrams: Ngrams, learnt: Sequence[Split], running: bool) -> Mixture:
    """A network with n-grams, counted in the splits that it has learnt, one behind the other."""
    characters = network.config.characters
    counted = _counted(learnt, characters, running, ngrams.order)
    return Mixture(network, _table(counted, characters, running), ngrams.gate)


def _counted(splits: Sequence[Split], characters: Sequence[int], running: bool, order: int) -> list[Level]:
    ids = np.concatenate([_sequence(split, running) for split in splits])
    newest = np.cumsum(np.array(characters)[ids[::-1]])[::-1] <= LEARNT
    ids = ids[newest & (ids != UNKNOWN)]
    if running:
        return within(levels(ids, order), _LIMIT)
    begins = ids == START
    begin = np.maximum.accumulate(np.where(begins, np.arange(len(ids)), 0))
    room = np.where(begins, 0, np.arange(len(ids)) - begin + 1)
    return within(levels(ids, order, np.minimum(room, order)), _LIMIT)


def _sequence(split: Split, running: bool) -> np.ndarray:
    """The newest ids of a split, with what stands between documents."""
    first = max(0, len(split.ids) - LEARNT)
    part = split.part(first, len(split.ids))
    ids = np.asarray(part.ids).astype(np.int64)
    if running:
        return ids
    begins = np.concatenate([[0], part.ends[:-1]])
    return np.insert(ids, np.stack([begins, part.ends], axis=1).ravel(), np.tile([START, END], len(begins)))


def _best_order(counted: Sequence[Level], ids: np.ndarray, characters: Sequence[int]) -> int:
    """The order whose n-grams foresee ids best."""
    ids = np.asarray(ids)[np.asarray(ids) != UNKNOWN]
    found = interpolated(counted, gram_keys(ids, ORDER), np.arange(1, len(ids) + 1), 1 / np.count_nonzero(characters))
    return max(2, int(np.argmin(-np.log(found).mean(axis=1))) + 1)


def _table(counted: Sequence[Level], characters: Sequence[int], running: bool) -> NgramTable:
    may_follow = np.array(characters) > 0
    may_follow[END] |= not running
    return NgramTable(counted, may_follow / may_follow.sum())


def _read(
    network: Autoregressive, table: NgramTable, split: Split, chunk: int, running: bool
) -> tuple[Experts, np.ndarray, np.ndarray]:
    """What both say before each unit of a split, those units int64 `[units]`, and the block of each."""

    @tf.function(autograph=False)
    def read(ids: tf.Tensor, begins: tf.Tensor, scored: tf.Tensor, state: State) -> tuple[Experts, State]:
        state = carried(state, begins)
        logits, after = network.steps(ids, state[:-1])
        contexts, last = contexts_of(ids, state[-1])
        return experts(tf.boolean_mask(logits, scored), table, tf.boolean_mask(contexts, scored)), [*after, last]

    state = [*network.initial_state(_BLOCKS), tf.zeros([_BLOCKS, table.order - 1], tf.int32)]
    said, targets, blocks = [], [], []
    for inputs, following in Streams(split, _BLOCKS, chunk, running).batches(None):
        scored = (following != PADDING) & (following != UNKNOWN)
        one, state = read(inputs["ids"], inputs["begins"], scored, state)
        said.append([part.numpy() for part in one])
        targets.append(tf.boolean_mask(following, scored).numpy())
        blocks.append(np.nonzero(scored.numpy())[0])
    parts = (np.concatenate(part) for part in zip(*said, strict=True))
    return Experts(*parts), np.concatenate(targets).astype(np.int64), np.concatenate(blocks)


def _taught(said: Experts, targets: np.ndarray, rows: np.ndarray) -> Gate:
    """A gate that has learnt from some rows, bool `[units]`."""
    rng, places = np.random.default_rng(0), np.flatnonzero(rows)
    least, most = np.quantile(said.sureness[rows], [_OUTLIERS, 1 - _OUTLIERS], axis=0).astype(np.float32)
    seen = np.clip(said.sureness[rows], least, most)
    mean, spread = seen.mean(axis=0), np.maximum(seen.std(axis=0), _SPREAD)
    size = len(mean)
    begin = [rng.normal(size=(size, HIDDEN)) / np.sqrt(size), np.zeros(HIDDEN), np.zeros((HIDDEN, 2)), [0.5, 0.5]]
    learnt = [tf.Variable(np.asarray(one, np.float32)) for one in begin]
    gate = Gate((least - mean) / spread, (most - mean) / spread, *learnt)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.PolynomialDecay(_RATE, _STEPS, 0.0))
    optimizer.build(learnt)

    @tf.function(autograph=False)
    def learn(network: tf.Tensor, ngrams: tf.Tensor, sureness: tf.Tensor, following: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = weighed(Experts(network, ngrams, sureness), gate)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(following, logits)
            large = sum(tf.reduce_sum(one**2) for one in (gate.inner, gate.outer))
            loss = tf.reduce_mean(losses) + _DECAY * large
        optimizer.apply(tape.gradient(loss, learnt), learnt)

    batch = min(_BATCH, _WIDEST // said.network.shape[1])
    for _ in range(_STEPS):
        drawn = rng.choice(places, batch)
        learn(said.network[drawn], said.ngrams[drawn], (said.sureness[drawn] - mean) / spread, targets[drawn])
    inner, shift, outer, bias = (one.numpy() for one in learnt)
    inner = inner / spread[:, None]
    return Gate(least, most, inner, shift - mean @ inner, outer, bias)


def _nats(gate: Gate, said: Experts, targets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """What the mixture loses on some rows."""
    logits = weighed(Experts(*(part[rows] for part in said)), gate)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(targets[rows], logits).numpy()
