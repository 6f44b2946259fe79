"""Whether a model's scores are better than those of guessing: what is not is served only on demand."""

from collections.abc import Mapping, Sequence

import numpy as np

SIGNIFICANCE = 0.05
"""Of a one-sided test; of a hundred models that guess, five pass it."""


def classifier_chance(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> str:
    """Compares a classifier with always answering the most frequent class, by a binomial test of its accuracy.

    Args:
        labels: int `[records]`, the true class of each.
        predicted: int `[records]`.
        classes: their names.

    Returns:
        Why it is at chance, or nothing where it is better.

    Example:
        >>> classifier_chance(np.array([0, 1, 1]), np.array([0, 0, 1]), ["neg", "pos"])
        "its accuracy of 0.667 is not above the 0.667 of always answering 'pos' (binomial test, p = 0.74)"
    """
    from scipy.stats import binomtest

    counts = np.bincount(labels, minlength=len(classes))
    right, share = int(np.sum(labels == predicted)), float(counts.max() / len(labels))
    p = binomtest(right, len(labels), share, alternative="greater").pvalue
    if p <= SIGNIFICANCE:
        return ""
    return (
        f"its accuracy of {right / len(labels):.3f} is not above the {share:.3f} of always answering "
        f"{classes[int(counts.argmax())]!r} (binomial test, p = {p:.2f})"
    )


def ranking_chance(labels: np.ndarray, probabilities: np.ndarray) -> str | None:
    """Whether the probabilities rank the records of any class better than chance, by the interval of its AUC.

    Hanley & McNeil 1982, "The meaning and use of the area under a ROC curve", equation 2; of several classes each is
    compared with the rest, in intervals that hold together at 95 %.

    Args:
        labels: int `[records]`, the true class of each.
        probabilities: float `[records, classes]`.

    Returns:
        Why they do not; nothing where one does; None where no class has records inside and outside of it.

    Example:
        >>> ranking_chance(np.array([0, 1] * 20), np.full((40, 2), 0.5))
        'its AUC of 0.500 (95 % interval 0.319 to 0.681) is not above 0.5'
    """
    from scipy.stats import norm
    from sklearn.metrics import roc_auc_score

    count = probabilities.shape[1]
    present = [one for one in range(count) if 0 < np.sum(labels == one) < len(labels)]
    judged = present[-1:] if count == 2 else present
    if not judged:
        return None
    z, best = float(norm.ppf(1 - 0.025 / len(judged))), (-1.0, 0.0, 0.0)
    for one in judged:
        inside = int(np.sum(labels == one))
        outside = len(labels) - inside
        auc = float(roc_auc_score(labels == one, probabilities[:, one]))
        first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
        spread = (inside - 1) * (first - auc**2) + (outside - 1) * (second - auc**2)
        half = z * np.sqrt(max(0.0, auc * (1 - auc) + spread) / (inside * outside))
        best = max(best, (auc - half, auc, auc + half))
    low, auc, high = best
    if low > 0.5:
        return ""
    return f"its AUC of {auc:.3f} (95 % interval {max(low, 0):.3f} to {min(high, 1):.3f}) is not above 0.5"


def probability_chance(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> str:
    """Whether a classifier that gives probabilities is no better than guessing: it ranks no class better than chance.

    Where most records are of one class, a model can be good at ranking them and yet answer that class for all; so the
    accuracy alone is judged only where no class can be ranked.

    Args:
        labels: int `[records]`, the true class of each.
        probabilities: float `[records, classes]`.
        classes: their names.

    Returns:
        Why it is at chance, or nothing where it is better.
    """
    accuracy = classifier_chance(labels, probabilities.argmax(axis=1), classes)
    ranking = ranking_chance(labels, probabilities)
    if ranking is None:
        return accuracy
    return f"{accuracy}, and {ranking}" if accuracy and ranking else ranking


def error_chance(actual: np.ndarray, predicted: np.ndarray, mean: float) -> str:
    """Compares a model of a number with always answering the mean of its training data.

    Args:
        actual: float `[records]`.
        predicted: float `[records]`.
        mean: of the train split.

    Returns:
        Why it is at chance, by a one-sided t-test of the squared errors' differences, or nothing where it is better.

    Example:
        >>> error_chance(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0]), mean=2.0)
        'its error (RMSE 0.8165) is not below the 0.8165 of always answering the mean (t-test, p = 1.00)'
    """
    own, others = (predicted.astype(np.float64) - actual) ** 2, (mean - actual.astype(np.float64)) ** 2
    p = _p_of_gain(others - own, scale=max(1.0, float(others.max())))
    if p <= SIGNIFICANCE:
        return ""
    return (
        f"its error (RMSE {np.sqrt(own.mean()):.4g}) is not below the {np.sqrt(others.mean()):.4g} of always "
        f"answering the mean (t-test, p = {p:.2f})"
    )


def baseline_chance(metrics: Mapping[str, float], metric: str, baselines: Sequence[str], slack: float = 0.0) -> str:
    """Compares an error of a model with those of baselines.

    Args:
        metrics: the model's and, as `metric/baseline`, each baseline's.
        metric: smaller is better.
        baselines: the model is at chance where one of them is better.
        slack: by how much more it must be: where a baseline has no error at all, any model has some.

    Example:
        >>> baseline_chance({"mase": 1.2, "mase/last_value": 1.1}, "mase", ["last_value"])
        'its mase of 1.2 is worse than the 1.1 of the baseline last_value'
    """
    best = min(baselines, key=lambda name: metrics[f"{metric}/{name}"])
    model, baseline = metrics[metric], metrics[f"{metric}/{best}"]
    if model <= baseline + slack or np.isnan(baseline):
        return ""
    return f"its {metric} of {model:.4g} is worse than the {baseline:.4g} of the baseline {best}"


def pairing_chance(own: np.ndarray, others: np.ndarray, what: str) -> str:
    """Compares answers with what is right for their own record and with what is right for other records.

    A model that does not look at its input scores the same on both, however well it knows the answers' language.

    Args:
        own: float `[records]`, score of each answer against its own record's reference.
        others: float `[records]`, mean score of the same answer against other records' references.
        what: is scored, for the message.

    Returns:
        Why it is at chance, by a one-sided t-test of the differences, or nothing where it is better.
    """
    p = _p_of_gain(own - others)
    if p <= SIGNIFICANCE:
        return ""
    return (
        f"its {what} fit their own records ({own.mean():.3f}) no better than others ({others.mean():.3f}; t-test, "
        f"p = {p:.2f})"
    )


def _p_of_gain(gains: np.ndarray, scale: float = 1.0) -> float:
    """How likely such gains of a record, or larger ones, are by chance, by a one-sided t-test."""
    from scipy.stats import ttest_1samp

    if len(gains) < 2 or np.ptp(gains) < 1e-12 * scale:  # no test can tell
        return float(gains.mean() <= 0)
    return float(ttest_1samp(gains, 0.0, alternative="greater").pvalue)
