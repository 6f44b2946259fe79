"""Maps of several lookbacks in one."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unroll.pipelines.tasks.forecasting.simple.history_map import HistoryMap

_PARTS = (1, 2 / 3, 1 / 2)
_LONGEST = 336  # steps: beyond, ridge regression has enough to learn from, and plain maps take long


def lookbacks(longest: int, season: int) -> list[int]:
    """A lookback, and two thirds and a half of it in whole seasons, one of which may be there twice.

    Example:
        >>> [lookbacks(*one) for one in ((36, 12), (32, 4), (12, 12), (10, 1), (672, 96))]
        [[36, 24, 24], [32, 24, 16], [12, 12, 12], [10, 7, 5], [672]]
    """
    if longest > _LONGEST:
        return [longest]
    whole = season if season <= longest else 1
    return [min(longest, whole * math.ceil(longest * part / whole - 1e-9)) for part in _PARTS]


def mean_map(maps: Sequence[HistoryMap]) -> HistoryMap:
    """The mean of maps, the longest first; what is told of it is that one's.

    A map of a shorter lookback is one of the longest that leaves the oldest steps out, so that the mean is a map too.
    """
    longest = maps[0]
    lookback = len(longest.kernel)

    def mean(kernels: Sequence[np.ndarray]) -> np.ndarray:
        return np.mean([np.pad(kernel, ((lookback - len(kernel), 0), (0, 0))) for kernel in kernels], axis=0)

    folds = [[fold for fold in block if fold is not None] for block in zip(*(one.folds for one in maps), strict=True)]
    return replace(
        longest,
        kernel=mean([one.kernel for one in maps]),
        refitted=mean([one.refitted for one in maps]),
        folds=[mean(block) if len(block) == len(maps) else None for block in folds],
        lookbacks=sorted({len(one.kernel) for one in maps}, reverse=True),
    )
