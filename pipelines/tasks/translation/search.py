"""What the validation split says of the search: how far long translations are favoured, and what one is worth."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from unroll.models.encoder_decoder.quality import Quality, doubt
from unroll.pipelines.tasks.translation.pairs.files import Pair
from unroll.pipelines.tasks.translation.scores.metrics import sentence_chrf, translation_metrics
from unroll.pipelines.tasks.translation.signatures import Search

TRIED = (0.6, 1.0, 1.4)
"""Length penalties of which one is chosen."""
_PAIRS = 300  # of the validation split, evenly chosen
_BATCH = 50


def fit_search(search: Search, pairs: Sequence[Pair], penalties: Sequence[float]) -> tuple[Search, Quality, str]:
    """Chooses the length penalty whose translations of some pairs have the best BLEU, and fits their quality.

    Args:
        search: with any penalty.
        pairs: of the validation split.
        penalties: to choose from.

    Returns:
        The search with it, what its translations are worth, and what was chosen, in a line; empty of one penalty.
    """
    pairs = sorted(pairs[:: -(-len(pairs) // _PAIRS)], key=lambda pair: len(pair.source))
    references = [pair.target for pair in pairs]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([])], autograph=False)
    def translate(texts: tf.Tensor, penalty: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        ids, log_probability = replace(search, length_penalty=penalty)(search.read(texts))
        return search.text.decode(ids[:, 0]), doubt(log_probability[:, 0], ids[:, 0])

    scores, answers = [], []
    for penalty in penalties:
        found: list[str] = []
        doubts: list[float] = []
        for start in range(0, len(pairs), _BATCH):
            texts = tf.constant([pair.source for pair in pairs[start : start + _BATCH]])
            translations, doubted = translate(texts, penalty)
            found += [one.decode() for one in translations.numpy()]
            doubts += doubted.numpy().tolist()
        scores.append(translation_metrics(found, references)["bleu"])
        answers.append((found, np.array(doubts)))
    best = int(np.argmax(scores))
    found, doubts_of_best = answers[best]
    told = ", ".join(f"{score:.2f} with {penalty}" for penalty, score in zip(penalties, scores, strict=True))
    said = f"model.length_penalty={penalties[best]}: BLEU on {len(pairs):,} validation pairs is {told}."
    quality = _fit_quality(doubts_of_best, sentence_chrf(found, references))
    return replace(search, length_penalty=penalties[best]), quality, said if len(penalties) > 1 else ""


def _fit_quality(doubts: np.ndarray, scores: np.ndarray) -> Quality:
    """The line through doubts and scores that leaves the least squares, and does not rise."""
    apart = doubts - doubts.mean()
    slope = max(0.0, -float(apart @ scores) / (float(apart @ apart) or 1.0))  # whoever doubts is not the better for it
    return Quality(best=float(scores.mean() + slope * doubts.mean()), slope=slope)
