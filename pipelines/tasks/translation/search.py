"""What the validation split says of the search: how far long translations are favoured, and what one is worth."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from unroll.models.encoder_decoder.quality import Quality, doubt
from unroll.models.tokens import PADDING
from unroll.pipelines.tasks.translation.pairs.files import Pair
from unroll.pipelines.tasks.translation.scores.metrics import sentence_chrf, translation_metrics
from unroll.pipelines.tasks.translation.signatures import Search

_TRIED = (0.6, 1.0, 1.4)
_PAIRS = 300  # of the validation split, evenly chosen
_BATCH = 50


def choose_length_penalty(search: Search, pairs: Sequence[Pair]) -> tuple[Search, str]:
    """A search with the penalty whose translations have the best BLEU on some pairs, and what was chosen, in a line.

    Args:
        search: with any penalty.
        pairs: of the validation split.
    """
    pairs = _some(pairs)
    translate = _translating(search)
    scores = []
    for penalty in _TRIED:
        found = [text for texts in _batches(pairs) for text in translate(texts, penalty)[0].numpy()]
        scores.append(translation_metrics([one.decode() for one in found], [pair.target for pair in pairs])["bleu"])
    best = int(np.argmax(scores))
    told = ", ".join(f"{score:.2f} with {penalty}" for penalty, score in zip(_TRIED, scores, strict=True))
    chosen = replace(search, length_penalty=_TRIED[best])
    return chosen, f"model.length_penalty={_TRIED[best]}: BLEU on {len(pairs):,} validation pairs is {told}."


def fit_quality(search: Search, pairs: Sequence[Pair]) -> Quality:
    """The line through the doubt and the chrF of translations of some pairs that leaves the least squares.

    Args:
        search: as it is served.
        pairs: of the validation split.
    """
    pairs = _some(pairs)
    translate = _translating(search)
    answers = [translate(texts, search.length_penalty) for texts in _batches(pairs)]
    found, doubts = (np.concatenate([one[part].numpy() for one in answers]) for part in range(2))
    scores = sentence_chrf([one.decode() for one in found], [pair.target for pair in pairs])
    apart = doubts - doubts.mean()
    slope = max(0.0, -float(apart @ scores) / (float(apart @ apart) or 1.0))  # whoever doubts is not the better for it
    return Quality(best=float(scores.mean() + slope * doubts.mean()), slope=slope)


def _some(pairs: Sequence[Pair]) -> list[Pair]:
    return sorted(pairs[:: -(-len(pairs) // _PAIRS)], key=lambda pair: len(pair.source))


def _batches(pairs: Sequence[Pair]) -> list[tf.Tensor]:
    sources = [pair.source for pair in pairs]
    return [tf.constant(sources[start : start + _BATCH]) for start in range(0, len(sources), _BATCH)]


def _translating(search: Search) -> Callable[[tf.Tensor, float | tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """From texts and a length penalty to translations, and the doubt of each."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([])], autograph=False)
    def translate(texts: tf.Tensor, penalty: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        ids, log_probability = replace(search, length_penalty=penalty)(search.read(texts))
        tokens = tf.math.count_nonzero(ids[:, 0] != PADDING, axis=1, dtype=tf.int32)
        return search.text.decode(ids[:, 0]), doubt(log_probability[:, 0], tokens)

    return translate
