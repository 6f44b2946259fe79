"""Fits the simple path of a classifier of texts: naive Bayes first, a regression of what it leaves, both convex.

Naive Bayes is of words and pairs of words; the regression may be of runs of characters, too.

Wang & Manning 2012, "Baselines and Bigrams": naive Bayes is the better on few short texts, a regression on many or long
ones. So the regression begins from the logits of naive Bayes, and how much they count, from nothing on, is chosen with
its penalty on texts that neither was fitted on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import log_softmax

from unroll.models.text.bag_of_words import BagOfWordsWeights
from unroll.models.text.characters import BUCKETS, CharacterWeights
from unroll.pipelines.data.term_counts import TermCounts, frequent
from unroll.pipelines.scoring.calibration import fit_temperatures

_MIN_TEXTS = 2  # that a word or pair of the regression must occur in
_MAX_WEIGHTS = 4_000_000  # of the regression; of more, those of the most frequent words and pairs are fitted
_MAX_CHARACTER_WEIGHTS = 2_000_000  # likewise of those of runs of characters
_SMOOTHING = 1.0  # texts added to the count of every feature in a class, on average
_ITERATIONS = 50
_TOLERANCE = 1e-5  # of the penalised loss, relative
_FOLDS = 5


@dataclass(frozen=True)
class Choice:
    """What is chosen on texts that are not fitted.

    Args:
        bayes: share of naive Bayes that the regression begins from: 0 is the regression alone.
        penalty: inverse, of the regression, as scikit-learn's C.
        characters: whether the regression is of runs of characters beside words and pairs of words.
    """

    bayes: float
    penalty: float
    characters: bool = False

    def __str__(self) -> str:
        before = f"{self.bayes:.0%} of naive Bayes, and " if self.bayes else ""
        of = "words, pairs and runs of two to four characters" if self.characters else "words and pairs"
        return f"{before}a logistic regression of the TF-IDF of {of} (C={self.penalty:g})"


_PENALTIES = {0.0: (2.0, 8.0), 0.5: (0.7, 3.0, 12.0), 1.0: (0.2, 0.7, 3.0)}
CHOICES = tuple(Choice(bayes, penalty) for bayes, penalties in _PENALTIES.items() for penalty in penalties)
_OF_CHARACTERS = (Choice(0.5, 1.5, True), Choice(0.5, 5.0, True))  # each takes some 5 times as long
_MANY = 10_000  # texts, whose fits take long
_OF_MANY = (Choice(0.0, 8.0), Choice(0.5, 3.0), Choice(1.0, 3.0), Choice(0.5, 3.0, True))


def _choices(fitted: TermCounts, *held_out: TermCounts) -> tuple[Choice, ...]:
    """What is tried: fewer where there are many texts, and no characters where these are too many to be counted."""
    tried = CHOICES + _OF_CHARACTERS if len(fitted.labels) <= _MANY else _OF_MANY
    counted = all(one.characters is not None for one in (fitted, *held_out))
    return tuple(one for one in tried if counted or not one.characters)


def fit(counts: TermCounts, classes: int, choices: Sequence[Choice]) -> Iterator[BagOfWordsWeights]:
    """Weights for each choice.

    Args:
        counts: of the texts to learn from.
        classes: number of classes.
        choices: what to fit.
    """
    present = _present(counts.matrix)
    bayes, left_out = _bayes(present, counts.labels, classes)
    scale = _calibrated(left_out, counts.labels) if len(np.unique(counts.labels)) > 1 else 0.0
    words = _Terms.of(counts.matrix, _MAX_WEIGHTS // classes)
    both = words
    if counts.characters is not None and any(choice.characters for choice in choices):
        runs = _Terms.of(counts.characters, _MAX_CHARACTER_WEIGHTS // classes)
        both = replace(runs, rows=sparse.hstack([words.rows, runs.rows], format="csr"))
    start: dict[tuple[float, bool], np.ndarray] = {}
    for choice in choices:
        share, terms = scale * choice.bayes, both if choice.characters else words
        begin = start.get((choice.bayes, choice.characters))
        found = _regression(terms.rows, counts.labels, share * left_out, choice.penalty, begin)
        start[choice.bayes, choice.characters] = found
        of_words, of_runs, bias = np.split(found.astype(np.float32), [len(words.kept), len(found) - 1])
        regression = np.zeros((len(words.idf), classes), np.float32)
        regression[words.kept] = of_words
        yield BagOfWordsWeights(
            (share * bayes).astype(np.float32),
            words.idf,
            regression,
            bias[0],
            CharacterWeights(both.kept, both.idf[both.kept], of_runs) if choice.characters else None,
        )


def logits(weights: BagOfWordsWeights, counts: TermCounts) -> np.ndarray:
    """What `BagOfWords` answers, float `[texts, classes]`."""
    present = _present(counts.matrix)
    distinct = np.maximum(np.diff(present.indptr), 1)[:, None]
    found = present @ weights.bayes / np.sqrt(distinct) + weights.bias
    found += tfidf(counts.matrix, weights.idf) @ weights.regression
    if weights.characters is not None:
        idf = np.zeros(BUCKETS, np.float32)
        idf[weights.characters.buckets] = weights.characters.idf
        found += tfidf(counts.characters, idf)[:, weights.characters.buckets] @ weights.characters.regression
    return found


def choose(counts: TermCounts, held_out: TermCounts, classes: int) -> tuple[Choice, np.ndarray, BagOfWordsWeights]:
    """The choice with the least log loss on held-out texts; where there are many to fit, of those that suit many.

    Returns:
        The choice, the held-out texts' logits, and its weights.
    """
    tried = _choices(counts, held_out)
    fitted = list(fit(counts, classes, tried))
    best, answers = _best([logits(one, held_out) for one in fitted], held_out.labels)
    return tried[best], answers, fitted[best]


def cross_validate(counts: TermCounts, classes: int) -> tuple[Choice, np.ndarray]:
    """The choice with the least log loss on the texts of each fold in turn, which the others are fitted for.

    Returns:
        The choice, and each text's logits by the weights of the other folds.
    """
    fold, tried = _folds(counts.labels), _choices(counts)
    answers = np.zeros((len(tried), len(fold), classes))
    for number in range(_FOLDS):
        others, own = counts[np.flatnonzero(fold != number)], fold == number
        held_out = counts[np.flatnonzero(own)]
        answers[:, own] = [logits(one, held_out) for one in fit(others, classes, tried)]
    best, left_out = _best(answers, counts.labels)
    return tried[best], left_out


def tfidf(matrix: sparse.csr_matrix, idf: np.ndarray) -> sparse.csr_matrix:
    """Unit rows of sublinear counts times inverse document frequencies; a row of none of them is 0."""
    found = matrix.copy()
    found.data = (1 + np.log(found.data)) * idf[found.indices]
    norm = np.sqrt(np.asarray(found.multiply(found).sum(axis=1)).ravel())
    return sparse.diags_array(1 / np.where(norm > 0, norm, 1)).astype(np.float32) @ found


@dataclass(frozen=True)
class _Terms:
    """What a regression is of: which features are kept, the inverse document frequencies of all (of the others 0), and
    the texts' rows of the kept ones."""

    kept: np.ndarray
    idf: np.ndarray
    rows: sparse.csr_matrix

    @classmethod
    def of(cls, matrix: sparse.csr_matrix, most: int) -> "_Terms":
        kept = frequent(matrix, _MIN_TEXTS, most)
        texts = np.bincount(matrix.indices, minlength=matrix.shape[1])[kept]
        idf = np.zeros(matrix.shape[1], np.float32)
        idf[kept] = np.log((1 + matrix.shape[0]) / (1 + texts)) + 1
        return cls(kept, idf, tfidf(matrix, idf)[:, kept])


