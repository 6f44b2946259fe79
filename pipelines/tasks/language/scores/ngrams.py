"""Interpolated n-grams with modified Kneser-Ney smoothing, the simple method that a model of text has to beat."""

from collections.abc import Sequence

import numpy as np

from unroll.models.text.kneser_ney import gram_keys, interpolated, levels

ORDER = 10
"""Symbols of the longest n-gram that is tried."""
LEARNT = 4_000_000
"""Characters that n-grams are counted in at most."""


def surprise(train: np.ndarray, asked: Sequence[np.ndarray], symbols: int, order: int = ORDER) -> list[np.ndarray]:
    """Nats that n-grams of each order lose on each symbol of some sequences.

    Args:
        train: int `[T]`, numbers of symbols.
        asked: int arrays, each read from its begin.
        symbols: that there are.
        order: of the longest n-gram.

    Returns:
        float64 `[order, symbols]` of each sequence, from unigrams on.

    Example:
        >>> (nats,) = surprise(np.array([0, 1, 2] * 50), [np.array([0, 1, 2, 0])], symbols=3, order=2)
        >>> nats.round(1).tolist()
        [[1.1, 1.1, 1.1, 1.1], [1.1, 0.0, 0.0, 0.0]]
    """
    if not asked:
        return []
    sizes = [len(one) for one in asked]
    place = np.concatenate([np.arange(1, size + 1) for size in sizes])
    keys = gram_keys(np.concatenate(asked), order)
    nats = -np.log(interpolated(levels(train, order), keys, place, 1 / max(1, symbols)))
    return np.split(nats, np.cumsum(sizes)[:-1], axis=1)
