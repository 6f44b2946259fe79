"""N-grams counted, with modified Kneser-Ney smoothing.

Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling": the highest order counts how
often an n-gram occurs, each lower one in how many contexts; what three discounts take off goes to the next lower order,
and from the lowest to all symbols alike. So

    p(symbol | context) = own(context, symbol) + rest(context) * p(symbol | context without its first symbol)
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
CONTEXT_BYTES, GRAM_BYTES = 16, 6
"""What a table keeps of each context and n-gram: a key, a share and a place; a share and a symbol."""
_COUNTS = 4  # up to which n-grams are counted by their counts, for the discounts


class Level(NamedTuple):
    """All n-grams of one order that a text holds.

    Args:
        order: n.
        grams: uint64 `[grams]`, their keys, rising.
        symbols: int64 `[grams]`, the last symbol of each.
        counts: int64 `[grams]`, of the highest order occurrences, of a lower one symbols that come before it.
        own: float64 `[grams]`.
        contexts: uint64 `[contexts]`, keys of the n - 1 symbols before the last, rising.
        of_context: int64 `[grams]`, the number of each one's context.
        rest: float64 `[contexts]`.
    """

    order: int
    grams: np.ndarray
    symbols: np.ndarray
    counts: np.ndarray
    own: np.ndarray
    contexts: np.ndarray
    of_context: np.ndarray
    rest: np.ndarray


def levels(symbols: np.ndarray, order: int, room: np.ndarray | None = None) -> Iterator[Level]:
    """Counts the n-grams of a text, from the highest order to the lowest.

    Args:
        symbols: int `[T]`.
        order: of the longest n-gram.
        room: int `[T]`, how many symbols the longest n-gram that ends at a place may have: as many as stand there from
            the begin of its document on, and 0 where no n-gram is to end. None: the text has no begin.

    Example:
        >>> two, one = levels(np.array([7, 5, 7, 5, 7, 7]), order=2)
        >>> sorted(two.counts.tolist()), dict(zip(one.symbols.tolist(), one.counts.tolist())) == {7: 2, 5: 1}
        ([1, 2, 2], True)
    """
    keys = gram_keys(symbols, order)
    if room is None:
        room = np.where(np.arange(len(symbols)) < order - 1, 0, order)
    places = np.flatnonzero(room >= order)
    for n in range(order, 0, -1):
        grams, first, counts = np.unique(keys[n][places], return_index=True, return_counts=True)
        places = places[first]
        contexts, of_context = np.unique(_before(keys[n - 1], places), return_inverse=True)
        discount = _discounts(counts)[np.minimum(counts, _COUNTS - 1)]
        totals = np.bincount(of_context, counts)
        own = np.maximum(counts - discount, 0) / totals[of_context]
        rest = np.bincount(of_context, discount) / totals
        yield Level(n, grams, symbols[places], counts, own, contexts, of_context, rest)
        # a symbol before an n-gram is counted once; before those that begin a document there is none
        places = np.concatenate([places, np.flatnonzero(room == n - 1)]) if n > 1 else places


def random_numbers(symbols: int) -> np.ndarray:
    """A number of each symbol, uint64 `[symbols]`, always the same."""
    return np.random.default_rng(0).integers(1, 2**63, symbols, dtype=np.uint64)


def powers(count: int) -> np.ndarray:
    """By which the numbers of symbols are multiplied, uint64 `[count]`, from the last symbol on."""
    with np.errstate(over="ignore"):
        return np.cumprod(np.append(np.uint64(1), np.full(max(0, count - 1), _MULTIPLIER)), dtype=np.uint64)[:count]


def gram_keys(symbols: np.ndarray, order: int) -> list[np.ndarray]:
    """For each n from 0 to the order, a number uint64 `[T]` for the n symbols that end at each place."""
    own = random_numbers(int(symbols.max(initial=0)) + 1)[symbols.astype(np.int64)]
    keys = [np.zeros(len(symbols), np.uint64)]
    with np.errstate(over="ignore"):
        for back, power in enumerate(powers(order)):
            shifted = np.zeros_like(own)
            shifted[back:] = own[: len(own) - back]
            keys.append(keys[-1] + shifted * power)
    return keys


def frequent(level: Level, least: int) -> Level:
    """Leaves out n-grams that occur less often; what they had of a context's probability is left to lower orders."""
    kept = level.counts >= least
    gone = np.bincount(level.of_context, level.own * ~kept, minlength=len(level.contexts))
    known = np.bincount(level.of_context[kept], minlength=len(level.contexts)) > 0
    number = np.cumsum(known) - 1
    return Level(
        order=level.order,
        grams=level.grams[kept],
        symbols=level.symbols[kept],
        counts=level.counts[kept],
        own=level.own[kept],
        contexts=level.contexts[known],
        of_context=number[level.of_context[kept]],
        rest=(level.rest + gone)[known],
    )


def within(counted: Iterable[Level], limit: int) -> list[Level]:
    """Leaves out the rarest n-grams of the highest orders, until a table of the rest takes so many bytes at most."""
    kept = []
    for level in counted:  # one by one, for the memory
        least = 2
        while _bytes(level) > limit:
            level, least = frequent(level, least), 2 * least - 1
        kept.append(level)
    least = 2
    while True:
        for number, level in enumerate(kept):
            if sum(map(_bytes, kept)) <= limit:
                return kept
            if level.order > 1:
                kept[number] = frequent(level, least)
        least = 2 * least - 1


def interpolated(counted: Iterable[Level], keys: Sequence[np.ndarray], inside: np.ndarray, floor: float) -> np.ndarray:
    """What n-grams of each order give the symbols of a text.

    Args:
        counted: levels, in any order.
        keys: of the text, see `gram_keys`.
        inside: int `[T]`, symbols from the begin of its sequence to each one, itself among them.
        floor: probability of a symbol without any n-gram.

    Returns:
        float64 `[order, T]`, from unigrams on.
    """
    places, found = np.arange(len(inside)), {}
    for level in counted:
        known = inside >= level.order
        own = _value(level.grams, level.own, keys[level.order], 0.0)
        rest = _value(level.contexts, level.rest, _before(keys[level.order - 1], places), 1.0)
        found[level.order] = np.where(known, own, 0.0), np.where(known, rest, 1.0)
    probabilities, lower = [], np.full(len(inside), floor)
    for _, (own, rest) in sorted(found.items()):
        lower = own + rest * lower
        probabilities.append(lower)
    return np.stack(probabilities)


def _bytes(level: Level) -> int:
    return CONTEXT_BYTES * len(level.contexts) + GRAM_BYTES * len(level.grams) if level.order > 1 else 0


def _before(keys: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.where(places > 0, keys[places - 1], np.uint64(0))


def _discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken off counts of 0, 1, 2, and 3 or more; equation 26 of Chen & Goodman."""
    n = np.bincount(np.minimum(counts, _COUNTS + 1), minlength=_COUNTS + 2)[: _COUNTS + 1].astype(float)
    if not n[1:].all():
        return np.array([0.0, 0.5, 0.5, 0.5])  # so little text that no rule of large numbers helps
    share = n[1] / (n[1] + 2 * n[2])
    taken = [k - (k + 1) * share * n[k + 1] / n[k] for k in (1, 2, 3)]
    return np.clip([0.0, *taken], 0.0, [0.0, 1.0, 2.0, 3.0])


def _value(known: np.ndarray, values: np.ndarray, asked: np.ndarray, missing: float) -> np.ndarray:
    """The value of each key."""
    if not len(known):
        return np.full(len(asked), missing)
    place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return np.where(known[place] == asked, values[place], missing)
