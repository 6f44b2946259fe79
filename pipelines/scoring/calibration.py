"""Calibration of classifiers: how far off it is, and temperature scaling (Guo et al. 2017, arXiv:1706.04599)."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

_BOUNDS = (0.0, 20.0)


def fit_temperatures(paths: Sequence[np.ndarray], labels: np.ndarray) -> list[float]:
    """Inverse temperatures b for which softmax(b_1 z_1 + b_2 z_2 + ...) has the least log loss (section 4.2).

    With a single path this is temperature scaling. Where a model adds the logits of several paths, each
    path is as overconfident as it has overfitted, so each has a temperature of its own.

    Args:
        paths: logits z, each float `[records, classes]`, of data the model was not trained on.
        labels: int `[records]`.

    Returns:
        One inverse temperature a path, between 0 and 20.

    Example:
        >>> fit_temperatures([np.array([[9.0, 0.0]] * 4)], np.array([0, 0, 0, 1]))[0] < 1
        True
    """
    logits = np.stack(paths).astype(np.float64)  # [P, N, C]
    rows = np.arange(len(labels))

    def loss(inverse: np.ndarray) -> tuple[float, np.ndarray]:
        log_probabilities = log_softmax(np.tensordot(inverse, logits, axes=1), axis=1)  # [N, C]
        residual = np.exp(log_probabilities)
        residual[rows, labels] -= 1
        gradient = np.einsum("pnc,nc->p", logits, residual) / len(labels)
        return -float(log_probabilities[rows, labels].mean()), gradient

    start = np.ones(len(paths))
    result = minimize(loss, start, jac=True, bounds=[_BOUNDS] * len(paths), method="L-BFGS-B")
    return result.x.tolist()


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """Mean distance of confidence and accuracy over equal-width bins of confidence (equation 3).

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
