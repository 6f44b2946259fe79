"""Texts to the ids of subwords and back, in the graph, as sentencepiece has them; TensorFlow's core operations only."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from unroll.models.text.lossless import Units
from unroll.models.text.vocabulary import TextVocabulary
from unroll.models.tokens import PADDING, RESERVED, SPACE, UNKNOWN

_MAX_RUN = 128  # characters of a word; the longest decides how much room all take
_UNKNOWN_PENALTY = 10.0  # nats below the least probable token, as in sentencepiece
_BETWEEN = "\x1e"  # a control character, between words
_WORD = "( ?[^\\s]+|(?s:.))"


class Segmenter(tf.Module):
    """Cuts words into pieces: the likeliest under a unigram language model (Kudo 2018, arXiv:1804.10959).

    The best path to each character is found from those to the characters before it (Viterbi 1967), in all distinct
    words at once. A run of more than 128 characters is segmented in parts of 128.

    Args:
        pieces: piece i has the id i + 4; before them come padding, unknown, start and end.
        scores: float `[pieces]`, natural logarithms of the pieces' probabilities.
        join_unknown: whether unknown characters side by side are one unknown token, as in sentencepiece.

    Attributes:
        scores: float32 `[ids]`, of each id.

    Call arguments:
        words: string `[words]`, UTF-8.

    Returns:
        Ids int32 `[words, (pieces)]`.

    Example:
        >>> Segmenter(["a", "b", "ab"], [-2.0, -2.0, -3.0])(tf.constant(["aba", "b"])).to_list()
        [[6, 4], [5]]
    """

    def __init__(self, pieces: Sequence[str], scores: Sequence[float], join_unknown: bool = True):
        super().__init__()
        ids = tf.range(RESERVED, RESERVED + len(pieces), dtype=tf.int64)
        self._table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant(list(pieces), tf.string), ids), UNKNOWN
        )
        self._longest = max(map(len, pieces))
        self._join_unknown = join_unknown
        unknown = min(scores) - _UNKNOWN_PENALTY
        self.scores = tf.constant(np.array([unknown] * RESERVED + list(scores), np.float32))

    def __call__(self, words: tf.Tensor) -> tf.RaggedTensor:
        distinct, place = tf.unique(words)
        return tf.gather(self._segmented(distinct), place)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def _segmented(self, words: tf.Tensor) -> tf.RaggedTensor:
        """A function of its own in the graph, since several signatures call it."""
        characters = tf.strings.unicode_split(words, "UTF-8", errors="replace")  # [N, (T)]
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
        if not self._join_unknown:
            return by_word
        dense = by_word.to_tensor(PADDING)  # [N, S]
        repeated = (dense == UNKNOWN) & (tf.pad(dense, [[0, 0], [1, 0]])[:, :-1] == UNKNOWN)
        return tf.ragged.boolean_mask(dense, (dense != PADDING) & ~repeated)

    def _candidates(self, characters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Ids and scores of the pieces that end at each character, longest first, `[words, characters, L]`."""
        ids, scores = [], []
        count = tf.shape(characters)[1]
        piece = characters
        for size in range(1, self._longest + 1):
            if size > 1:  # one more character in front
                before = tf.pad(characters, [[0, 0], [size - 1, 0]], constant_values="")[:, :count]
                piece = tf.strings.join([before, piece])
            found = tf.cast(self._table.lookup(piece), tf.int32)
            inside = (tf.range(count) >= size - 1) & (found != UNKNOWN) | (size == 1)
            ids.append(found)
            scores.append(tf.where(inside, tf.gather(self.scores, found), -np.inf))
        return tf.stack(ids[::-1], axis=2), tf.stack(scores[::-1], axis=2)

    def _best(self, scores: tf.Tensor) -> tf.Tensor:
        """Characters of the piece that the best path to each character ends with, `[words, characters]`."""
        rows, count = tf.shape(scores)[0], tf.shape(scores)[1]
        by_time = tf.transpose(scores, [1, 0, 2])

        def body(t, newest, sizes):
            paths = newest + by_time[t]  # [N, L], by where the piece begins
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
        """Where the best path's pieces end, bool `[words, characters]`, from each word's end back to its start."""
        by_time = tf.transpose(sizes)  # [T, N]
        count = tf.shape(by_time)[0]

        def body(t, at, ends):
            here = at == t + 1
            return t - 1, tf.where(here, at - by_time[t], at), ends.write(t, here)

        begin = (count - 1, lengths, tf.TensorArray(tf.bool, count, element_shape=[None]))
        *_, ends = tf.while_loop(lambda t, *_: t >= 0, body, begin)
        return tf.transpose(ends.stack())


class SubwordVocabulary(TextVocabulary):
    """Words, each with the blank before it, cut into pieces; a `TextVocabulary`.

    Args:
        tokens, lowercase: as of `TextVocabulary`; no token goes on over a space.
        scores: as of `Segmenter`.

    Attributes:
        scores: float32 `[ids]`, of each id.

    Example:
        >>> vocabulary = SubwordVocabulary(["\u2581", "a", "b", "ab"], [-1.0, -2.0, -2.0, -3.0])
        >>> vocabulary.encode(tf.constant(["aba"]), max_tokens=10).numpy()
        array([[4, 7, 5]], dtype=int32)
    """

    def __init__(self, tokens: Sequence[str], scores: Sequence[float], lowercase: bool = False):
        super().__init__(tokens, lowercase)
        self._segmenter = Segmenter(tokens, scores)
        self.scores = self._segmenter.scores

    def _ids(self, texts, max_tokens):
        words = tf.strings.split(tf.strings.regex_replace(texts, SPACE, " "))[:, :max_tokens]  # [R, (W)]
        pieces = self._segmenter(tf.strings.join([SPACE, words.flat_values]))
        return words.with_values(pieces).merge_dims(1, 2)


class SubwordUnits(Units):
    """Words, with the blank before them, cut into pieces that put together are the text; `Units`.

    A further blank, or a line's end, is a word of its own. What no piece holds is unknown, a character a unit.

    Args:
        units: as of `Units`, with " " where sentencepiece has "\u2581"; single characters among them.
        scores: as of `Segmenter`.

    Example:
        >>> units = SubwordUnits([" d", "og", "d", "o", "g", " ", "\\n"], [-1.0, -1.0, -3.0, -3.0, -3.0, -4.0, -4.0])
        >>> ids = units(tf.constant(["dog  dog\\n?"]))
        >>> ids.to_list()
        [[6, 5, 9, 4, 5, 10, 1]]
    """

    def __init__(self, units: Sequence[str], scores: Sequence[float]):
        super().__init__(units)
        self._segmenter = Segmenter(units, scores, join_unknown=False)

    def _ids(self, texts):
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        texts = tf.strings.regex_replace(texts, _BETWEEN, "\ufffd")
        words = tf.strings.split(tf.strings.regex_replace(texts, _WORD, f"\\1{_BETWEEN}"), _BETWEEN)
        words = tf.ragged.boolean_mask(words, tf.not_equal(words, ""))
        return words.with_values(self._segmenter(words.values)).merge_dims(1, 2)
