"""How captions are answered: those that the network writes, ranked beside those of known pictures that look alike."""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from unroll.models.caption_memory import (
    Blend,
    CaptionMemory,
    Neighbours,
    PictureKeys,
    candidates,
    field_averages,
    ranked,
)
from unroll.models.captioner import Captioner
from unroll.models.decoding import Decoded, beam_search, score_sequences
from unroll.models.own_captioner import OwnCaptioner
from unroll.models.tokens import SPECIAL_IDS, START

_FIELDS = 16  # along a side, whose averages are a picture's looks
LOOKS, FEATURES = "looks", "features"


class Recall(tf.Module):
    """The captions of known pictures.

    Args:
        keys: what they are found by.
        memory: of the known pictures.
    """

    def __init__(self, keys: PictureKeys, memory: CaptionMemory):
        super().__init__(name="recall")
        self.keys, self.memory = keys, memory

    def __call__(self, parts: Mapping[str, tf.Tensor]) -> Neighbours:
        """Those nearest to other pictures, of which `picture_parts` are given."""
        return self.memory(self.keys(parts))


@dataclass(frozen=True)
class Search:
    """The network's part.

    Args:
        model: trained.
        max_length: tokens of a caption, the end included.
        beams: hypotheses.
        length_penalty: of the search.
    """

    model: Captioner | OwnCaptioner
    max_length: int
    beams: int
    length_penalty: float

    def __call__(self, grid: tf.Tensor) -> Decoded:
        """What the network writes about pictures that it has encoded: ids `[B, beams, T]`, best first."""
        memory, state = self.model.start(grid)
        return beam_search(
            self.model.step,
            state,
            memory,
            _starts(grid),
            self.max_length,
            SPECIAL_IDS,
            beams=self.beams,
            length_penalty=self.length_penalty,
        )

    def likely(self, grid: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        """Log-probabilities of given captions, int32 `[B, count, T]`: float32 `[B, count]`."""
        memory, state = self.model.start(grid)
        return score_sequences(self.model.step, state, memory, _starts(grid), ids, SPECIAL_IDS)


@dataclass(frozen=True)
class Answer:
    """All of it.

    Args:
        search: the network's part.
        recall: known pictures; None: the network alone answers.
        blend: how much each counts.
    """

    search: Search
    recall: Recall | None = None
    blend: Blend | None = None

    def __call__(self, pixels: tf.Tensor, grid: tf.Tensor) -> Decoded:
        """Captions, best first, ids `[B, beams, T]`, and their log-probabilities by the network.

        Args:
            pixels: uint8 `[B, S, S, 3]`.
            grid: what the network has made of them.
        """
        written = self.search(grid)
        if self.recall is None or self.blend is None:
            return written
        neighbours = self.recall(picture_parts(self.search.model, pixels, grid))
        found = candidates(written, neighbours, self.search.likely(grid, neighbours.ids))
        order = ranked(found, neighbours.distances, self.blend, self.search.length_penalty)[:, : self.search.beams]
        return Decoded(*(tf.gather(one, order, batch_dims=1) for one in found))


def picture_parts(model: Captioner | OwnCaptioner, pixels: tf.Tensor, grid: tf.Tensor) -> dict[str, tf.Tensor]:
    """What pictures are found by, before it is projected and scaled."""
    return {LOOKS: field_averages(pixels, _FIELDS), FEATURES: model.pooled(grid)}


def _starts(grid: tf.Tensor) -> tf.Tensor:
    return tf.fill([tf.shape(grid)[0], 1], START)
