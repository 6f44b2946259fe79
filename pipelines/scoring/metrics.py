"""Scores of predictions, over all records and by group."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn import metrics

from unroll.pipelines.data.labels import tidy_label
from unroll.pipelines.scoring.calibration import expected_calibration_error
from unroll.pipelines.scoring.comparison import Losses

_MAX_GROUPS = 20


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


def wrong_answers(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """1 for each record whose most probable class is not its own, else 0: what `accuracy` is 1 minus the mean of.

    Example:
        >>> wrong_answers(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
        array([0., 1.])
    """
    return (probabilities.argmax(axis=1) != labels).astype(np.float64)


def accuracy_losses(labels: np.ndarray, probabilities: np.ndarray) -> Losses:
    """What a classifier lost on each record: `wrong_answers`."""
    return Losses("accuracy", wrong_answers(labels, probabilities), figure="complement")


def by_group(
    groups: Sequence[str] | np.ndarray, score: Callable[[np.ndarray], Mapping[str, float]]
) -> dict[str, float]:
    """Metrics over all records and, as `metric/group`, over the largest groups; of a single group only the former.

    Args:
        groups: the group of each record.
        score: metrics of the records with these numbers, int `[n]`.

    Example:
        >>> by_group(["a", "b", "b"], lambda rows: {"count": len(rows)})
        {'count': 3, 'count/b': 2, 'count/a': 1}
    """
    tidy = {group: tidy_label(group) for group in set(groups)}
    groups = np.array([tidy[group] for group in groups], str)
    scores = dict(score(np.arange(len(groups))))
    names, counts = np.unique(groups, return_counts=True)
    if len(names) > 1:
        for group in names[np.argsort(-counts)][:_MAX_GROUPS]:
            of_group = score(np.flatnonzero(groups == group))
            scores |= {f"{metric}/{metric_name(group)}": value for metric, value in of_group.items()}
    return scores


def regression_metrics(actual: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Mean absolute error, root mean squared error and coefficient of determination (left out of a constant).

    Args:
        actual: float `[records]`.
        predicted: float `[records]`.

    Example:
        >>> regression_metrics(np.array([1.0, 3.0]), np.array([2.0, 3.0]))["mae"]
        0.5
    """
    error = predicted.astype(np.float64) - actual
    scores = {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))}
    if np.ptp(actual):  # the variance of a constant may be a rounding error
        scores["r2"] = 1 - float((error**2).mean()) / float(np.var(actual.astype(np.float64)))
    return scores


def metric_name(group: str) -> str:
    """A group's value as a part of a metric's name; characters that MLflow refuses become `_`.

    Example:
        >>> metric_name("Q&A"), metric_name("")
        ('Q_A', 'none')
    """
    return re.sub(r"[^\w. :-]", "_", group.strip()) or "none"
