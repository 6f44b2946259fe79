"""Ids of generated text, and the way back from ids to text."""

from collections.abc import Sequence

import tensorflow as tf

from models.text import PADDING, UNKNOWN

START, END, RESERVED = 2, 3, 4  # after PADDING and UNKNOWN; the vocabulary's pieces follow
SPACE = "\u2581"  # how a piece says that a space comes before it, as in sentencepiece (Kudo & Richardson 2018)

__all__ = ["END", "PADDING", "RESERVED", "SPACE", "START", "UNKNOWN", "Detokenizer"]


class Detokenizer(tf.Module):
    """Piece ids to text.

    Args:
        pieces: the vocabulary; piece i has the id i + 4.

    Example:
        >>> Detokenizer(["\u2581a", "\u2581dog", "s"])(tf.constant([[2, 4, 5, 6, 3, 0]])).numpy()
        array([b'a dogs'], dtype=object)
    """

    def __init__(self, pieces: Sequence[str]):
        super().__init__(name="detokenizer")
        reserved = [""] * RESERVED
        reserved[UNKNOWN] = SPACE + "\ufffd"
        self.pieces = tf.constant([*reserved, *pieces])

    def words(self, ids: tf.Tensor) -> tf.Tensor:
        """Each id's piece as people read it, string of the ids' shape; empty for padding, start and end."""
        return tf.strings.strip(tf.strings.regex_replace(tf.gather(self.pieces, ids), SPACE, " "))

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        """Texts, string `[...]`, of int32 `[..., pieces]`."""
        text = tf.strings.reduce_join(tf.gather(self.pieces, ids), axis=-1)
        return tf.strings.strip(tf.strings.regex_replace(text, SPACE, " "))
