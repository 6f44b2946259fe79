"""Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2)."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature T for which softmax(logits / T) has the least log loss.

    Args:
        logits: float `[records, classes]`, of data the model was not trained on.
        labels: int `[records]`.

    Returns:
        T, between 0.05 and 20. No prediction changes its class.

    Example:
        >>> fit_temperature(np.array([[9.0, 0.0]] * 4), np.array([0, 0, 0, 1])) > 1
        True
    """

    def loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(np.mean(np.take_along_axis(log_probabilities, labels[:, None], axis=1)))

    result = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return float(np.exp(result.x))
