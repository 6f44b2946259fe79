"""Whether captions of training pictures that look alike are answered, too: the validation split decides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import tensorflow as tf

from unroll.models.caption_memory import Blend, CaptionMemory, PictureKeys, candidates, ranked
from unroll.models.decoding import Decoded
from unroll.models.tokens import UNKNOWN, Detokenizer
from unroll.pipelines.tasks.captioning.answering.answer import FEATURES, LOOKS, Answer, Recall, Search, picture_parts
from unroll.pipelines.tasks.captioning.data import CaptionData
from unroll.pipelines.tasks.captioning.metrics import rouge_l

_MAX_KNOWN = 20_000  # training pictures whose captions are kept
_MAX_ENCODED = 5_000  # up to which they are found by the network's features, too: it takes long to encode more
_MAX_VALIDATION = 1_000  # pictures that decide
_BATCH = 32
_KINDS: tuple[tuple[str, ...], ...] = ((LOOKS,), (FEATURES,), (LOOKS, FEATURES))
_NETWORK = Blend(1.0, 0.0, 1.0)
_WEIGHTS = ((1.0, 0.25), (1.0, 0.5), (1.0, 1.0), (1.0, 2.0), (0.5, 2.0), (0.0, 1.0))
_WIDTHS = (0.01, 0.3, 1.0)
_BLENDS = [Blend(network, neighbours, width) for (network, neighbours), width in product(_WEIGHTS, _WIDTHS)]
_NEAREST = _BLENDS[-len(_WIDTHS)]  # the caption of the nearest one alone


@dataclass(frozen=True)
class Chosen:
    """How captions are answered.

    Args:
        answer: from pictures to captions.
        said: why, in a sentence.
        described: what `describe` says of it.
    """

    answer: Answer
    said: str
    described: Mapping[str, object] | None = None


@dataclass(frozen=True)
class _Tried:
    """What a way to find neighbours leads to on the validation split.

    Args:
        recall: the way.
        kinds: what it goes by.
        found: candidates of all pictures.
        distances: of their neighbours.
        scores: float `[pictures, candidates]`, how good each candidate is.
    """

    recall: Recall
    kinds: tuple[str, ...]
    found: Decoded
    distances: tf.Tensor
    scores: np.ndarray

    def score(self, blend: Blend, length_penalty: float) -> np.ndarray:
        """Of the captions that are answered, float `[pictures]`."""
        best = ranked(self.found, self.distances, blend, length_penalty)[:, 0].numpy()
        return self.scores[np.arange(len(best)), best]


def choose(data: CaptionData, search: Search) -> Chosen:
    """Compares the network alone, the nearest training pictures' captions alone, and blends of both.

    Captions are scored by the mean of ROUGE-L and of whether they match a reference exactly. The network alone stays
    unless the best of the others is ahead of it by more than the standard error of their difference.

    Args:
        data: prepared.
        search: of the trained model.
    """
    ids = _captions(data)
    usable = np.flatnonzero(~np.any(ids == UNKNOWN, axis=1))
    known = usable[:: -(-len(usable) // _MAX_KNOWN)] if len(usable) else usable
    alone = Answer(search)
    if not len(known):
        return Chosen(alone, "Captions are the network's own: those of training pictures have unknown tokens.")
    encoded = len(known) <= _MAX_ENCODED
    parts = _parts(data, search, known, encoded)
    recalls = {
        kinds: _recall({kind: parts[kind] for kind in kinds}, ids[known, : search.max_length])
        for kinds in _KINDS
        if encoded or FEATURES not in kinds
    }
    tried = _tried(data, search, recalls)
    network = tried[0].score(_NETWORK, search.length_penalty)
    scored = [(one, blend, one.score(blend, search.length_penalty)) for one in tried for blend in _BLENDS]
    best, blend, score = max(scored, key=lambda item: item[2].mean())
    nearest = max(item[2].mean() for item in scored if item[1] is _NEAREST)
    gain = score - network
    told = f"of {len(network):,} validation pictures the network alone scores {network.mean():.3f}, the nearest "
    told += f"training picture's caption {nearest:.3f}"
    if gain.mean() <= gain.std() / np.sqrt(len(gain)):
        return Chosen(alone, f"Captions are the network's own: {told} (mean of ROUGE-L and exact match).")
    by = " and ".join(best.kinds)
    how = f"weight {blend.neighbours:g} beside the network's {blend.network:g}" if blend.network else "alone"
    said = f"Captions of the nearest of {len(known):,} training pictures, by {by}, count {how}: {told}, this "
    said += f"{score.mean():.3f} (mean of ROUGE-L and exact match)."
    described = {"pictures": len(known), "by": list(best.kinds), "weight": blend.neighbours, "network": blend.network}
    return Chosen(Answer(search, best.recall, blend), said, described)


def _captions(data: CaptionData) -> np.ndarray:
    """Of each training picture that of its captions which shares most tokens with the others, int32 `[n, time]`."""
    tokens, firsts = data.tokens("train")
    rows = firsts[:-1].copy()
    for picture in np.flatnonzero(np.diff(firsts) > 2):
        several = [frozenset(one.tolist()) for one in tokens[firsts[picture] : firsts[picture + 1]]]
        shared = [sum(len(one & other) / len(one | other) for other in several) for one in several]
        rows[picture] += int(np.argmax(shared))
    return np.asarray(tokens[rows, 1:])


def _parts(data: CaptionData, search: Search, known: np.ndarray, encoded: bool) -> dict[str, np.ndarray]:
    """What the known pictures are found by."""
    model, wanted = search.model, np.zeros(data.images("train"), bool)
    wanted[known] = True

    @tf.function(reduce_retracing=True, autograph=False)
    def parts_of(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        if encoded:
            return picture_parts(model, pixels, model.encode(tf.cast(pixels, tf.float32)))
        return {LOOKS: picture_parts(model, pixels, tf.zeros([1, 1, 1]))[LOOKS]}

    found: dict[str, list[np.ndarray]] = {}
    for pixels in _wanted(data, "train", wanted):
        for kind, values in parts_of(pixels).items():
            found.setdefault(kind, []).append(values.numpy())
    return {kind: np.concatenate(values) for kind, values in found.items()}


def _wanted(data: CaptionData, split: str, wanted: np.ndarray) -> Iterator[tf.Tensor]:
    """Pixels of some pictures of a split, in the order on disk."""
    seen = 0
    for pixels, *_ in data.batches(split, _BATCH, captions_per_image=1, shuffle=None):
        chosen = np.flatnonzero(wanted[seen : seen + len(pixels)])
        seen += len(pixels)
        if len(chosen):
            yield tf.gather(pixels, chosen)


def _recall(parts: Mapping[str, np.ndarray], ids: np.ndarray) -> Recall:
    keys = PictureKeys(parts)
    return Recall(keys, CaptionMemory(keys(parts).numpy(), ids))


def _tried(data: CaptionData, search: Search, recalls: Mapping[tuple[str, ...], Recall]) -> list[_Tried]:
    """Each way to find neighbours on the validation split."""
    model, count = search.model, data.images("validation")
    wanted = np.zeros(count, bool)
    wanted[:: -(-count // _MAX_VALIDATION)] = True

    @tf.function(reduce_retracing=True, autograph=False)
    def answers(pixels: tf.Tensor) -> list[tuple[Decoded, tf.Tensor]]:
        grid = model.encode(tf.cast(pixels, tf.float32))
        written, parts = search(grid), picture_parts(model, pixels, grid)
        nearest = [recall(parts) for recall in recalls.values()]
        likely = search.likely(grid, tf.concat([one.ids for one in nearest], axis=1))  # one loop to trace
        each = tf.split(likely, [one.ids.shape[1] for one in nearest], axis=1)
        return [(candidates(written, one, own), one.distances) for one, own in zip(nearest, each, strict=True)]

    batches = [answers(pixels) for pixels in _wanted(data, "validation", wanted)]
    text, references = Detokenizer(data.vocabulary), data.captions("validation")
    kept = [references[row] for row in np.flatnonzero(wanted)]
    tried = []
    for (kinds, recall), parts in zip(recalls.items(), zip(*batches, strict=True), strict=True):
        found, distances = zip(*parts, strict=True)
        whole = Decoded(*(tf.concat(one, axis=0) for one in zip(*found, strict=True)))
        scores = _scores(text(whole.ids).numpy(), kept)
        tried.append(_Tried(recall, kinds, whole, tf.concat(distances, axis=0), scores))
    return tried


def _scores(captions: np.ndarray, references: Sequence[Sequence[str]]) -> np.ndarray:
    """Mean of ROUGE-L and exact match of each candidate, float `[pictures, candidates]`."""
    scores = np.zeros(captions.shape)
    for column in range(captions.shape[1]):
        said = [caption.decode() for caption in captions[:, column]]
        exact = [caption in known for caption, known in zip(said, references, strict=True)]
        scores[:, column] = (rouge_l(said, references) + exact) / 2
    return scores
