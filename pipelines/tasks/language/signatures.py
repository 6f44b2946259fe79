"""The signatures of an exported model of text."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from unroll.models.autoregressive import Autoregressive, State
from unroll.models.checks import checked, known_ids, known_state
from unroll.models.decoding import SpecialIds, beam_search
from unroll.models.generation import Choice, Written, write
from unroll.models.text.lossless import Units
from unroll.models.text.mixture import Mixture
from unroll.models.tokens import END, PADDING, START, UNKNOWN
from unroll.pipelines.task import Servable
from unroll.pipelines.training.signature import signature

Tensors = dict[str, tf.Tensor]

LENGTH = 200
"""Units that are written where a request does not say how many."""
MAX_LENGTH = 100_000
MAX_TEMPERATURE = 100.0
"""Beyond, what is never to be written is hardly less likely than the rest."""
MAX_BEAM, MAX_SEARCHED = 16, 1000
"""Hypotheses of a search, and units that it writes."""
_SEEDS = 2**31 - 1  # that a client in any language can add to
_CHUNK = (16, 256)  # units that are read at once: more would take memory, fewer time
_NUMBERS = 1 << 25  # of the logits that are held at once, within the least of those units
_WARMUP = (b"", b"A short text,\n", b"a longer text, " * 40)


class Reader:
    """Texts, read by a model from nothing on.

    Args:
        model: trained.
        ids: that there are.
    """

    def __init__(self, model: Autoregressive | Mixture, ids: int):
        self._model, self._ids = model, ids

    def __call__(self, ragged: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, State]:
        """Reads ids, int32 `[rows, (units)]`, of any length, chunk by chunk.

        Returns:
            Their ids, int32 `[rows, units]`, padded with 0; the natural logarithm of each one's probability, float32 of
            that shape; the last id of each, int32 `[rows]`; and the state before that is read.
        """
        lengths = tf.cast(ragged.row_lengths(), tf.int32)
        ids = ragged.to_tensor(PADDING)
        rows, time = tf.shape(ids)[0], tf.shape(ids)[1]
        before = tf.concat([tf.fill([rows, 1], START), ids], axis=1)[:, :time]
        size = tf.clip_by_value(time, 1, tf.clip_by_value(_NUMBERS // self._ids // tf.maximum(rows, 1), *_CHUNK))
        chunks = tf.maximum(1, (time + size - 1) // size)
        filled = [[0, 0], [0, chunks * size - time]]
        before, targets = tf.pad(before, filled), tf.pad(ids, filled)

        def body(chunk, state, found):
            here = slice(chunk * size, (chunk + 1) * size)
            logits, after = self._model.steps(before[:, here], state, tf.clip_by_value(lengths - here.start, 0, size))
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets[:, here], logits)
            return chunk + 1, after, found.write(chunk, -losses)

        state = self._model.initial_state(rows)
        begin = (tf.constant(0), state, tf.TensorArray(tf.float32, chunks, element_shape=[None, None]))
        free = [tf.TensorShape([None, *one.shape[1:]]) for one in state]
        shapes = (tf.TensorShape([]), free, tf.TensorShape(None))
        _, state, found = tf.while_loop(lambda chunk, *_: chunk < chunks, body, begin, shape_invariants=shapes)
        log_probabilities = tf.reshape(tf.transpose(found.stack(), [1, 0, 2]), [rows, chunks * size])[:, :time]
        counted = tf.sequence_mask(lengths, time)
        last = tf.gather(tf.pad(ids, [[0, 0], [1, 0]], constant_values=START), lengths, batch_dims=1)
        return ids, tf.where(counted, log_probabilities, 0.0), last, state


def writer_servable(
    model: Autoregressive | Mixture, units: Units, *, ends: bool, description: Mapping[str, Any]
) -> Servable:
    """What a model of text is served by.

    - `serving_default`: `text` string `[B]` to its `continuation` string `[B]`, with the `log_probability` float32
      `[B]` of all that was written; and of the text itself its `characters` int32 `[B]`, the share of those that are
      `unknown` float32 `[B]`, and its `surprise` float32 `[B]`, nats a known character. Optional, a row each:
      `temperature` float32, by which logits are divided, 0 for the likeliest; `top_k` int32, 0 for all; `top_p`
      float32; `seed` int64; `length` int32, units to write at most; `stop` string `[B, K]`, texts that end the
      continuation and are left out of it; `beam` int32, above 1 to search for the likeliest continuation with so many
      hypotheses, where nothing is drawn.
    - `score`: `text` string `[B]`, optional `context` string `[B]` before it, to `log_probability` float32 `[B]` of its
      known characters, how many those are (`characters` int32 `[B]`) and how many others there are (`unknown` int32
      `[B]`); and of each unit its `ids` int32 `[B, T]`, 1 where it is unknown and 0 behind the text, its text (`units`
      string `[B, T]`) and `log_probabilities` float32 `[B, T]`.
    - `read`: `text` string `[B]` to its last `id` int32 `[B]`, the state before that (`state_0`, ...), and the
      `seed` int64 `[B]` that `serving_default` draws by where it is given 0: another text has other draws.
    - `step`: `id` and state to `logits` float32 `[B, ids]` of what follows, and the new state.
    - `write`: `id`, state, `position` int64 `[B]`, and optionally `temperature`, `top_k`, `top_p`, `seed` and `length`
      to further `text` string `[B]`, the `id`, state and position to go on with, and whether it has `ended` bool `[B]`.
      Written in several calls, a text is as it would be in one.
    - `describe`: a `json` string that says what the model takes.

    Args:
        model: trained, by itself or with n-grams.
        units: of its ids.
        ends: whether texts end. Of a running text an end is never written.
        description: what `describe` says, beside the shapes of the state.
    """
    read, pieces = Reader(model, len(units.characters)), units.pieces
    special = SpecialIds(END, PADDING, (UNKNOWN, START) if ends else (UNKNOWN, START, END))
    sizes = tf.constant(units.characters, tf.int32)
    empty = model.initial_state(1)
    states = [tf.TensorSpec([None, *one.shape[1:]], one.dtype, f"state_{i}") for i, one in enumerate(empty)]
    defaults = {
        "temperature": tf.constant([1.0]),
        "top_k": tf.constant([0]),
        "top_p": tf.constant([1.0]),
        "seed": tf.constant([0], tf.int64),
        "length": tf.constant([LENGTH]),
    }
    stops = {"stop": tf.constant([[""]])}
    beams = {"beam": tf.constant([1])}

    def written(ids: tf.Tensor, state: State, given: Mapping[str, tf.Tensor], **further: tf.Tensor) -> Written:
        settings = {name: _spread(given.get(name, default), tf.shape(ids)[0]) for name, default in defaults.items()}
        settings = _checked(settings)
        length = settings.pop("length")
        return write(model.step, ids, state, length, Choice(**settings), special, **further)

    def searched(ids: tf.Tensor, state: State, length: tf.Tensor, beam: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The likeliest continuations, int32 `[rows, units]`, and their log-probabilities, float32 `[rows]`."""
        most = tf.reduce_max(tf.concat([beam, [1]], axis=0)), tf.reduce_max(tf.concat([length, [0]], axis=0))
        found = beam_search(
            lambda ids, state, _: model.step(ids, state), state, (), ids[:, None], most[1], special,
            beams=most[0], lengths=length, widths=beam,
        )  # fmt: skip
        return found.ids[:, 0], found.log_probability[:, 0]

    def tallied(ids: tf.Tensor, log_probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Known characters, unknown ones, and the logarithm of the probability of the known ones, `[rows]` each."""
        known = tf.gather(sizes, ids)
        unknown = tf.math.count_nonzero(ids == UNKNOWN, axis=1, dtype=tf.int32)
        total = tf.reduce_sum(tf.where(known > 0, log_probabilities, 0.0), axis=1)
        return tf.reduce_sum(known, axis=1), unknown, total

    def serving_default(text: tf.Tensor, **given: tf.Tensor) -> Tensors:
        ids, log_probabilities, last, state = read(units(text))
        known, unknown, total = tallied(ids, log_probabilities)
        rows = tf.shape(text)[0]
        stop, beam, length = (
            _spread(given.get(name, default), rows)
            for name, default in {**stops, **beams, "length": defaults["length"]}.items()
        )
        beam, length = _searchable(beam, length, stop)
        search = beam > 1
        seed = tf.bitwise.bitwise_xor(_spread(given.get("seed", defaults["seed"]), rows), _own_seed(text))
        drawn = {**given, "seed": seed, "length": tf.where(search, 0, length)}
        answer = written(last, state, drawn, stops=stop, pieces=pieces)
        ids, log_probability = tf.cond(
            tf.reduce_any(search),
            lambda: searched(last, state, tf.where(search, length, 0), beam),
            lambda: (tf.zeros([rows, 0], tf.int32), tf.zeros([rows])),
        )
        # of each row, one of the two is empty
        whole = tf.strings.join([units.text(answer.ids), units.text(ids)])
        return {
            "continuation": tf.strings.substr(whole, 0 * answer.stopped, tf.strings.length(whole) - answer.stopped),
            "log_probability": answer.log_probability + log_probability,
            "characters": known + unknown,
            "unknown": tf.math.divide_no_nan(tf.cast(unknown, tf.float32), tf.cast(known + unknown, tf.float32)),
            "surprise": tf.math.divide_no_nan(-total, tf.cast(known, tf.float32)),
        }

    def score(text: tf.Tensor, context: tf.Tensor | None = None) -> Tensors:
        context = tf.constant([""]) if context is None else context
        before = units(_spread(context, tf.shape(text)[0]))
        ids, log_probabilities, _, _ = read(tf.concat([before, units(text)], axis=1))
        first = tf.cast(before.row_lengths(), tf.int32)
        time = tf.shape(ids)[1]
        count = tf.math.count_nonzero(ids != PADDING, axis=1, dtype=tf.int32) - first
        place = tf.range(tf.reduce_max(tf.concat([count, [0]], axis=0)))
        inside = place < count[:, None]
        place = tf.minimum(first[:, None] + place, tf.maximum(time - 1, 0))
        ids = tf.where(inside, tf.gather(ids, place, batch_dims=1), PADDING)
        log_probabilities = tf.where(inside, tf.gather(log_probabilities, place, batch_dims=1), 0.0)
        known, unknown, total = tallied(ids, log_probabilities)
        return {
            "log_probability": total,
            "characters": known,
            "unknown": unknown,
            "ids": ids,
            "units": tf.gather(pieces, ids),
            "log_probabilities": log_probabilities,
        }

    def read_(text: tf.Tensor) -> Tensors:
        _, _, last, state = read(units(text))
        return {"id": last, "seed": _own_seed(text), **_named(state)}

    def step(id: tf.Tensor, **given: tf.Tensor) -> Tensors:
        logits, state = model.step(known_ids(id, len(units.characters)), known_state(given, states))
        return {"logits": logits, **_named(state)}

    def write_(id: tf.Tensor, position: tf.Tensor, **given: tf.Tensor) -> Tensors:
        answer = written(known_ids(id, len(units.characters)), known_state(given, states), given, position=position)
        count = tf.math.count_nonzero(answer.ids, axis=1, dtype=tf.int64)
        further = {"id": answer.last, **_named(answer.state), "position": position + count}
        return {"text": units.text(answer.ids), **further, "ended": answer.ended}

    described = json.dumps(
        {
            **description,
            "length": LENGTH,
            "units": [piece.decode() for piece in pieces.numpy()],
            "state": {spec.name: {"shape": spec.shape.as_list()[1:], "dtype": spec.dtype.name} for spec in states},
        }
    )
    text, id_ = tf.TensorSpec([None], tf.string, "text"), tf.TensorSpec([None], tf.int32, "id")
    module = tf.Module(name="writer")
    module.weights = [weight.value for weight in model.weights]
    module.units = units
    signatures = {
        "serving_default": signature(serving_default, [text], {**defaults, **stops, **beams}, free=stops),
        "score": signature(score, [text], {"context": tf.constant([""])}),
        "read": signature(read_, [text]),
        "step": signature(step, [id_, *states]),
        "write": signature(write_, [id_, *states, tf.TensorSpec([None], tf.int64, "position")], defaults),
        "describe": signature(lambda: {"json": tf.constant(described)}),
    }
    texts = np.array(_WARMUP, object)
    state = {spec.name: one.numpy() for spec, one in zip(states, empty, strict=True)}
    start = {"id": np.array([START], np.int32), **state}
    few = np.array([8], np.int32)
    warmup = [
        ("serving_default", {"text": texts[:2], "length": np.repeat(few, 2)}),
        ("score", {"text": texts}),
        ("step", start),
        ("write", {**start, "position": np.array([0], np.int64), "length": few}),
    ]
    return Servable(module, signatures, warmup)


def _named(state: State) -> Tensors:
    return {f"state_{i}": one for i, one in enumerate(state)}


def _spread(values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """A row for each of so many, where a client sent one for all, or none."""
    return tf.broadcast_to(values, tf.concat([[rows], tf.shape(values)[1:]], axis=0))


def _checked(settings: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Refuses what would be misread."""
    within = {
        "length": (0, MAX_LENGTH, f"0 to {MAX_LENGTH} units"),
        "temperature": (0.0, MAX_TEMPERATURE, f"0 to {MAX_TEMPERATURE:g}"),
        "top_p": (0.0, 1.0, "a share from 0 to 1"),
        "top_k": (0, tf.int32.max, "0, for all, or how many units are kept"),
    }
    # NaN is within nothing
    fine = {
        name: tf.reduce_all((settings[name] >= least) & (settings[name] <= most))
        for name, (least, most, _) in within.items()
    }
    said = tf.constant("")
    for name, (*_, expected) in within.items():
        said = tf.where(fine[name] | (said != ""), said, f"Input '{name}': expected {expected}.")
    return checked(settings, tf.reduce_all(list(fine.values())), lambda: said)


def _searchable(beam: tf.Tensor, length: tf.Tensor, stop: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Refuses a search that is too wide or too long, or that is to stop at a text."""
    wide = tf.reduce_all((beam >= 1) & (beam <= MAX_BEAM))
    long = tf.reduce_any((beam > 1) & (length > MAX_SEARCHED))
    stops = tf.reduce_any((beam > 1)[:, None] & (stop != ""))
    said = tf.where(
        wide,
        tf.where(
            long,
            f"Inputs 'beam' and 'length': a search writes at most {MAX_SEARCHED} units.",
            "Inputs 'beam' and 'stop': a search does not end at a text, leave one of them out.",
        ),
        f"Input 'beam': expected 1 to {MAX_BEAM} hypotheses.",
    )
    return checked((beam, length), wide & ~long & ~stops, lambda: said)


def _own_seed(text: tf.Tensor) -> tf.Tensor:
    """Of each text another number, without which all would be drawn alike, and soon end alike."""
    return tf.strings.to_hash_bucket_fast(text, _SEEDS)
