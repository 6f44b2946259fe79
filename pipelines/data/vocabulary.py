"""Counting tokens in one pass and bounded memory."""

from collections import Counter
from collections.abc import Iterable, Sequence

_LARGEST = 2_000_000  # distinct tokens held at most; far above any vocabulary's size


def count_vocabulary(batches: Iterable[Sequence[bytes]], size: int, min_count: int = 1) -> list[bytes]:
    """The most frequent tokens, most frequent first, ties in byte order.

    When more than two million distinct tokens are held, those seen least are dropped with a rising
    threshold (lossy counting, Manku & Motwani 2002), so memory is bounded and no frequent token lost.

    Args:
        batches: tokens, UTF-8, any number at a time.
        size: tokens kept at most.
        min_count: occurrences that a kept token has at least.

    Returns:
        The vocabulary.

    Example:
        >>> count_vocabulary([[b"a", b"b", b"a"], [b"c"]], size=2)
        [b'a', b'b']
    """
    counts: Counter[bytes] = Counter()
    threshold = 1
    for batch in batches:
        counts.update(batch)
        while len(counts) > _LARGEST:
            counts = Counter({token: count for token, count in counts.items() if count > threshold})
            threshold += 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [token for token, count in ranked[:size] if count >= min_count]
