"""Captions of known pictures as answers for pictures that look alike, beside those that a captioner writes itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from unroll.models.decoding import Decoded
from unroll.models.tokens import PADDING

_UNSUPPORTED = 0.01  # share of the neighbours' votes that a caption without any has
_WORST = -1e9
_ASKED = 500  # known pictures whose nearest others are looked for, about


class Neighbours(NamedTuple):
    """Known pictures that are nearest to each picture.

    Args:
        ids: int32 `[rows, count, time]`, of their captions up to the end, then padding.
        distances: float32 `[rows, count]`, squared, rising.
    """

    ids: tf.Tensor
    distances: tf.Tensor


@dataclass(frozen=True)
class Blend:
    """How much the network and the neighbours count, where candidates are ranked.

    Args:
        network: weight of a caption's log-probability.
        neighbours: weight of the logarithm of its share of the neighbours' votes.
        width: squared distance behind the nearest neighbour at which a vote is a third of that one's.
    """

    network: float
    neighbours: float
    width: float


class Projection(tf.Module):
    """Vectors on the directions in which known ones differ most.

    Args:
        vectors: float `[n, features]` of known pictures.
        count: directions at most.
    """

    def __init__(self, vectors: np.ndarray, count: int = 128):
        super().__init__(name="projection")
        vectors = np.asarray(vectors, np.float32)
        mean = vectors.mean(axis=0)
        centred = vectors - mean
        _, directions = np.linalg.eigh(centred.T @ centred)
        kept = directions[:, ::-1][:, :count]
        self.mean, self.directions = tf.constant(mean, tf.float32), tf.constant(kept, tf.float32)

    def __call__(self, vectors: tf.Tensor) -> tf.Tensor:
        """float `[rows, features]` to float32 `[rows, directions]`."""
        return (tf.cast(vectors, tf.float32) - self.mean) @ self.directions


class CaptionMemory(tf.Module):
    """Finds the captions of the known pictures that are nearest.

    Args:
        keys: float `[n, features]`, what known pictures are found by.
        ids: int32 `[n, time]`, their captions up to the end, then padding.
        count: neighbours that are found at most.

    Call arguments:
        keys: float32 `[rows, features]`.

    Example:
        >>> memory = CaptionMemory(np.array([[0.0], [3.0]]), np.array([[5, 3], [6, 3]], np.int32), count=1)
        >>> memory(tf.constant([[2.0]])).ids.numpy().tolist(), memory(tf.constant([[2.0]])).distances.numpy().tolist()
        ([[[6, 3]]], [[1.0]])
    """

    def __init__(self, keys: np.ndarray, ids: np.ndarray, count: int = 8):
        super().__init__(name="caption_memory")
        self.keys, self.ids = tf.constant(keys, tf.float32), tf.constant(ids, tf.int32)
        self.lengths = tf.reduce_sum(self.keys**2, axis=1)
        self.count = min(count, len(keys))

    def __call__(self, keys: tf.Tensor) -> Neighbours:
        squared = self.lengths - 2 * tf.matmul(keys, self.keys, transpose_b=True)  # less what all rows share
        nearest, found = tf.math.top_k(-squared, self.count)
        distances = tf.maximum(tf.reduce_sum(keys**2, axis=1, keepdims=True) - nearest, 0)
        return Neighbours(tf.gather(self.ids, found), distances)


def candidates(written: Decoded, neighbours: Neighbours, likely: tf.Tensor) -> Decoded:
    """What a captioner wrote and what its neighbours' captions are.

    Args:
        written: of the search, ids `[rows, beams, time]`.
        neighbours: of the same rows.
        likely: float32 `[rows, count]`, log-probabilities of their captions.

    Returns:
        ids `[rows, beams + count, time]` and their log-probabilities.
    """
    time = neighbours.ids.shape[2]
    ids = tf.pad(written.ids, [[0, 0], [0, 0], [0, time - tf.shape(written.ids)[2]]], constant_values=PADDING)
    return Decoded(tf.concat([ids, neighbours.ids], axis=1), tf.concat([written.log_probability, likely], axis=1))


def ranked(found: Decoded, distances: tf.Tensor, blend: Blend, length_penalty: float) -> tf.Tensor:
    """Candidates in the order in which they are answered, best first; a caption's second mention comes last.

    Args:
        found: as `candidates` returns them; the last ones are the neighbours'.
        distances: of the neighbours.
        blend: what counts.
        length_penalty: of the search that found the others.

    Returns:
        int32 `[rows, candidates]`.

    Example:
        >>> ids = tf.constant([[[5, 3], [6, 3], [6, 3]]])
        >>> found = Decoded(ids, tf.math.log([[0.6, 0.3, 0.3]]))
        >>> ranked(found, tf.constant([[0.1]]), Blend(1.0, 1.0, 1.0), 0.0).numpy().tolist()
        [[1, 0, 2]]
    """
    count = tf.shape(distances)[1]
    same = tf.reduce_all(found.ids[:, :, None] == found.ids[:, None], axis=-1)  # [B, C, C]
    votes = tf.nn.softmax((distances[:, :1] - distances) / blend.width)  # [B, K]
    voted = tf.matmul(tf.cast(same[:, :, -count:], tf.float32), votes[..., None])[..., 0]  # [B, C]
    length = tf.reduce_sum(tf.cast(found.ids != PADDING, tf.float32), axis=2)
    likely = found.log_probability / tf.pow((5.0 + length) / 6.0, length_penalty)
    score = blend.network * likely + blend.neighbours * tf.math.log(voted + _UNSUPPORTED)
    earlier = tf.linalg.band_part(tf.ones_like(same[0], tf.float32), -1, 0) - tf.eye(tf.shape(same)[1])
    again = tf.reduce_any(same & (earlier > 0), axis=2)
    return tf.argsort(tf.where(again, _WORST, score), axis=1, direction="DESCENDING", stable=True)


def field_averages(pixels: tf.Tensor, side: int) -> tf.Tensor:
    """Averages of pictures over square fields, fields that share a pixel each with their part of it.

    Args:
        pixels: `[rows, size, size, 3]`.
        side: fields along a side.

    Returns:
        float32 `[rows, side * side * 3]`.
    """
    size = pixels.shape[1]
    edges = np.arange(side + 1) * size / side
    overlap = np.minimum(edges[1:, None], np.arange(1, size + 1)) - np.maximum(edges[:-1, None], np.arange(size))
    shares = tf.constant(np.maximum(overlap, 0) * side / size, tf.float32)  # [side, size]
    fields = tf.einsum("is,bstc,jt->bijc", shares, tf.cast(pixels, tf.float32), shares)
    return tf.reshape(fields, [-1, side * side * 3])


class PictureKeys(tf.Module):
    """What pictures are found by: their looks, and what a network makes of them.

    Args:
        parts: float `[n, features]` of known pictures, by the names of their kinds.

    Call arguments:
        parts: those of other pictures, by the same names; others are ignored.

    Returns:
        float32 `[rows, directions]`; the squared distance between a known picture and the one that is nearest has a
        mean of 1, of each kind.
    """

    def __init__(self, parts: Mapping[str, np.ndarray]):
        super().__init__(name="picture_keys")
        self.projections = {kind: Projection(vectors) for kind, vectors in parts.items()}
        self.scales = {kind: _spacing(self.projections[kind](vectors).numpy()) for kind, vectors in parts.items()}

    def __call__(self, parts: Mapping[str, tf.Tensor]) -> tf.Tensor:
        scaled = [one(parts[kind]) / self.scales[kind] for kind, one in self.projections.items()]
        return tf.concat(scaled, axis=1)


def _spacing(vectors: np.ndarray) -> float:
    """Root of the mean squared distance from a vector to the nearest other."""
    asked = vectors[:: -(-len(vectors) // _ASKED)]
    squared = np.sum(asked**2, axis=1)[:, None] - 2 * asked @ vectors.T + np.sum(vectors**2, axis=1)
    nearest = np.sort(squared, axis=1)[:, :2][:, -1]  # the first one is itself
    return float(np.sqrt(max(np.mean(np.maximum(nearest, 0)), np.mean(np.var(vectors, axis=0)) * 1e-3, 1e-12)))
