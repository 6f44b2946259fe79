"""What answers a text: a simple path, and as much of the network as helps on texts that neither was fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from scipy.special import log_softmax

from unroll.models.text.bag_of_words import BagOfWordsWeights
from unroll.models.text.classifier import paths
from unroll.pipelines.data.texts.shards import read_shards
from unroll.pipelines.scoring.calibration import fit_temperatures
from unroll.pipelines.scoring.mixing import mix
from unroll.pipelines.tasks.sentiment.simple_path import BATCH, SimplePath
from unroll.pipelines.training.batch_blocks import rows_of


@dataclass(frozen=True)
class Answer:
    """Weights that say how the paths' logits are added up.

    Args:
        network: of the encoders' mean, and of their linear path.
        simple: of the words and characters that the simple path weighs, fitted on train and validation; None without
            one.
        before: the same, not fitted on the validation split.
        weight: of the simple path.
        said: how all this was chosen, in a line; empty where there was nothing to choose.
    """

    network: list[float]
    simple: BagOfWordsWeights | None = None
    before: BagOfWordsWeights | None = None
    weight: float = 0.0
    said: str = ""


def fit_answer(model: keras.Model, directory: Path, simple: SimplePath | None) -> Answer:
    """Weighs the network and the simple path.

    Args:
        model: trained.
        directory: the prepared data set.
        simple: None: the network answers alone.
    """
    network, labels, _ = _network(model, directory)
    if simple is None:
        return Answer([*fit_temperatures(network, labels), 0.0][:2])
    mixed = mix(simple.logits, network, labels, simple.scale)
    said = (
        f"{simple.begins}; of the network {mixed.share:.0%} counts beside it, which is best for {len(labels):,} "
        "validation texts less a standard error."
    )
    said = " ".join(filter(None, [said, simple.untried]))
    return Answer([*mixed.network, 0.0][:2], simple.served, simple.before, mixed.simple, said)


def answer_losses(
    model: keras.Model, directory: Path, simple: SimplePath | None, parts: Sequence[tuple[float, float]]
) -> list[float]:
    """Cross-entropy of the whole answer on parts of the validation split, in nats a text.

    Args:
        model, directory, simple: as of `fit_answer`.
        parts: by the first of which the paths are weighed; those without a text are left out.
    """
    network, labels, sizes = _network(model, directory)
    rows = [rows_of(sizes, *part) for part in parts]
    first = rows[0]
    if simple is None:
        logits = np.tensordot(fit_temperatures([path[first] for path in network], labels[first]), network, axes=1)
    else:
        mixed = mix(simple.logits[first], [path[first] for path in network], labels[first], simple.scale)
        logits = mixed.simple * simple.logits + np.tensordot(mixed.network, network, axes=1)
    losses = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
    return [float(losses[part].mean()) for part in rows if len(part)]


def _network(model: keras.Model, directory: Path) -> tuple[list[np.ndarray], np.ndarray, list[int]]:
    """Logits of the network's paths on the validation split, each float `[texts, classes]`, its labels, and the sizes
    of its batches."""
    batches = read_shards(directory, "validation", batch_size=BATCH)
    answers, labels = zip(*((paths(model.predict_on_batch(ids)), labels) for ids, labels in batches), strict=True)
    logits = [np.concatenate([np.mean(answer["encoders"], axis=1) for answer in answers])]
    if "evidence" in answers[0]:
        logits.append(np.concatenate([answer["evidence"] for answer in answers]))
    return logits, np.concatenate(labels), [len(batch) for batch in labels]
