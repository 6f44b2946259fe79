"""Vocabularies of words: counted in one pass and bounded memory, looked up in the graph, known to the monitor."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import tensorflow as tf

from unroll import monitoring
from unroll.models.text import tokenizer as text
from unroll.models.text.alike import NORMAL

FILE = "vocabulary.txt"
_MAX_DISTINCT = 2_000_000  # distinct tokens held at most; far above any vocabulary's size


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
        while len(counts) > _MAX_DISTINCT:
            counts = Counter({token: count for token, count in counts.items() if count > threshold})
            threshold += 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [token for token, count in ranked[:size] if count >= min_count]


def write_vocabulary(directory: Path, words: Sequence[bytes]) -> None:
    """Writes a word a line."""
    (directory / FILE).write_bytes(b"".join(word + b"\n" for word in words))


def read_vocabulary(directory: Path) -> list[str]:
    """What `write_vocabulary` wrote."""
    with (directory / FILE).open("rb") as words:  # of which one may hold what Python takes for a line's end
        return [word.rstrip(b"\n").decode() for word in words]


def vocabulary_table(directory: Path) -> tf.lookup.TextFileInitializer:
    """From word to rank, of a prepared data set; an export carries the file in its `assets/`."""
    return tf.lookup.TextFileInitializer(
        str(directory / FILE),
        key_dtype=tf.string,
        key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
        value_dtype=tf.int64,
        value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
    )


def text_feature(name: str) -> monitoring.TextFeature:
    """What the monitor watches of an input of text, with the tokens of `Tokenizer` and an export's vocabulary."""
    tokenizer = {
        **NORMAL,
        "lowercase": True,
        "replace": [list(rule) for rule in text.REPLACE],
        "split": text.SPLIT,
        "vocabulary": f"assets/{FILE}",
    }
    return monitoring.TextFeature(name, tokenizer)
