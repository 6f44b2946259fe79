"""Texts to the ids of their units and back, character for character: nothing is folded, trimmed or left out.

Line ends are one character whoever wrote them; what is not UTF-8 becomes U+FFFD.
"""

import abc
import unicodedata
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from unroll.models.tokens import RESERVED, UNKNOWN

REPLACEMENT = unicodedata.lookup("REPLACEMENT CHARACTER")
_LINE_END = "\r\n?"
_BETWEEN = "\x1e"  # a control character that no text holds, between units
_LETTERS = "[\\p{L}\\p{N}\\p{M}]+"
_WORD = f"( ?{_LETTERS}(?:['\u2019]{_LETTERS})*|(?s:.))"


class Units(tf.Module, abc.ABC):
    """Units and their ids; a kind of units says how a text is cut.

    Args:
        units: unit i has the id i + 4; before them come padding, unknown, start and end.

    Attributes:
        pieces: string `[ids]`, the text of each id; U+FFFD of an unknown one, nothing of the other special ones.
        characters: of each id, how many characters it stands for; 0 of the special ones.
    """

    def __init__(self, units: Sequence[str]):
        super().__init__()
        special = [""] * RESERVED
        special[UNKNOWN] = REPLACEMENT
        self.pieces = tf.constant([*special, *units])
        self.characters = [0] * RESERVED + [len(unit) for unit in units]

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Ids int32 `[rows, (units)]` of texts, string `[rows]`."""
        return self._ids(tf.strings.regex_replace(texts, _LINE_END, "\n"))

    def text(self, ids: tf.Tensor) -> tf.Tensor:
        """Texts, string `[...]`, of ids int32 `[..., units]`."""
        return tf.strings.reduce_join(tf.gather(self.pieces, ids), axis=-1)

    @abc.abstractmethod
    def _ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Of texts whose lines end in one character."""


class CharacterUnits(Units):
    """Each character, Unicode's code point, is a unit.

    Example:
        >>> units = CharacterUnits(["a", "b", "\\n"])
        >>> ids = units(tf.constant(["ab\\r\\nc", "b"])).to_tensor()
        >>> ids.numpy()
        array([[4, 5, 6, 1],
               [5, 0, 0, 0]], dtype=int32)
        >>> units.text(ids).numpy()[1]
        b'b'
    """

    def __init__(self, units: Sequence[str]):
        super().__init__(units)
        self._of_point = tf.constant(code_points(units))

    def _ids(self, texts):
        points = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")
        last = tf.shape(self._of_point)[0] - 1
        return tf.ragged.map_flat_values(lambda flat: tf.gather(self._of_point, tf.minimum(flat, last)), points)


class WordUnits(Units):
    """Words, with the blank before them, are units; what is not one of them is spelled, a character a unit.

    So any text is a sequence of units, whose probability is that of the text.

    Args:
        units: as of `Units`; single characters among them.

    Example:
        >>> units = WordUnits([" dog", "a", "d", "o", "g", "t"])
        >>> units(tf.constant(["a dog got"])).to_list()
        [[5, 4, 1, 8, 7, 9]]
    """

    def __init__(self, units: Sequence[str]):
        super().__init__(units)
        ids = tf.range(RESERVED, RESERVED + len(units), dtype=tf.int64)
        self._table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant(list(units), tf.string), ids), UNKNOWN
        )

    def _ids(self, texts):
        words = split_words(texts)  # [B, (words)]
        ids = self._lookup(words.values)
        known = ids != UNKNOWN
        whole = tf.RaggedTensor.from_row_lengths(tf.boolean_mask(ids, known), tf.cast(known, tf.int64))
        spelled = tf.strings.unicode_split(tf.where(known, "", words.values), "UTF-8", errors="replace")
        units = tf.concat([whole, tf.ragged.map_flat_values(self._lookup, spelled)], axis=1)  # [words, (units)]
        return tf.RaggedTensor.from_row_splits(units.values, tf.gather(units.row_splits, words.row_splits))

    def _lookup(self, texts: tf.Tensor) -> tf.Tensor:
        return tf.cast(self._table.lookup(texts), tf.int32)


def split_words(texts: tf.Tensor) -> tf.RaggedTensor:
    """Letters, digits and marks together, with apostrophes inside and a blank before, and every other sign alone.

    Args:
        texts: string `[rows]`.

    Returns:
        string `[rows, (words)]`, which put together are the text.

    Example:
        >>> split_words(tf.constant(["I don't,  no."])).to_list()
        [[b'I', b" don't", b',', b' ', b' no', b'.']]
    """
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
    texts = tf.strings.regex_replace(texts, _BETWEEN, REPLACEMENT)
    parts = tf.strings.split(tf.strings.regex_replace(texts, _WORD, f"\\1{_BETWEEN}"), _BETWEEN)
    return tf.ragged.boolean_mask(parts, tf.not_equal(parts, ""))


def code_points(units: Sequence[str]) -> np.ndarray:
    """The id of each code point up to that after the last known one, int32; `UNKNOWN` where it is not a unit.

    Example:
        >>> code_points(["\\x01", "\\x03"]).tolist()
        [1, 4, 1, 5, 1]
    """
    points = [ord(unit) for unit in units]
    ids = np.full(max(points, default=-1) + 2, UNKNOWN, np.int32)
    ids[points] = np.arange(RESERVED, RESERVED + len(points))
    return ids
