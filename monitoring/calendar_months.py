"""Months of the calendar."""

import numpy as np
from numpy.typing import ArrayLike


def months_of(seconds: ArrayLike) -> np.ndarray:
    """Calendar months since January 1970 of Unix seconds, int64 of any shape.

    Example:
        >>> months_of([0, 86400 * 31])
        array([0, 1])
    """
    return np.asarray(seconds, "datetime64[s]").astype("datetime64[M]").astype(np.int64)
