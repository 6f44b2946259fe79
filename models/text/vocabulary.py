"""Texts to the ids of words or characters, in the graph, and back; TensorFlow's core operations only.

A space becomes "\u2581" (U+2581) before the token that follows it, as in sentencepiece (Kudo & Richardson 2018), so
that ids give the text back.
"""

import abc
from collections.abc import Sequence

import tensorflow as tf

from unroll.models.tokens import PADDING, RESERVED, SPACE, UNKNOWN, Detokenizer

# as Python's `\s`, and NUL, at which lower() would truncate the text
_BLANK = f"[\\x00\\s\\v\\x{{1c}}-\\x{{1f}}\\x{{85}}\\p{{Z}}{SPACE}]+"
_LETTERS = "[\\p{L}\\p{N}\\p{M}]+"
_WORD = f"({SPACE}?(?:{_LETTERS}(?:['\u2019]{_LETTERS})*|[^{SPACE}]))"
_MAX_BYTES = 64  # of text that is looked at, for every token that is kept


class TextVocabulary(tf.Module, abc.ABC):
    """Tokens and their ids; a kind of vocabulary says how a text is split.

    Args:
        tokens: token i has the id i + 4; before them come padding, unknown, start and end.
        lowercase: makes capitals small, as where the tokens are.

    Example:
        >>> vocabulary = WordVocabulary(["\u2581a", "\u2581dog"], lowercase=True)
        >>> ids = vocabulary.encode(tf.constant(["A dog", "a cat"]), max_tokens=10)
        >>> ids.numpy()
        array([[4, 5],
               [4, 1]], dtype=int32)
        >>> vocabulary.decode(ids[:1]).numpy()
        array([b'a dog'], dtype=object)
    """

    def __init__(self, tokens: Sequence[str], lowercase: bool = False):
        super().__init__()
        self.lowercase = lowercase
        self.decode = Detokenizer(tokens)
        ids = tf.range(RESERVED, RESERVED + len(tokens), dtype=tf.int64)
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant(list(tokens), tf.string), ids), UNKNOWN
        )

    def ragged(self, texts: tf.Tensor, max_tokens: int) -> tf.RaggedTensor:
        """Ids of texts, int32 `[rows, (tokens)]`, without start and end; no row is longer than `max_tokens`.

        Args:
            texts: string `[rows]`. What is not UTF-8 becomes U+FFFD, and blanks one space; letters and their marks
                must be composed (NFC), as keyboards write them, since no core operation composes them.
            max_tokens: tokens kept of each text, from its start.
        """
        texts = tf.strings.substr(texts, 0, max_tokens * _MAX_BYTES)  # a megabyte costs no more than what is kept
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        texts = tf.strings.strip(tf.strings.regex_replace(texts, _BLANK, " "))
        if self.lowercase:
            texts = tf.strings.lower(texts, encoding="utf-8")
        return self._ids(tf.strings.regex_replace(texts, " ", SPACE), max_tokens)[:, :max_tokens]

    def encode(self, texts: tf.Tensor, max_tokens: int) -> tf.Tensor:
        """As `ragged`, padded on the right with 0: int32 `[rows, tokens]`."""
        return self.ragged(texts, max_tokens).to_tensor(PADDING)

    def _lookup(self, tokens: tf.Tensor) -> tf.Tensor:
        return tf.cast(self.table.lookup(tokens), tf.int32)

    @abc.abstractmethod
    def _ids(self, texts: tf.Tensor, max_tokens: int) -> tf.RaggedTensor:
        """Of normalised texts `[rows]`, in which each space is "\u2581"; at least the first `max_tokens`."""


class CharacterVocabulary(TextVocabulary):
    """Each character is a token.

    Example:
        >>> CharacterVocabulary(["a", "b", "\u2581"]).encode(tf.constant(["ab a"]), max_tokens=10).numpy()
        array([[4, 5, 6, 4]], dtype=int32)
    """

    def _ids(self, texts, max_tokens):
        return tf.ragged.map_flat_values(self._lookup, tf.strings.unicode_split(texts, "UTF-8"))


class WordVocabulary(TextVocabulary):
    """Letters, digits and marks together, with apostrophes inside, are a token; so is every other character alone."""

    def _ids(self, texts, max_tokens):
        marked = tf.where(tf.equal(texts, ""), "", tf.strings.join([SPACE, texts]))
        apart = tf.strings.split(tf.strings.regex_replace(marked, _WORD, "\\1 "))
        return tf.ragged.map_flat_values(self._lookup, apart)
