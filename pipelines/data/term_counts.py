"""Texts as counts of their words and of pairs of neighbouring words, a sparse row a text."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from scipy import sparse

from unroll.models.text.ngrams import ngram_features

Batches = Iterable[tuple[tf.Tensor, tf.Tensor]]


@dataclass(frozen=True)
class TermCounts:
    """Texts and their classes.

    Args:
        matrix: how often each feature of `unroll.models.text.ngrams` occurs, float32 `[texts, features]`.
        labels: int `[texts]`.
    """

    matrix: sparse.csr_matrix
    labels: np.ndarray

    @classmethod
    def of(cls, batches: Batches, vocabulary: int, buckets: int, share: float = 1.0) -> "TermCounts":
        """Counts batches of token ids, int32 `[batch, time]`, padded with 0, and labels, int32 `[batch]`.

        Args:
            batches: to count.
            vocabulary: number of token ids.
            buckets: that pairs are hashed into.
            share: of the batches that are counted, evenly chosen.
        """
        rows: list[np.ndarray] = []
        labels: list[int] = []
        for number, (ids, of_batch) in enumerate(batches):
            if int((number + 1) * share) > int(number * share):
                rows += [row[row > 0] for row in ngram_features(ids, vocabulary, buckets).numpy()]  # [B, 2T - 1]
                labels += of_batch.numpy().tolist()
        ends = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
        columns = np.concatenate([*rows, np.empty(0, np.int32)])
        ones = np.ones(len(columns), np.float32)
        matrix = sparse.csr_matrix((ones, columns, ends), (len(rows), vocabulary + buckets))
        matrix.sum_duplicates()
        return cls(matrix, np.array(labels, int))

    def __add__(self, other: "TermCounts") -> "TermCounts":
        matrix = sparse.vstack([self.matrix, other.matrix], format="csr")
        return TermCounts(matrix, np.concatenate([self.labels, other.labels]))

    def __getitem__(self, rows: np.ndarray) -> "TermCounts":
        return TermCounts(self.matrix[rows], self.labels[rows])

    def frequent(self, texts: int) -> np.ndarray:
        """Features that so many texts hold, in order."""
        return np.flatnonzero(np.bincount(self.matrix.indices, minlength=self.matrix.shape[1]) >= texts)
