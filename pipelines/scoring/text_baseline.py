"""What a classifier of texts has to beat: TF-IDF with logistic regression, and always the most frequent class."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from unroll.models.text.ngrams import ngram_features
from unroll.pipelines.scoring.metrics import classification_metrics

TFIDF, MAJORITY = "tfidf", "majority"
MAX_TEXTS = 20_000
"""Training texts that the baseline is fitted on: with more it would cost more than it tells."""
_BUCKETS = 1 << 18
_MIN_TEXTS = 2  # that a word or pair must occur in
_ITERATIONS = 200
Batches = Iterable[tuple[tf.Tensor, tf.Tensor]]


@dataclass
class _Texts:
    """Counts of tokens and of pairs of tokens, a row a text."""

    vocabulary: int
    labels: list[int] = field(default_factory=list)
    columns: list[np.ndarray] = field(default_factory=list)

    def add(self, ids: tf.Tensor, labels: tf.Tensor) -> None:
        features = ngram_features(ids, self.vocabulary, _BUCKETS).numpy()  # [B, 2T - 1]
        self.columns += [row[row > 0] for row in features]
        self.labels += labels.numpy().tolist()

    def matrix(self) -> sparse.csr_matrix:
        ends = np.concatenate([[0], np.cumsum([len(row) for row in self.columns])])
        columns = np.concatenate([*self.columns, np.empty(0, np.int32)])
        shape = (len(self.columns), self.vocabulary + _BUCKETS)
        counts = sparse.csr_matrix((np.ones(len(columns), np.float32), columns, ends), shape)
        counts.sum_duplicates()
        return counts


def text_baselines(
    train: Batches, held_out: dict[str, Batches], vocabulary: int, classes: int, texts: int
) -> dict[str, float]:
    """Scores of the baselines on the held-out splits, of the same tokens that the model is given.

    The regression is of tokens and neighbouring pairs that two texts hold, weighed by TF-IDF with sublinear counts
    and unit rows (Wang & Manning 2012 call such models hard to beat).

    Args:
        train: batches of token ids, int32 `[batch, time]`, padded with 0, and labels, int32 `[batch]`.
        held_out: by split, likewise.
        vocabulary: number of token ids.
        classes: number of classes.
        texts: in the train split; of more than `MAX_TEXTS` an even choice of batches is fitted.

    Returns:
        `{"test/accuracy/tfidf": ..., "test/accuracy/majority": ...}` with the metrics of `classification_metrics`.
    """
    fitted, stride = _Texts(vocabulary), -(-texts // MAX_TEXTS)
    for number, (ids, labels) in enumerate(train):
        if number % stride == 0:
            fitted.add(ids, labels)
    counts, labels = fitted.matrix(), np.array(fitted.labels)
    kept = np.flatnonzero(np.bincount(counts.indices, minlength=counts.shape[1]) >= _MIN_TEXTS)
    prior = (np.bincount(labels, minlength=classes) + 1e-9) / len(labels)
    model = None
    if len(kept) and len(np.unique(labels)) > 1:
        weights = TfidfTransformer(sublinear_tf=True)
        model = LogisticRegression(C=2.0, tol=1e-3, max_iter=_ITERATIONS)
        model.fit(weights.fit_transform(counts[:, kept]), labels)
    scores: dict[str, float] = {}
    for split, batches in held_out.items():
        of_split = _Texts(vocabulary)
        for ids, true in batches:
            of_split.add(ids, true)
        answers = {MAJORITY: np.tile(prior, (len(of_split.labels), 1))}
        if model is not None:
            found = np.zeros((len(of_split.labels), classes))
            found[:, model.classes_] = model.predict_proba(weights.transform(of_split.matrix()[:, kept]))
            answers[TFIDF] = found
        for name in sorted(answers, reverse=True):
            metrics = classification_metrics(np.array(of_split.labels), answers[name])
            scores |= {f"{split}/{metric}/{name}": value for metric, value in metrics.items()}
    return scores
