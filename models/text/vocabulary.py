"""Texts to the ids of words, characters or subwords, in the graph, and back; TensorFlow's core operations only.

A space becomes "\u2581" (U+2581) before the token that follows it, as in sentencepiece (Kudo & Richardson 2018), so
that ids give the text back.
"""

import abc
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from unroll.models.tokens import PADDING, RESERVED, SPACE, UNKNOWN, Detokenizer

# as Python's `\s`, and NUL, at which lower() would truncate the text
_BLANK = f"[\\x00\\s\\v\\x{{1c}}-\\x{{1f}}\\x{{85}}\\p{{Z}}{SPACE}]+"
_LETTERS = "[\\p{L}\\p{N}\\p{M}]+"
_WORD = f"({SPACE}?(?:{_LETTERS}(?:['\u2019]{_LETTERS})*|[^{SPACE}]))"
_MAX_BYTES = 64  # of text that is looked at, for every token that is kept
_MAX_RUN = 128  # characters of a word; the longest decides how much room all take
_UNKNOWN_PENALTY = 10.0  # nats below the least probable token, as in sentencepiece


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


class SubwordVocabulary(TextVocabulary):
    """The likeliest segmentation under a unigram language model (Kudo 2018, arXiv:1804.10959), as sentencepiece has it.

    The best path to each character is found from those to the characters before it (Viterbi 1967), in all words of all
    texts at once. A run of more than 128 characters without a space is segmented in parts of 128.

    Args:
        tokens, lowercase: as of `TextVocabulary`; no token goes on over a space.
        scores: float `[tokens]`, natural logarithms of the tokens' probabilities.

    Example:
        >>> vocabulary = SubwordVocabulary(["\u2581", "a", "b", "ab"], [-1.0, -2.0, -2.0, -3.0])
        >>> vocabulary.encode(tf.constant(["aba"]), max_tokens=10).numpy()
        array([[4, 7, 5]], dtype=int32)
    """

    def __init__(self, tokens: Sequence[str], scores: Sequence[float], lowercase: bool = False):
        super().__init__(tokens, lowercase)
        self._longest = max(map(len, tokens))
        unknown = min(scores) - _UNKNOWN_PENALTY
        self._scores = tf.constant(np.array([unknown] * RESERVED + list(scores), np.float32))

    def _ids(self, texts, max_tokens):
        words = tf.strings.split(tf.strings.regex_replace(texts, SPACE, " "))[:, :max_tokens]  # [R, (W)]
        characters = tf.strings.unicode_split(tf.strings.join([SPACE, words.flat_values]), "UTF-8")  # [N, (T)]
        lengths = tf.cast(characters.row_lengths(), tf.int32)
        parts = -(-lengths // _MAX_RUN)
        starts = _MAX_RUN * tf.ragged.range(parts).flat_values
        lengths = tf.minimum(tf.repeat(lengths, parts) - starts, _MAX_RUN)  # [M]
        characters = tf.RaggedTensor.from_row_lengths(characters.flat_values, lengths)  # [M, (T)]

        dense = characters.to_tensor("")
        dense = tf.pad(
            dense, [[0, 0], [0, tf.cast(tf.shape(dense)[1] == 0, tf.int32)]]
        )  # a loop of no steps has no shape
        ids, scores = self._candidates(dense)  # [M, T, L]
        sizes = self._best(scores)  # [M, T]
        ids = tf.gather(ids, self._longest - sizes, batch_dims=2)
        by_part = tf.ragged.boolean_mask(ids, self._ends(sizes, lengths))  # [M, (S)]
        by_word = tf.RaggedTensor.from_row_lengths(by_part, tf.cast(parts, tf.int64)).merge_dims(1, 2)
        by_word = by_word.to_tensor(PADDING)  # [N, S]
        # what is unknown side by side is one unknown token
        repeated = (by_word == UNKNOWN) & (tf.pad(by_word, [[0, 0], [1, 0]])[:, :-1] == UNKNOWN)
        by_word = tf.ragged.boolean_mask(by_word, (by_word != PADDING) & ~repeated)
        return words.with_values(by_word).merge_dims(1, 2)

    def _candidates(self, characters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Ids and scores of the tokens that end at each character, longest first, `[words, characters, L]`."""
        ids, scores = [], []
        count = tf.shape(characters)[1]
        token = characters
        for size in range(1, self._longest + 1):
            if size > 1:  # one more character in front
                before = tf.pad(characters, [[0, 0], [size - 1, 0]], constant_values="")[:, :count]
                token = tf.strings.join([before, token])
            found = self._lookup(token)
            inside = (tf.range(count) >= size - 1) & (found != UNKNOWN) | (size == 1)
            ids.append(found)
            scores.append(tf.where(inside, tf.gather(self._scores, found), -np.inf))
        return tf.stack(ids[::-1], axis=2), tf.stack(scores[::-1], axis=2)

    def _best(self, scores: tf.Tensor) -> tf.Tensor:
        """Characters of the token that the best path to each character ends with, `[words, characters]`."""
        rows, count = tf.shape(scores)[0], tf.shape(scores)[1]
        by_time = tf.transpose(scores, [1, 0, 2])

        def body(t, newest, sizes):
            paths = newest + by_time[t]  # [N, L], by where the token begins
            best = tf.argmax(paths, axis=1, output_type=tf.int32)
            newest = tf.concat([newest[:, 1:], tf.reduce_max(paths, axis=1, keepdims=True)], axis=1)
            return t + 1, newest, sizes.write(t, self._longest - best)

        # the scores of the paths to the L positions before a character; all begin at 0
        newest = tf.pad(tf.zeros([rows, 1]), [[0, 0], [self._longest - 1, 0]], constant_values=-np.inf)
        begin = (tf.constant(0), newest, tf.TensorArray(tf.int32, count, element_shape=[None]))
        shapes = (tf.TensorShape([]), tf.TensorShape([None, self._longest]), tf.TensorShape(None))
        *_, sizes = tf.while_loop(lambda t, *_: t < count, body, begin, shape_invariants=shapes)
        return tf.transpose(sizes.stack())

    def _ends(self, sizes: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Where the best path's tokens end, bool `[words, characters]`, from each word's end back to its start."""
        by_time = tf.transpose(sizes)  # [T, N]
        count = tf.shape(by_time)[0]

        def body(t, at, ends):
            here = at == t + 1
            return t - 1, tf.where(here, at - by_time[t], at), ends.write(t, here)

        begin = (count - 1, lengths, tf.TensorArray(tf.bool, count, element_shape=[None]))
        *_, ends = tf.while_loop(lambda t, *_: t >= 0, body, begin)
        return tf.transpose(ends.stack())
