"""Split-conformal calibration of forecast quantiles (Romano et al. 2019, "Conformalized Quantile Regression")."""

import math
from collections.abc import Sequence

import numpy as np

_PRIOR_WINDOWS = 30  # that speak for the model's own quantiles; chosen between 0 and 100 on two validation splits


def quantile_offsets(
    quantiles: np.ndarray, actual: np.ndarray, scale: np.ndarray, levels: Sequence[float]
) -> np.ndarray:
    """Offsets that make each quantile cover its share of held-out values.

    calibrated = quantile + offset * scale, where the offset of level q starts from the empirical q-quantile of
    (actual - quantile) / scale over all windows and steps of a channel. Dividing by the window's scale lets calm
    and wild windows, and series of all units, share one offset.

    Windows that overlap tell nearly the same: N windows of horizon H are worth about n = N / H. With few of them
    the plain offset follows the passing bias of one week (on a fortnight of electricity demand, coverage fell
    from 78 % to 58 % in the week after), so it is shrunk by n / (n + 30). The median stays as it is.

    Args:
        quantiles: float `[windows, horizon, channels, levels]`, of data the model was not trained on.
        actual: float `[windows, horizon, channels]`, NaN where missing.
        scale: float `[windows, channels]`, the deviation of each window's observed history.
        levels: of the quantiles.

    Returns:
        float32 `[channels, levels]`; 0 for a channel without an actual value.

    Example:
        >>> actual = np.arange(90.0).reshape(90, 1, 1)
        >>> quantile_offsets(np.zeros([90, 1, 1, 1]), actual, np.ones([90, 1]), [0.9])  # 81 * 90 / (90 + 30)
        array([[60.75]], dtype=float32)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = (actual[..., None] - quantiles) / scale[:, None, :, None]  # [N, H, C, Q]
    offsets = np.zeros(scores.shape[2:], np.float32)
    for channel in range(len(offsets)):
        for i, level in enumerate(levels):
            one = scores[:, :, channel, i]
            one = one[np.isfinite(one)]
            if len(one) and level != 0.5:
                independent = len(one) / actual.shape[1] ** 2
                offsets[channel, i] = _conformal(one, level) * independent / (independent + _PRIOR_WINDOWS)
    return offsets


def _conformal(scores: np.ndarray, level: float) -> float:
    """The score of rank level * (n + 1), rounded away from the median so as to err on the wide side."""
    rank = level * (len(scores) + 1)
    rank = math.ceil(rank) if level > 0.5 else math.floor(rank)
    position = min(max(rank, 1), len(scores)) - 1
    return float(np.partition(scores, position)[position])
