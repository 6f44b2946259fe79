"""How far long translations are favoured: what the validation split says."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from unroll.pipelines.tasks.translation.pairs.files import Pair
from unroll.pipelines.tasks.translation.scores.metrics import translation_metrics
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
    pairs = sorted(pairs[:: -(-len(pairs) // _PAIRS)], key=lambda pair: len(pair.source))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([])], autograph=False)
    def translate(texts: tf.Tensor, penalty: tf.Tensor) -> tf.Tensor:
        return search.text.decode(replace(search, length_penalty=penalty)(search.read(texts)).ids[:, 0])

    scores = []
    for penalty in _TRIED:
        found: list[str] = []
        for start in range(0, len(pairs), _BATCH):
            texts = tf.constant([pair.source for pair in pairs[start : start + _BATCH]])
            found += [one.decode() for one in translate(texts, penalty).numpy()]
        scores.append(translation_metrics(found, [pair.target for pair in pairs])["bleu"])
    best = int(np.argmax(scores))
    told = ", ".join(f"{score:.2f} with {penalty}" for penalty, score in zip(_TRIED, scores, strict=True))
    chosen = replace(search, length_penalty=_TRIED[best])
    return chosen, f"model.length_penalty={_TRIED[best]}: BLEU on {len(pairs):,} validation pairs is {told}."
