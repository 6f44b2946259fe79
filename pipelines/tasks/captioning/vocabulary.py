"""Captions to token ids: words, subwords or characters, losslessly."""

import functools
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from unroll.errors import UserError
from unroll.models.tokens import RESERVED, SPACE, UNKNOWN
from unroll.pipelines.data.texts.subwords import learn_subwords
from unroll.pipelines.data.vocabulary import count_vocabulary
from unroll.pipelines.tasks.captioning.config import Kind

_BLANK = re.compile(f"[\\s{SPACE}]+")

Cut = Callable[[str], Sequence[str]]


def normalise(caption: str, lowercase: bool) -> str:
    """A caption as it is learnt and compared: Unicode's composed form (NFC), single spaces, none at the ends.

    Args:
        caption: any text; halves of surrogate pairs become "?".
        lowercase: makes capitals small.

    Example:
        >>> normalise("  A  Dog\\n", lowercase=True)
        'a dog'
    """
    text = caption.encode("utf-8", "replace").decode()
    text = unicodedata.normalize("NFC", text.lower() if lowercase else text)
    return _BLANK.sub(" ", text).strip()


class Vocabulary:
    """The tokens of captions. A space becomes "▁" (U+2581) before the token that follows it, as in sentencepiece.

    Args:
        tokens: token i has the id i + 4; before them come padding, unknown, start and end.
        cut: makes tokens of a normalised caption.
        scores: of subwords, the logarithms of their probabilities, which `unroll.models.text.subwords` encodes by.

    Example:
        >>> vocabulary = Vocabulary.build(["medium-dark skin", "dark hair"], "word", size=10)
        >>> vocabulary.tokens
        ['-', 'dark', '▁dark', '▁hair', '▁medium', '▁skin']
        >>> vocabulary.encode("dark fur")
        [6, 1]
    """

    def __init__(self, tokens: list[str], cut: Cut, scores: Sequence[float] = ()):
        self.tokens = tokens
        self.scores = scores
        self._cut = cut
        self._ids = {token: number for number, token in enumerate(tokens, RESERVED)}

    @classmethod
    def build(cls, captions: Iterable[str], kind: Kind, size: int, min_count: int = 1) -> "Vocabulary":
        """The most frequent tokens, most frequent first; of subwords those of a unigram model, most probable first.

        Args:
            captions: normalised, of the train split.
            kind: word (letters, digits and marks together, with apostrophes inside; every other character alone),
                subword (Kudo 2018, arXiv:1804.10959) or character.
            size: tokens at most; captions that hold fewer give fewer.
            min_count: occurrences of a kept word or character.

        Raises:
            UserError: a size too small for subwords.
        """
        if kind == "subword":
            return cls(*_subwords(captions, size))
        cut: Cut = words if kind == "word" else characters
        batches = ([token.encode() for token in cut(caption)] for caption in captions)
        return cls([token.decode() for token in count_vocabulary(batches, size, min_count)], cut)

    def encode(self, caption: str) -> list[int]:
        """Ids of a normalised caption's tokens, without start and end; 1 for a token that is not in the vocabulary."""
        return [self._ids.get(token, UNKNOWN) for token in self._cut(caption)]


def words(caption: str) -> list[str]:
    """Words, and every other character alone.

    Example:
        >>> words("man's hat: off")
        ["▁man's", '▁hat', ':', '▁off']
    """
    return _word_pattern().findall(SPACE + caption.replace(" ", SPACE)) if caption else []


def characters(caption: str) -> list[str]:
    """Each character, with "▁" for the space.

    Example:
        >>> characters("a dog")
        ['a', '▁', 'd', 'o', 'g']
    """
    return list(caption.replace(" ", SPACE))


@functools.cache
def _word_pattern() -> re.Pattern[str]:
    # Python's \w lacks the combining marks, without which words of Indic scripts fall apart
    marks = "".join(one for one in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(one)[0] == "M")
    word = f"(?:[^\\W_]|[{marks}])+"
    return re.compile(f"{SPACE}?(?:{word}(?:['’]{word})*|[^{SPACE}])")


def _subwords(captions: Iterable[str], size: int) -> tuple[list[str], Cut, list[float]]:
    import sentencepiece

    try:
        learnt = learn_subwords(captions, size)
    except ValueError as error:
        raise UserError(
            f"configuration key data.vocabulary_size: no subwords can be made of the captions: {error}. "
            f"Received: {size}. Raise it, or set data.vocabulary=word"
        ) from None
    processor = sentencepiece.SentencePieceProcessor(model_proto=learnt.model)
    return learnt.pieces, functools.partial(processor.encode, out_type=str), learnt.scores
