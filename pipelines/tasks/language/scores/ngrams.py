"""Interpolated n-grams with modified Kneser-Ney smoothing, the simple method that a model of text has to beat.

Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling": the highest order counts how
often an n-gram occurs, each lower one in how many contexts; what three discounts take off goes to the next lower order,
and from the lowest to all symbols alike.
"""

from collections.abc import Sequence

import numpy as np

ORDER = 10
"""Symbols of the longest n-gram that is tried."""
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_COUNTS = 4  # up to which n-grams are counted by their counts, for the discounts


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
    sizes = [len(one) for one in asked]
    joined = np.concatenate(asked) if asked else np.zeros(0, np.int64)
    place = np.concatenate([np.arange(size) for size in sizes]) if sizes else joined
    probability = np.full(len(joined), 1 / max(1, symbols))
    learnt, wanted = _keys(train, order), _keys(joined, order)
    found, positions = {}, np.arange(len(train))
    for n in range(order, 0, -1):
        positions = positions[positions >= n - 1]
        grams, first, counts = np.unique(learnt[n][positions], return_index=True, return_counts=True)
        positions = positions[first]  # of one occurrence each, whose last symbols are counted in the next lower order
        found[n] = _order(learnt, wanted, n, positions, grams, counts, inside=place >= n - 1)
    nats = np.empty((order, len(joined)))
    for n in range(1, order + 1):
        own, rest = found[n]
        probability = own + rest * probability
        nats[n - 1] = -np.log(probability)
    return np.split(nats, np.cumsum(sizes)[:-1], axis=1) if sizes else []


def _order(
    learnt: Sequence[np.ndarray],
    wanted: Sequence[np.ndarray],
    n: int,
    positions: np.ndarray,
    grams: np.ndarray,
    counts: np.ndarray,
    inside: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Of each symbol asked for, what its n-gram gives it, and the share that it leaves to the next lower order."""
    discounts = _discounts(counts)
    kinds = np.minimum(counts, 3)
    contexts, of_context = np.unique(_context(learnt, n, positions), return_inverse=True)
    totals = np.bincount(of_context, counts)
    left = np.bincount(of_context, discounts[kinds])
    asked = np.arange(len(inside))
    count, _ = _found(grams, counts, wanted[n])
    total, place = _found(contexts, totals, _context(wanted, n, asked))
    known = inside & (total > 0)
    whole = np.where(known, total, 1.0)
    own = np.where(known, np.maximum(count - discounts[np.minimum(count, 3).astype(int)], 0) / whole, 0.0)
    return own, np.where(known, left[place] / whole, 1.0)


def _discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken off counts of 0, 1, 2, and 3 or more; equation 26 of Chen & Goodman."""
    n = np.bincount(np.minimum(counts, _COUNTS + 1), minlength=_COUNTS + 2)[: _COUNTS + 1].astype(float)
    if not n[1:].all():
        return np.array([0.0, 0.5, 0.5, 0.5])  # so little text that no rule of large numbers helps
    share = n[1] / (n[1] + 2 * n[2])
    taken = [k - (k + 1) * share * n[k + 1] / n[k] for k in (1, 2, 3)]
    return np.clip([0.0, *taken], 0.0, [0.0, 1.0, 2.0, 3.0])


def _keys(symbols: np.ndarray, order: int) -> list[np.ndarray]:
    """For each n, a number for the n symbols that end at each place; those of n = 0 are alike."""
    random = np.random.default_rng(0).integers(1, 2**63, int(symbols.max(initial=0)) + 1, dtype=np.uint64)
    own = random[symbols.astype(np.int64)]
    keys = [np.zeros(len(symbols), np.uint64)]
    power = np.uint64(1)
    with np.errstate(over="ignore"):
        for n in range(order):
            shifted = np.zeros_like(own)
            shifted[n:] = own[: len(own) - n]
            keys.append(keys[-1] + shifted * power)
            power = power * _MULTIPLIER
    return keys


def _context(keys: Sequence[np.ndarray], n: int, places: np.ndarray) -> np.ndarray:
    """The key of the n - 1 symbols before each place."""
    return np.where(places > 0, keys[n - 1][places - 1], np.uint64(0)) if n > 1 else np.zeros(len(places), np.uint64)


def _found(known: np.ndarray, values: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The value of each key, 0 where there is none, and its place."""
    place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return np.where(known[place] == asked, values[place], 0), place
