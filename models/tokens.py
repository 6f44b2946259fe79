"""Ids of the tokens of generated text, and the way back from ids to text."""

from collections.abc import Sequence

import tensorflow as tf

from unroll.models.decoding import SpecialIds
from unroll.models.text.tokenizer import PADDING, UNKNOWN

START, END, RESERVED = 2, 3, 4  # after PADDING and UNKNOWN; the vocabulary's tokens follow
SPACE = "\u2581"  # how a token says that a space comes before it, as in sentencepiece (Kudo & Richardson 2018)

SPECIAL_IDS = SpecialIds(END, PADDING, suppressed=(UNKNOWN, START))  # nobody wants to read an unknown token

__all__ = ["END", "PADDING", "RESERVED", "SPACE", "SPECIAL_IDS", "START", "UNKNOWN", "Detokenizer"]


class Detokenizer(tf.Module):
    """Token ids to text.

    Args:
        tokens: the vocabulary; token i has the id i + 4.

    Attributes:
        pieces: string `[ids]`, each id's token as the vocabulary has it.

    Example:
        >>> Detokenizer(["\u2581a", "\u2581dog", "s"])(tf.constant([[2, 4, 5, 6, 3, 0]])).numpy()
        array([b'a dogs'], dtype=object)
    """

    def __init__(self, tokens: Sequence[str]):
        super().__init__(name="detokenizer")
        reserved = [""] * RESERVED
        reserved[UNKNOWN] = SPACE + "\ufffd"
        self.pieces = tf.constant([*reserved, *tokens])

    def tokens(self, ids: tf.Tensor) -> tf.Tensor:
        """Each id's token as people read it, string of the ids' shape; empty for padding, start and end."""
        return tf.strings.strip(tf.strings.regex_replace(tf.gather(self.pieces, ids), SPACE, " "))

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        """Texts, string `[...]`, of int32 `[..., tokens]`."""
        text = tf.strings.reduce_join(tf.gather(self.pieces, ids), axis=-1)
        return tf.strings.strip(tf.strings.regex_replace(text, SPACE, " "))
