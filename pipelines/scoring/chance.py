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
    from scipy.stats import ttest_1samp

    difference = own - others
    if len(difference) < 2 or np.ptp(difference) < 1e-12:  # no test can tell
        p = float(difference.mean() <= 0)
    else:
        p = float(ttest_1samp(difference, 0.0, alternative="greater").pvalue)
    if p <= SIGNIFICANCE:
        return ""
    return (
        f"its {what} fit their own records ({own.mean():.3f}) no better than others ({others.mean():.3f}; t-test, "
        f"p = {p:.2f})"
    )
