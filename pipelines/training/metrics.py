"""Scores of predicted class probabilities."""

import re

import numpy as np
from sklearn import metrics


def classification_metrics(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Accuracy, macro F1, ROC-AUC, log loss and expected calibration error.

    Args:
        labels: int `[records]`, the true class of each.
        probabilities: float `[records, classes]`, rows summing to 1.

    Returns:
        `accuracy`, `f1` (of class 1 with two classes, else the macro mean), `roc_auc` (one against the rest
        with more than two; left out where a class is absent), `log_loss` in nats, `ece`.

    Example:
        >>> classification_metrics(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))["accuracy"]
        1.0
    """
    classes = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    probabilities = np.clip(probabilities.astype(np.float64), 1e-12, 1.0)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    average = "binary" if len(classes) == 2 else "macro"
    scores = {
        "accuracy": float(np.mean(predicted == labels)),
        "f1": float(metrics.f1_score(labels, predicted, labels=classes, average=average, zero_division=0)),
        "log_loss": float(metrics.log_loss(labels, probabilities, labels=classes)),
        "ece": expected_calibration_error(labels, probabilities),
    }
    if len(np.unique(labels)) == len(classes):
        evidence = probabilities[:, 1] if len(classes) == 2 else probabilities
        scores["roc_auc"] = float(metrics.roc_auc_score(labels, evidence, multi_class="ovr"))
    return scores


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """Mean distance of confidence and accuracy over equal-width bins of confidence.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", eq. 3.

    Args:
        labels: int `[records]`.
        probabilities: float `[records, classes]`.
        bins: number of bins between 0 and 1.

    Returns:
        Between 0 (calibrated) and 1.
    """
    confidence, right, count = reliability(labels, probabilities, bins)
    return float(np.sum(count * np.abs(right - confidence)) / np.sum(count))


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 15
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean confidence, accuracy and count of the non-empty equal-width bins of confidence."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    held = count > 0
    mean_confidence = np.bincount(bin_of, confidence, bins)[held] / count[held]
    accuracy = np.bincount(bin_of, right, bins)[held] / count[held]
    return mean_confidence, accuracy, count[held]


def metric_name(group: str) -> str:
    """A group's value as a part of a metric's name; characters that MLflow refuses become `_`.

    Example:
        >>> metric_name("Q&A"), metric_name("")
        ('Q_A', 'none')
    """
    return re.sub(r"[^\w. :-]", "_", group.strip()) or "none"
