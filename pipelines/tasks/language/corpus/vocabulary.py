"""The units of a corpus, learnt from its train split: characters, and perhaps words or subwords beside them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import tensorflow as tf

from unroll.errors import UserError
from unroll.models.text.lossless import CharacterUnits, Units, WordUnits, split_words
from unroll.models.text.subwords import SubwordUnits
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.texts.subwords import learn_subwords
from unroll.pipelines.tasks.language.config import CorpusSection
from unroll.pipelines.tasks.language.corpus.corpus import Corpus

_BLANK = "\u2581"  # which sentencepiece has for a blank
_PART = 1 << 16  # characters of which units are found at once
_LINE = 1 << 13  # characters that subwords are learnt from at once
_LEARNT = 10_000_000  # characters that they are learnt from
_MOST = 10_000
_OFTEN, _FEWEST = 400, 500  # characters of the train split to a subword, and subwords at least


class Vocabulary(NamedTuple):
    """What a model reads and writes.

    Args:
        units: their texts; single characters among them.
        scores: of subwords, natural logarithms of their probabilities; empty of other units.
    """

    units: Sequence[str]
    scores: Sequence[float] = ()

    @property
    def characters(self) -> list[str]:
        """Single ones."""
        return [unit for unit in self.units if len(unit) == 1]

    def encoder(self, unit: str) -> Units:
        """From texts to ids, and back."""
        if unit == "subword":
            return SubwordUnits(self.units, self.scores)
        return WordUnits(self.units) if unit == "word" else CharacterUnits(self.units)


def learn(corpus: Corpus, section: CorpusSection, counts: Counter[str], notes: Notes) -> Vocabulary:
    """Learns units from the train split.

    Args:
        corpus: whose.
        section: what is a unit, and how many there are.
        counts: of its characters.
        notes: where to say what was left out.

    Raises:
        UserError: there is nothing to learn.
    """
    characters = _most(counts, section)
    if not characters:
        raise UserError(
            f"configuration key data.min_count: no character of the train split occurs so often. Received: "
            f"{section.min_count}. Lower it"
        )
    if len(counts) == 1:
        raise UserError(f"--data: the train split holds nothing but {characters[0]!r}, and there is nothing to learn")
    if section.unit == "word":
        return Vocabulary([*characters, *_most(_counted_words(corpus), section)])
    return _subwords(corpus, section, characters, notes) if section.unit == "subword" else Vocabulary(characters)


def counted(corpus: Corpus, split: str) -> Counter[str]:
    """Characters of a split."""
    counts: Counter[str] = Counter()
    for _, text in corpus.texts(corpus.pieces(split)):
        counts.update(text)
    return counts


def whole_words(parts: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Parts of pieces, of a bounded size, that end before a blank, where no unit goes on.

    Args:
        parts: each with the number of its piece; a piece may have many.
    """
    last, held = -1, ""
    for piece, text in parts:
        if piece != last and held:
            yield from ((last, one) for one in _cut(held, _PART))
            held = ""
        last, text = piece, held + text
        end = max(0, text.rfind(" ")) or len(text)
        yield from ((piece, one) for one in _cut(text[:end], _PART))
        held = text[end:]
    yield from ((last, one) for one in _cut(held, _PART))


def together(parts: Iterable[tuple[int, str]]) -> Iterator[tuple[list[int], list[str]]]:
    """Parts in lists of a bounded size, since an operation takes about as long for one short text as for many.

    Args:
        parts: each with the number of its piece.

    Example:
        >>> list(together([(0, "a"), (1, "b")]))
        [([0, 1], ['a', 'b'])]
    """
    pieces: list[int] = []
    texts: list[str] = []
    size = 0
    for piece, text in parts:
        pieces.append(piece)
        texts.append(text)
        size += len(text)
        if size >= _PART:
            yield pieces, texts
            pieces, texts, size = [], [], 0
    if texts:
        yield pieces, texts


def _cut(text: str, size: int) -> Iterator[str]:
    begin = 0
    while begin < len(text):
        end = len(text) if len(text) - begin <= size else max(0, text.rfind(" ", begin + 1, begin + size))
        end = end or begin + size
        yield text[begin:end]
        begin = end


def _most(counts: Counter[str], section: CorpusSection) -> list[str]:
    """The most frequent, most frequent first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: section.vocabulary_size or _MOST]
    return [unit for unit, count in ranked if count >= section.min_count]


def _counted_words(corpus: Corpus) -> Counter[str]:
    """Words of the train split that are longer than a character."""
    counts: Counter[bytes] = Counter()
    for _, texts in together(whole_words(corpus.texts(corpus.pieces("train")))):
        counts.update(split_words(tf.constant(texts)).values.numpy().tolist())
    return Counter({word: count for one, count in counts.items() if len(word := one.decode()) > 1})


def _subwords(corpus: Corpus, section: CorpusSection, characters: list[str], notes: Notes) -> Vocabulary:
    size = corpus.size("train")
    if size > _LEARNT:
        notes.add(f"Subwords are learnt from the first {_LEARNT:,} of {size:,} training characters.")
    count = section.vocabulary_size or min(_MOST, max(_FEWEST, size // _OFTEN))
    try:
        learnt = learn_subwords(_lines(corpus), max(count, len(characters)), prefix=False)
    except ValueError as error:
        raise UserError(
            f"configuration key data.unit: no subwords can be made of the texts: {error}. Received: 'subword'. Have "
            "characters instead: --set data.unit=character"
        ) from None
    known = set(characters)
    pieces = {piece.replace(_BLANK, " "): score for piece, score in zip(learnt.pieces, learnt.scores, strict=True)}
    pieces = {piece: score for piece, score in pieces.items() if known.issuperset(piece)}
    least = min(pieces.values(), default=0.0)
    scores = dict.fromkeys(characters, least) | pieces  # a line's end is in no line
    return Vocabulary(list(scores), list(scores.values()))


def _lines(corpus: Corpus) -> Iterator[str]:
    parts = whole_words(corpus.texts(corpus.pieces("train")))
    for text in islice((text for _, text in parts), max(1, _LEARNT // _PART)):
        for line in text.split("\n"):
            yield from _cut(line, _LINE)