def _best(answers: Sequence[np.ndarray] | np.ndarray, labels: np.ndarray) -> tuple[int, np.ndarray]:
    losses = []
    for one in answers:
        calibrated = log_softmax(_calibrated(one, labels) * one, axis=1)
        losses.append(-calibrated[np.arange(len(labels)), labels].mean())
    best = int(np.argmin(losses))
    return best, answers[best]


def _calibrated(answers: np.ndarray, labels: np.ndarray) -> float:
    return fit_temperatures([answers], labels)[0]


def _folds(labels: np.ndarray) -> np.ndarray:
    """A fold for each text, every class spread evenly over all."""
    order, fold = np.random.default_rng(0).permutation(len(labels)), np.empty(len(labels), int)
    fold[order[np.argsort(labels[order], kind="stable")]] = np.arange(len(labels)) % _FOLDS
    return fold


def _present(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    found = matrix.copy()
    found.data = np.ones_like(found.data)
    return found


def _bayes(present: sparse.csr_matrix, labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of multinomial naive Bayes over what a text holds, and the texts' logits with each left out itself.

    A text's own words would else speak for its own class, the more so the rarer they are. Counts are smoothed in
    proportion to the classes' sizes, so that a word that is seen in no class speaks for none.
    """
    member = sparse.csr_matrix((np.ones(len(labels)), (np.arange(len(labels)), labels)), (len(labels), classes))
    found = np.asarray((present.T @ member).todense(), np.float64)  # [features, classes]
    size = np.maximum(found.sum(axis=0), 1)
    found += _SMOOTHING * classes * size / size.sum()
    total = found.sum(axis=0)
    weights = np.log(found / total)
    weights -= weights.mean(axis=1, keepdims=True)
    distinct, texts = np.diff(present.indptr), np.arange(len(labels))
    answers = present @ weights
    own = np.repeat(labels, distinct)
    less = present.copy()  # what each word or pair says less for the text's own class without the text
    less.data = np.log1p(-1 / found[present.indices, own])
    total_less = np.log1p(-distinct / total[labels])
    answers[texts, labels] += np.asarray(less.sum(axis=1)).ravel() - distinct * total_less
    return weights, answers / np.sqrt(np.maximum(distinct, 1))[:, None]


def _regression(
    rows: sparse.csr_matrix, labels: np.ndarray, offsets: np.ndarray, penalty: float, start: np.ndarray | None
) -> np.ndarray:
    """Weights and, last, biases of a multinomial regression on top of given logits, `[features + 1, classes]`."""
    columns, texts = rows.T.tocsr(), np.arange(len(labels))
    shape = (rows.shape[1] + 1, offsets.shape[1])

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        both = flat.reshape(shape)
        # products in float32, for which nothing is copied
        residual = log_softmax(offsets + rows @ both[:-1].astype(np.float32) + both[-1], axis=1)
        value = -residual[texts, labels].sum()
        residual = np.exp(residual)
        residual[texts, labels] -= 1
        gradient = np.concatenate([columns @ residual.astype(np.float32), residual.sum(axis=0, keepdims=True)])
        gradient = penalty * gradient.astype(np.float64)
        gradient[:-1] += both[:-1]
        return penalty * value + 0.5 * float(np.sum(both[:-1] ** 2)), gradient.ravel()

    start = np.zeros(shape) if start is None else start
    options = {"maxiter": _ITERATIONS, "maxcor": 5, "ftol": _TOLERANCE}
    return minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(shape)
