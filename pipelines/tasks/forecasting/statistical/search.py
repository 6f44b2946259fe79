"""The least of a function in the unit cube, for many histories at once and with as many evaluations for each."""

from collections.abc import Callable

import numpy as np
from scipy.stats import qmc

_EXPLORED, _REFINED = 32, 16  # points
_RADII = (0.25, 0.15, 0.08, 0.04, 0.02, 0.01)  # of a round of refinement
_RENEWED = (0, 2, 4)  # rounds before which the function may change with what was found
EVALUATIONS = _EXPLORED + len(_RADII) * _REFINED
"""Of the function, for each history."""


def search(
    count: int,
    size: int,
    function: Callable[[np.ndarray], np.ndarray],
    renew: Callable[[np.ndarray], None] = lambda chosen: None,
) -> np.ndarray:
    """Looks at points that are spread evenly, and then nearer and nearer about the best.

    Args:
        count: N, histories.
        size: of the cube.
        function: from points `[N, K, size]` or `[1, K, size]` to `[N, K]`; infinity where it has no value.
        renew: is told the best so far, `[N, size]`; the function may be another one afterwards.

    Returns:
        The best, float `[N, size]`.

    Example:
        >>> search(1, 1, lambda points: (points[..., 0] - 0.3) ** 2).round(2).item()
        0.3
    """
    explored = np.broadcast_to(qmc.Halton(size, seed=0).random(_EXPLORED), (count, _EXPLORED, size))
    least, chosen = _best(function(explored[:1]), explored)
    rng = np.random.default_rng(0)
    for number, radius in enumerate(_RADII):
        if number in _RENEWED:
            renew(chosen)
            least = np.full(count, np.inf)
        near = rng.uniform(-radius, radius, (_REFINED, size))
        near[0] = 0
        tried = np.clip(chosen[:, None] + near, 0, 1)
        found, points = _best(function(tried), tried)
        better = found < least
        least, chosen = np.where(better, found, least), np.where(better[:, None], points, chosen)
    return chosen


def _best(values: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    place, rows = values.argmin(axis=1), np.arange(len(points))
    return values[rows, place], points[rows, place]
