"""What answers a text: a simple path, and as much of the network as helps on texts that neither was fitted on."""

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from unroll.models.text.bag_of_words import BagOfWordsWeights
from unroll.models.text.classifier import paths
from unroll.pipelines.data.term_counts import TOO_MANY, TermCounts
from unroll.pipelines.data.texts.shards import read_shards
from unroll.pipelines.scoring import bag_of_words
from unroll.pipelines.scoring.calibration import fit_temperatures
from unroll.pipelines.scoring.mixing import mix

BATCH = 64  # texts of a prediction
_MAX_TEXTS = 20_000  # of the train split that are fitted: the network reads all
_SMALL = 4000  # texts of the train split, of which each choice is fitted five times
_MAX_WEIGHTS = 25_000_000


@dataclass(frozen=True)
class Answer:
    """Weights that say how the paths' logits are added up.

    Args:
        network: of the encoders' mean, and of their linear path.
        simple: of the words and characters that the simple path weighs, fitted on train and validation; None without
            one.
        before: the same, not fitted on the validation split.
        weight: of the simple path.
        said: how all this was chosen, or why there is no simple path, in a line; empty where none was asked for.
    """

    network: list[float]
    simple: BagOfWordsWeights | None = None
    before: BagOfWordsWeights | None = None
    weight: float = 0.0
    said: str = ""


def fit_answer(
    model: keras.Model, directory: Path, *, texts: int, vocabulary: int, buckets: int, classes: int
) -> Answer:
    """Fits the simple path, and weighs it and the network.

    The simple path's settings are chosen by cross-validation over the train and the validation split if the first is
    small, else on the validation split; it then learns from both.

    Args:
        model: trained.
        directory: the prepared data set.
        texts: of its train split.
        vocabulary: number of token ids.
        buckets: that pairs of words are hashed into; 0 leaves the simple path out.
        classes: number of classes.
    """
    network, labels = _network(model, directory)
    alone = Answer([*fit_temperatures(network, labels), 0.0][:2])
    weights = classes * (vocabulary + buckets)
    if not buckets:
        return alone
    if weights > _MAX_WEIGHTS:
        said = f"a simple path would have {weights:,} weights, of {_MAX_WEIGHTS:,} at most. Lower model.ngram_buckets"
        return replace(alone, said=f"The network answers alone: {said} for one.")
    train, validation = (
        TermCounts.of(read_shards(directory, split, batch_size=BATCH, words=True), vocabulary, buckets, share)
        for split, share in (("train", min(1.0, _MAX_TEXTS / texts)), ("validation", 1.0))
    )
    learnt = train + validation
    if texts < _SMALL:
        choice, held_out = bag_of_words.cross_validate(learnt, classes)
        scale, simple = fit_temperatures([held_out], learnt.labels)[0], held_out[len(train.labels) :]
        before = next(bag_of_words.fit(train, classes, [choice]))
    else:
        choice, simple, before = bag_of_words.choose(train, validation, classes)
        scale = fit_temperatures([simple], labels)[0]
    served = next(bag_of_words.fit(learnt, classes, [choice]))
    how = "cross-validation" if texts < _SMALL else "the validation split"
    mixed = mix(simple, network, labels, scale)
    untried = "" if learnt.characters is not None else f" Characters were not tried: {TOO_MANY}."
    said = (
        f"The answer begins from {choice}, chosen by {how} and fitted on {len(learnt.labels):,} texts; of the network "
        f"{mixed.share:.0%} counts beside it, which is best for {len(labels):,} validation texts less a standard error."
        f"{untried}"
    )
    return Answer([*mixed.network, 0.0][:2], served, before, mixed.simple, said)


def _network(model: keras.Model, directory: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Logits of the network's paths on the validation split, each float `[records, classes]`, and its labels."""
    batches = read_shards(directory, "validation", batch_size=BATCH)
    answers, labels = zip(*((paths(model.predict_on_batch(ids)), labels) for ids, labels in batches), strict=True)
    logits = [np.concatenate([np.mean(answer["encoders"], axis=1) for answer in answers])]
    if "evidence" in answers[0]:
        logits.append(np.concatenate([answer["evidence"] for answer in answers]))
    return logits, np.concatenate(labels)
