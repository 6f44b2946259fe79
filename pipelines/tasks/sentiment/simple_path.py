"""The simple path of a classifier: words and characters, weighed in closed form."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unroll.models.text.bag_of_words import BagOfWordsWeights
from unroll.pipelines.data.term_counts import TOO_MANY, TermCounts
from unroll.pipelines.data.texts.shards import read_shards
from unroll.pipelines.scoring import bag_of_words
from unroll.pipelines.scoring.calibration import fit_temperatures

BATCH = 64  # texts of a prediction
_MAX_TEXTS = 20_000  # of the train split that are fitted: the network reads all
_SMALL = 4000  # texts of the train split, of which each choice is fitted five times
_MAX_WEIGHTS = 25_000_000


@dataclass(frozen=True)
class SimplePath:
    """What knows words and characters, and nothing of their order.

    Args:
        served: fitted on the train and the validation split.
        before: the same, not fitted on the validation split.
        logits: of the validation split's texts, none of which it was fitted on, float `[texts, classes]`.
        scale: of its logits where it answers alone.
        begins: what it is and how it was chosen, as the beginning of a sentence.
        untried: what was not tried, and why, as a sentence; empty if all was.
    """

    served: BagOfWordsWeights
    before: BagOfWordsWeights
    logits: np.ndarray
    scale: float
    begins: str
    untried: str


def too_large(vocabulary: int, buckets: int, classes: int) -> str:
    """Why there can be no simple path, as a sentence; empty if there can."""
    weights = classes * (vocabulary + buckets)
    if not buckets or weights <= _MAX_WEIGHTS:
        return ""
    said = f"a simple path would have {weights:,} weights, of {_MAX_WEIGHTS:,} at most"
    return f"The network answers alone: {said}. Lower model.ngram_buckets for one."


def fit_simple(directory: Path, *, texts: int, vocabulary: int, buckets: int, classes: int) -> SimplePath:
    """Fits it.

    Its settings are chosen by cross-validation over the train and the validation split if the first is small, else on
    the validation split; it then learns from both.

    Args:
        directory: the prepared data set.
        texts: of its train split.
        vocabulary: number of token ids.
        buckets: that pairs of words are hashed into.
        classes: number of classes.
    """
    train, validation = (
        TermCounts.of(read_shards(directory, split, batch_size=BATCH, words=True), vocabulary, buckets, share)
        for split, share in (("train", min(1.0, _MAX_TEXTS / texts)), ("validation", 1.0))
    )
    learnt = train + validation
    if texts < _SMALL:
        choice, held_out = bag_of_words.cross_validate(learnt, classes)
        scale, logits = fit_temperatures([held_out], learnt.labels)[0], held_out[len(train.labels) :]
        before = next(bag_of_words.fit(train, classes, [choice]))
    else:
        choice, logits, before = bag_of_words.choose(train, validation, classes)
        scale = fit_temperatures([logits], validation.labels)[0]
    served = next(bag_of_words.fit(learnt, classes, [choice]))
    how = "cross-validation" if texts < _SMALL else "the validation split"
    begins = f"The answer begins from {choice}, chosen by {how} and fitted on {len(learnt.labels):,} texts"
    untried = "" if learnt.characters is not None else f"Characters were not tried: {TOO_MANY}."
    return SimplePath(served, before, logits, scale, begins, untried)
