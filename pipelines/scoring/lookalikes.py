"""Which pictures look most alike: the nearest neighbours by their averages over a few fields."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from unroll.models.caption_memory import field_averages

SIDE = 16
"""Fields along a side."""
_ROWS = 64  # compared at once


def averages(batches: Iterable[tf.Tensor], stride: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Averages of pictures over their fields.

    Args:
        batches: pixels `[batch, size, size, 3]`.
        stride: of many pictures every so manieth is looked at.

    Returns:
        Numbers of the pictures, int64 `[n]`, and their averages, float32 `[n, SIDE * SIDE * 3]`.
    """
    rows, looks, seen = [], [], 0
    for pixels in batches:
        chosen = np.arange(-seen % stride, len(pixels), stride)
        rows.append(seen + chosen)
        looks.append(field_averages(tf.gather(pixels, chosen), SIDE).numpy())
        seen += len(pixels)
    return np.concatenate(rows), np.concatenate(looks)


def nearest(pictures: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Of each picture the row of `known` at the least squared distance.

    Example:
        >>> nearest(np.array([[1.0], [5.0]]), np.array([[4.0], [0.0]]))
        array([1, 0])
    """
    length = np.sum(known**2, axis=1)
    parts = [
        np.argmin(length - 2 * pictures[start : start + _ROWS] @ known.T, axis=1)
        for start in range(0, len(pictures), _ROWS)
    ]
    return np.concatenate(parts)
