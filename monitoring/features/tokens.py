"""Texts into token sets, by the same patterns as the model's own tokeniser."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unroll.monitoring.features.normal_form import normal_form

MAX_CHARACTERS = 20_000
"""A text is measured by its beginning; a request may hold a megabyte."""


@dataclass(frozen=True)
class TokenSets:
    """The distinct known tokens of each text.

    Args:
        ids: int32 `(sum of sizes,)`, vocabulary ids, text after text.
        sizes: int64 `(n,)`, how many of them belong to each text.
    """

    ids: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.sizes)

    def take(self, rows: np.ndarray) -> "TokenSets":
        """The sets of some texts: `rows` is int `(m,)`."""
        ends = np.cumsum(self.sizes)
        parts = [self.ids[ends[row] - self.sizes[row] : ends[row]] for row in rows]
        return TokenSets(np.concatenate([np.empty(0, np.int32), *parts]), self.sizes[rows])

    @staticmethod
    def concatenate(parts: Sequence["TokenSets"]) -> "TokenSets":
        return TokenSets(np.concatenate([part.ids for part in parts]), np.concatenate([part.sizes for part in parts]))


def split(texts: Iterable[str | bytes], spec: Mapping[str, Any]) -> Iterator[list[str]]:
    """The tokens of each text.

    Args:
        texts: bytes are UTF-8, invalid ones are replaced.
        spec: see `TextFeature`.
    """
    replacements = [(re.compile(pattern), replacement) for pattern, replacement in spec["replace"]]
    separator, lowercase = re.compile(spec["split"]), spec["lowercase"]
    for text in texts:
        if isinstance(text, bytes):
            # A character has at most four bytes.
            text = text[: 4 * MAX_CHARACTERS].decode("utf-8", "replace")
        text = normal_form(text[:MAX_CHARACTERS], spec)
        if lowercase:
            text = text.lower()
        for pattern, replacement in replacements:
            text = pattern.sub(replacement, text)
        yield [token for token in separator.split(text) if token]


def measure(
    texts: Iterable[str | bytes], spec: Mapping[str, Any], vocabulary: Mapping[str, int]
) -> tuple[np.ndarray, np.ndarray, TokenSets]:
    """Counts the tokens of n texts and looks them up.

    Args:
        texts: n texts.
        spec: see `TextFeature`.
        vocabulary: token to id.

    Returns:
        Number of tokens, float32 `(n,)`; share of them outside the vocabulary, float32 `(n,)`, 0 for an
        empty text; the sets of known tokens.
    """
    lengths, unknown, sets = [], [], [np.empty(0, np.int32)]
    for tokens in split(texts, spec):
        ids = [vocabulary.get(token, -1) for token in tokens]
        lengths.append(len(ids))
        unknown.append(ids.count(-1))
        sets.append(np.fromiter(set(ids) - {-1}, np.int32))
    length = np.array(lengths, np.float32)
    oov = np.array(unknown, np.float32) / np.maximum(length, 1)
    sizes = np.array([len(ids) for ids in sets[1:]], np.int64)
    return length, oov, TokenSets(np.concatenate(sets), sizes)
