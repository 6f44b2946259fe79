"""A corpus as the model reads it: a vocabulary, and the ids of each split on disk."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from unroll.errors import UserError
from unroll.models.text.lossless import CharacterUnits, Units, WordUnits, split_words
from unroll.models.tokens import UNKNOWN
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.dataset_info import read_info, write_info
from unroll.pipelines.data.splits import SPLITS
from unroll.pipelines.tasks.language.config import CorpusSection
from unroll.pipelines.tasks.language.corpus.corpus import Corpus
from unroll.pipelines.tasks.language.corpus.files import text_files
from unroll.pipelines.training.progress import Progress

_VOCABULARY = "units.json"
_KIND = np.uint16  # of an id on disk, unless there are too many
_SHORT = 100  # characters, below which a split tells nothing


@dataclass(frozen=True)
class Split:
    """The ids of a split.

    Args:
        ids: `[units]`, of all its pieces, one behind the other.
        ends: int64 `[pieces]`, where each piece ends.
    """

    ids: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class LanguageData:
    """A prepared corpus.

    Args:
        directory: that `prepare` wrote.
        corpus: its text.
        units: the vocabulary, characters and perhaps words.
        dataset_info: what is known of it.
    """

    directory: Path
    corpus: Corpus
    units: Sequence[str]
    dataset_info: dict[str, Any]

    @classmethod
    def load(cls, directory: Path) -> "LanguageData":
        """What `prepare` wrote."""
        units = json.loads((directory / _VOCABULARY).read_text())
        return cls(directory, Corpus.load(directory), units, read_info(directory))

    @property
    def characters(self) -> list[str]:
        """Those that are known."""
        return [unit for unit in self.units if len(unit) == 1]

    def encoder(self) -> Units:
        """From texts to ids, and back."""
        return _encoder(self.dataset_info["unit"], self.units)

    def split(self, name: str) -> Split:
        """The ids of a split; they stay on disk."""
        ends = np.load(self.directory / f"{name}_ends.npy")
        kind = _kind(self.encoder())
        return Split(np.memmap(self.directory / f"{name}.ids", kind, "r", shape=(int(ends[-1]),)), ends)


def prepare(section: CorpusSection, data: str, directory: Path, progress: Progress) -> None:
    """Reads a corpus, learns its units from the train split and writes the ids of all splits.

    Raises:
        UserError: there is no text, or too little in a split.
    """
    notes = Notes()
    with progress.stage("reading") as stage:
        corpus = Corpus.write(section, text_files(data), directory, notes)
        corpus.save()
        characters = {split: corpus.size(split) for split in SPLITS}
        stage.say(f"{sum(characters.values()):,} characters")
    for split, size in characters.items():
        if size < _SHORT:
            remedy = "set data.split_fractions, such as [0.8, 0.1, 0.1]" if not section.split else "name other rows"
            raise UserError(
                f"--data {data}: {size:,} of its {sum(characters.values()):,} characters are in the {split} split, too "
                f"few to learn from or to score on. Give more text, or {remedy}"
            )
    with progress.stage("encoding"):
        counts = _counted(corpus, "train")
        characters_known = _most(counts, section)
        if not characters_known:
            raise UserError(
                f"configuration key data.min_count: no character of the train split occurs so often. Received: "
                f"{section.min_count}. Lower it"
            )
        if len(characters_known) == 1 and len(counts) == 1:
            raise UserError(f"--data {data}: holds nothing but {characters_known[0]!r}, and there is nothing to learn")
        words = _most(_counted_words(corpus), section) if section.unit == "word" else []
        units = [*characters_known, *words]
        (directory / _VOCABULARY).write_text(json.dumps(units))
        encoder = _encoder(section.unit, units)
        unknown = {split: _encode(corpus, split, encoder, directory) for split in SPLITS}
    write_info(
        directory,
        {
            "characters": characters,
            "documents": None if corpus.running else {split: len(corpus.pieces(split)) for split in SPLITS},
            "copies": corpus.copies,
            "unit": section.unit,
            "known": {"characters": len(characters_known), "words": len(words)},
            "unknown": unknown,
            "unigram": _cross_entropy(counts, characters_known, _counted(corpus, "validation")),
            "notes": list(notes),
        },
    )


def _encoder(unit: str, units: Sequence[str]) -> Units:
    return WordUnits(units) if unit == "word" else CharacterUnits(units)


def _kind(encoder: Units) -> type[np.integer]:
    return _KIND if len(encoder.characters) <= np.iinfo(_KIND).max else np.int32


def _most(counts: Counter[str], section: CorpusSection) -> list[str]:
    """The most frequent, most frequent first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: section.vocabulary_size]
    return [unit for unit, count in ranked if count >= section.min_count]


def _encode(corpus: Corpus, split: str, encoder: Units, directory: Path) -> int:
    """Writes a split's ids, and returns how many of its characters are unknown."""
    pieces, kind, unknown = corpus.pieces(split), _kind(encoder), 0
    sizes = dict.fromkeys(pieces.tolist(), 0)
    with (directory / f"{split}.ids").open("wb") as stream:
        for piece, text in _whole_words(corpus.texts(pieces)):
            ids = encoder(tf.constant([text])).values.numpy()
            ids.astype(kind).tofile(stream)
            sizes[piece] += len(ids)
            unknown += int(np.sum(ids == UNKNOWN))
    np.save(directory / f"{split}_ends.npy", np.cumsum(list(sizes.values())))
    return unknown


def _whole_words(parts: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Parts of pieces that end before a blank, where no unit goes on."""
    last, held = -1, ""
    for piece, text in parts:
        if piece != last and held:
            yield last, held
            held = ""
        last, text = piece, held + text
        cut = max(0, text.rfind(" ")) or len(text)
        yield piece, text[:cut]
        held = text[cut:]
    if held:
        yield last, held


def _counted_words(corpus: Corpus) -> Counter[str]:
    """Words of the train split that are longer than a character."""
    counts: Counter[bytes] = Counter()
    for _, text in _whole_words(corpus.texts(corpus.pieces("train"))):
        counts.update(split_words(tf.constant([text])).values.numpy().tolist())
    return Counter({word: count for one, count in counts.items() if len(word := one.decode()) > 1})


def _counted(corpus: Corpus, split: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for _, text in corpus.texts(corpus.pieces(split)):
        counts.update(text)
    return counts


def _cross_entropy(train: Counter[str], units: Iterable[str], held_out: Counter[str]) -> float:
    """Nats a character of the units' frequencies alone."""
    known = set(units)
    total = sum(count for unit, count in train.items() if unit in known)
    scored = {unit: count for unit, count in held_out.items() if unit in known}
    lost = sum(count * math.log(total / train[unit]) for unit, count in scored.items())
    return lost / max(1, sum(scored.values()))
