"""What a classifier of texts has to beat: logistic regression of TF-IDF, and always the most frequent class."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from unroll.pipelines.data.term_counts import Batches, TermCounts, frequent
from unroll.pipelines.scoring.comparison import Baselines
from unroll.pipelines.scoring.metrics import classification_metrics, wrong_answers

TFIDF, MAJORITY = "tfidf", "majority"
MAX_TEXTS = 20_000
"""Training texts that the baseline is fitted on: with more it would cost more than it tells."""
_BUCKETS = 1 << 18
_MIN_TEXTS = 2  # that a word or pair must occur in
_CHOICES = ((2.0, False), (8.0, False), (8.0, True))
"""Inverse penalties C, and whether characters count: what has the lowest log loss on validation is taken."""
_MAX_CHARACTER_WEIGHTS = 2_000_000  # of more, those of the most frequent runs of characters are fitted
_ITERATIONS = 200


def text_baselines(
    train: Batches, held_out: dict[str, Batches], vocabulary: int, classes: int, texts: int
) -> Baselines:
    """Scores of the baselines on the held-out splits, of the same tokens that the model is given.

    The regression is of tokens and neighbouring pairs that two texts hold, weighed by TF-IDF with sublinear counts
    and unit rows (Wang & Manning 2012 call such models hard to beat), with or without their runs of characters, weighed
    likewise.

    Args:
        train: batches, as `TermCounts.of` takes them.
        held_out: by split, likewise; on the first of them the regression's penalty is chosen, and whether characters
            count, and for the others it learns from that, too, as the model's simple path does.
        vocabulary: number of token ids.
        classes: number of classes.
        texts: in the train split; of more than `MAX_TEXTS` an even choice of batches is fitted.

    Returns:
        `{"test/accuracy/tfidf": ..., "test/accuracy/majority": ...}` with the metrics of `classification_metrics`, and
        which texts of the test split are answered wrongly, in its order.
    """
    fitted = TermCounts.of(train, vocabulary, _BUCKETS, share=min(1.0, MAX_TEXTS / texts))
    splits = {split: TermCounts.of(batches, vocabulary, _BUCKETS) for split, batches in held_out.items()}
    prior = (np.bincount(fitted.labels, minlength=classes) + 1e-9) / len(fitted.labels)
    answers = {split: {MAJORITY: np.tile(prior, (len(one.labels), 1))} for split, one in splits.items()}
    for split, probabilities in _regression(fitted, splits, classes).items():
        answers[split][TFIDF] = probabilities
    scores: dict[str, float] = {}
    for split, by_baseline in answers.items():
        for name in sorted(by_baseline, reverse=True):
            metrics = classification_metrics(splits[split].labels, by_baseline[name])
            scores |= {f"{split}/{metric}/{name}": value for metric, value in metrics.items()}
    test = answers.get("test", {})
    return Baselines(scores, {name: wrong_answers(splits["test"].labels, one) for name, one in test.items()})


def _regression(fitted: TermCounts, splits: dict[str, TermCounts], classes: int) -> dict[str, np.ndarray]:
    """Probabilities of each split's texts; none where no word comes again, or there is one class only."""
    first, *further = splits
    counted = all(one.characters is not None for one in (fitted, *splits.values()))
    choices = [one for one in _CHOICES if counted or not one[1]]
    of_first = [one for (one,) in _probabilities(fitted, [splits[first]], classes, choices)]
    if not of_first:
        return {}
    losses = [classification_metrics(splits[first].labels, one)["log_loss"] for one in of_first]
    best = int(np.argmin(losses))
    found = {first: of_first[best]}
    if further:
        both, asked = fitted + splits[first], [splits[split] for split in further]
        (rest,) = _probabilities(both, asked, classes, [choices[best]])
        found |= dict(zip(further, rest, strict=True))
    return found


def _probabilities(
    fitted: TermCounts, asked: Sequence[TermCounts], classes: int, choices: Sequence[tuple[float, bool]]
) -> list[list[np.ndarray]]:
    """Of texts, by a regression of each choice fitted on others; none where no word of those comes again, or they have
    one class."""
    if not len(frequent(fitted.matrix, _MIN_TEXTS)) or len(np.unique(fitted.labels)) == 1:
        return []
    all_texts = [fitted, *asked]
    words = _weighed([one.matrix for one in all_texts])
    both = words
    if any(characters for _, characters in choices):
        runs = _weighed([one.characters for one in all_texts], _MAX_CHARACTER_WEIGHTS // classes)
        both = [sparse.hstack(one, format="csr") for one in zip(words, runs, strict=True)]
    answers = []
    for penalty, characters in choices:
        rows, *held_out = both if characters else words
        model = LogisticRegression(C=penalty, tol=1e-3, max_iter=_ITERATIONS).fit(rows, fitted.labels)
        found = [np.zeros((matrix.shape[0], classes)) for matrix in held_out]
        for one, matrix in zip(found, held_out, strict=True):
            one[:, model.classes_] = model.predict_proba(matrix)
        answers.append(found)
    return answers


def _weighed(counts: Sequence[sparse.csr_matrix], most: int | None = None) -> list[sparse.csr_matrix]:
    """TF-IDF of texts, by document frequencies of the first ones."""
    kept = frequent(counts[0], _MIN_TEXTS, most)
    weights = TfidfTransformer(sublinear_tf=True).fit(counts[0][:, kept])
    return [weights.transform(one[:, kept]) for one in counts]
