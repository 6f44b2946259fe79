"""Texts as counts of their words, pairs of neighbouring words and runs of characters, a sparse row a text."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from scipy import sparse

from unroll.models.text.characters import BUCKETS, character_runs
from unroll.models.text.ngrams import ngram_features

Batches = Iterable[tuple[tf.Tensor, ...]]
_MAX_RUNS = 4_000_000  # different runs of characters of a text, summed over the texts
TOO_MANY = f"the texts hold more than {_MAX_RUNS:,} different runs of them"
"""Why no characters are counted."""


@dataclass(frozen=True)
class TermCounts:
    """Texts and their classes.

    Args:
        matrix: how often each feature of `unroll.models.text.ngrams` occurs, float32 `[texts, features]`.
        labels: int `[texts]`.
        characters: how often each run of `unroll.models.text.characters` occurs, likewise; None: not counted.
    """

    matrix: sparse.csr_matrix
    labels: np.ndarray
    characters: sparse.csr_matrix | None = None

    @classmethod
    def of(cls, batches: Batches, vocabulary: int, buckets: int, share: float = 1.0) -> "TermCounts":
        """Counts texts.

        Args:
            batches: of token ids, int32 `[batch, time]`, padded with 0; labels, int32 `[batch]`; and the tokens
                themselves, string `[batch]`, a blank between them, without which no characters are counted.
            vocabulary: number of token ids.
            buckets: that pairs are hashed into.
            share: of the batches that are counted, evenly chosen.
        """
        rows: list[np.ndarray] = []
        labels: list[int] = []
        characters = _Characters()
        for number, (ids, of_batch, *words) in enumerate(batches):
            if int((number + 1) * share) > int(number * share):
                rows += [row[row > 0] for row in ngram_features(ids, vocabulary, buckets).numpy()]  # [B, 2T - 1]
                labels += of_batch.numpy().tolist()
                characters.add(words)
        ends = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
        columns = np.concatenate([*rows, np.empty(0, np.int32)])
        ones = np.ones(len(columns), np.float32)
        matrix = sparse.csr_matrix((ones, columns, ends), (len(rows), vocabulary + buckets))
        matrix.sum_duplicates()
        return cls(matrix, np.array(labels, int), characters.matrix(len(rows)))

    def __add__(self, other: "TermCounts") -> "TermCounts":
        matrix = sparse.vstack([self.matrix, other.matrix], format="csr")
        both = None
        if self.characters is not None and other.characters is not None:
            both = sparse.vstack([self.characters, other.characters], format="csr")
        return TermCounts(matrix, np.concatenate([self.labels, other.labels]), both)

    def __getitem__(self, rows: np.ndarray) -> "TermCounts":
        characters = None if self.characters is None else self.characters[rows]
        return TermCounts(self.matrix[rows], self.labels[rows], characters)


def frequent(matrix: sparse.csr_matrix, texts: int, most: int | None = None) -> np.ndarray:
    """Features that so many texts hold, in order.

    Args:
        matrix: how often each occurs, `[texts, features]`.
        texts: that must hold it.
        most: features that are kept at most, those of most texts.
    """
    found = np.bincount(matrix.indices, minlength=matrix.shape[1])
    kept = np.flatnonzero(found >= texts)
    return kept if most is None else np.sort(kept[np.argsort(-found[kept], kind="stable")[:most]])


class _Characters:
    """Gathers runs of characters, as long as there are not too many."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] | None = []
        self._texts = self._runs = 0

    def add(self, words: list[tf.Tensor]) -> None:
        if not words:
            self._parts = None
        if self._parts is None:
            return
        rows, buckets, counts = (one.numpy() for one in character_runs(words[0]))
        self._parts.append((rows + self._texts, buckets, counts))
        self._texts += len(words[0])
        self._runs += len(rows)
        if self._runs > _MAX_RUNS:
            self._parts = None

    def matrix(self, texts: int) -> sparse.csr_matrix | None:
        if not self._parts:
            return None
        rows, buckets, counts = (np.concatenate(one) for one in zip(*self._parts, strict=True))
        return sparse.csr_matrix((counts, (rows, buckets)), (texts, BUCKETS))
