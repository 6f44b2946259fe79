"""The signatures of an exported translator."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from unroll.models.checks import known_ids, known_state
from unroll.models.decoding import Decoded, beam_search
from unroll.models.encoder_decoder.quality import Quality
from unroll.models.encoder_decoder.translator import Translator
from unroll.models.ensemble import averaged
from unroll.models.sequence_loss import token_losses
from unroll.models.text.subwords import SubwordVocabulary
from unroll.models.tokens import END, PADDING, SPECIAL_IDS, START, UNKNOWN
from unroll.pipelines.task import Servable
from unroll.pipelines.training.signature import signature

Tensors = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Search:
    """How a translation is found.

    Args:
        model: trained.
        text: its subwords.
        max_tokens: subwords of a source that are read.
        max_length: subwords of a translation, the end included.
        beams: hypotheses.
        length_penalty, coverage_penalty: of the search.
    """

    model: Translator
    text: SubwordVocabulary
    max_tokens: int
    max_length: int
    beams: int
    length_penalty: float | tf.Tensor
    coverage_penalty: float = 0.0

    def read(self, texts: tf.Tensor) -> tf.Tensor:
        """Ids of texts, int32 `[rows, positions]`, each with the end behind it."""
        return self.read_cut(texts)[0]

    def read_cut(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """As `read`, and whether each is longer than what is read, bool `[rows]`."""
        ids = self.text.ragged(texts, self.max_tokens + 1)
        ends = tf.fill([tf.size(texts), 1], END)
        kept = tf.concat([ids[:, : self.max_tokens], ends], axis=1).to_tensor(PADDING)
        return kept, ids.row_lengths() > self.max_tokens

    def __call__(self, source: tf.Tensor) -> Decoded:
        """Translations, best first, ids int32 `[rows, beams, time]`, and their log-probabilities."""
        memory, state = self.model.start(source)

        def covered(state):
            looked = tf.minimum(tf.maximum(state.looked, 1e-3), 1.0)
            mask = tf.repeat(source != PADDING, self.beams, axis=0)
            return self.coverage_penalty * tf.reduce_sum(tf.where(mask, tf.math.log(looked), 0.0), axis=1)

        return beam_search(
            self.model.step,
            state,
            memory,
            tf.fill([tf.shape(source)[0], 1], START),
            self.max_length,
            SPECIAL_IDS,
            beams=self.beams,
            length_penalty=self.length_penalty,
            bonus=covered if self.coverage_penalty else None,
        )

    def likely(self, source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """Log-probabilities of targets int32 `[rows, time]`, the end included: float32 `[rows]`."""
        logits = averaged(self.model({"source": source, "target": _before(target)}))
        # what is never written has no part in the probabilities of what is
        ids = tf.range(self.model.config.vocabulary)
        never = tf.reduce_any(ids[:, None] == [SPECIAL_IDS.padding, *SPECIAL_IDS.suppressed], axis=1)
        _, nats = token_losses(tf.where(never & (ids != target[..., None]), logits.dtype.min, logits), target)
        return -tf.reduce_sum(tf.where(target != PADDING, nats, 0.0), axis=1)


def translation_servable(
    search: Search,
    quality: Quality,
    *,
    description: Mapping[str, Any],
    warmup: Sequence[str],
    said: Sequence[str] = (),
) -> Servable:
    """What a translator is served by.

    - `serving_default`: `text` string `[B]` to `translation` string `[B]`, `log_probability` float32 `[B]`, the other
      hypotheses as `alternatives` string `[B, K]` and `alternative_log_probabilities` `[B, K]`, best first; `quality`
      float32 `[B]`, the chrF from 0 to 1 that is to be expected of the translation; and, of the text, the `subwords`
      int32 `[B]` that were read, whether it has more (`cut` bool `[B]`), `unknown` float32 `[B]`, the share of them
      that is unknown, and `rarity` float32 `[B]`, the nats that one of them costs by its frequency alone. The
      translation of nothing is nothing.
    - `score`: `source` and `target` string `[B]` to `log_probability` float32 `[B]` of the target, its end included,
      and `subwords` int32 `[B]`, that it has with its end.
    - `attention`: `text` to `translation`, `source_tokens` string `[B, S]`, its `tokens` string `[B, T]`, empty behind
      the last, and `weights` float32 `[B, T, S]`, what was looked at for each.
    - `read`: `text` to all that `step` takes but the id: `memory_...` and `state_...`.
    - `step`: `id` int32 `[B]`, the memory and the state to `logits` float32 `[B, V]` over the next id and the new
      `state_...`. The first id is `start`, the last `end` of `describe`.
    - `describe`: a `json` string that says what the model takes, and its subwords by id.

    Args:
        search: how a translation is found.
        quality: what one is likely worth.
        description: what `describe` says.
        warmup: texts.
        said: what was decided, a line each.
    """
    model, vocabulary = search.model, search.text

    def serving_default(text: tf.Tensor) -> Tensors:
        source, cut = search.read_cut(text)
        ids, log_probability = search(source)
        count = tf.math.count_nonzero(source != PADDING, axis=1, dtype=tf.int32) - 1
        nothing = (count == 0)[:, None]
        translations = tf.where(nothing, "", vocabulary.decode(ids))  # [B, beams]
        log_probability = tf.where(nothing, 0.0, log_probability)
        unknown = tf.math.count_nonzero(source == UNKNOWN, axis=1, dtype=tf.float32)
        counted = (source != PADDING) & (source != END)
        rarity = -tf.reduce_sum(tf.where(counted, tf.gather(vocabulary.scores, source), 0.0), axis=1)
        return {
            "translation": translations[:, 0],
            "log_probability": log_probability[:, 0],
            "alternatives": translations[:, 1:],
            "alternative_log_probabilities": log_probability[:, 1:],
            "quality": tf.where(count == 0, 1.0, quality(log_probability[:, 0], ids[:, 0])),
            "subwords": count,
            "cut": cut,
            "unknown": tf.math.divide_no_nan(unknown, tf.cast(count, tf.float32)),
            "rarity": tf.math.divide_no_nan(rarity, tf.cast(count, tf.float32)),
        }

    def score(source: tf.Tensor, target: tf.Tensor) -> Tensors:
        ids = search.read(target)
        return {
            "log_probability": search.likely(search.read(source), ids),
            "subwords": tf.math.count_nonzero(ids, axis=1, dtype=tf.int32),
        }

    def attention(text: tf.Tensor) -> Tensors:
        source = search.read(text)
        ids = search(source).ids[:, 0]  # [B, T]
        weights = model.attention(source, _before(ids))
        return {
            "translation": vocabulary.decode(ids),
            "source_tokens": vocabulary.decode.tokens(source),
            "tokens": vocabulary.decode.tokens(ids),
            "weights": weights,
        }

    def read(text: tf.Tensor) -> Tensors:
        memory, state = model.start(search.read(text))
        return {**_named("memory", memory), **_named("state", state)}

    empty_memory, empty_state = model.start(tf.constant([[END]]))
    specs = [
        tf.TensorSpec([None, *_free(prefix, one)], one.dtype, name)
        for prefix, nest in (("memory", empty_memory), ("state", empty_state))
        for name, one in _named(prefix, nest).items()
    ]

    def step(id: tf.Tensor, **given: tf.Tensor) -> Tensors:
        nest = (empty_memory, empty_state)
        memory, state = tf.nest.pack_sequence_as(nest, known_state(given, specs))
        logits, after = model.step(known_ids(id, model.config.vocabulary), state, memory)
        return {"logits": logits, **_named("state", after)}

    pieces = [piece.decode() for piece in vocabulary.decode.pieces.numpy()]
    described = json.dumps({**description, "start": START, "end": END, "pieces": pieces})
    text, id_ = tf.TensorSpec([None], tf.string, "text"), tf.TensorSpec([None], tf.int32, "id")
    sides = [tf.TensorSpec([None], tf.string, name) for name in ("source", "target")]
    module = tf.Module(name="translator")
    module.weights = [weight.value for weight in model.weights]
    module.text = vocabulary
    signatures = {
        "serving_default": signature(serving_default, [text]),
        "score": signature(score, sides),
        "attention": signature(attention, [text]),
        "read": signature(read, [text]),
        "step": signature(step, [id_, *specs]),
        "describe": signature(lambda: {"json": tf.constant(described)}),
    }
    texts = np.array([one.encode() for one in warmup], object)
    return Servable(module, signatures, [("serving_default", {"text": texts})], said)


def _before(ids: tf.Tensor) -> tf.Tensor:
    """What stands before each id, the start first."""
    return tf.pad(ids[:, :-1], [[0, 0], [1, 0]], constant_values=START)


def _named(prefix: str, nest: Any) -> Tensors:
    return {f"{prefix}_{i}": one for i, one in enumerate(tf.nest.flatten(nest))}


def _free(prefix: str, tensor: tf.Tensor) -> list[int | None]:
    """The shape of a row, of which the source's positions are free."""
    shape = tensor.shape.as_list()[1:]
    if prefix == "memory":  # keys and values [heads, positions, width], and a mask [positions]
        return [None] if len(shape) == 1 else [shape[0], None, shape[2]]
    return [None] if shape == [1] and tensor.dtype == tf.float32 else shape
