"""A corpus as the model reads it: a vocabulary, and the ids of each split on disk."""

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from unroll.errors import UserError
from unroll.models.text.lossless import Units
from unroll.models.tokens import UNKNOWN
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.dataset_info import read_info, write_info
from unroll.pipelines.data.splits import SPLITS
from unroll.pipelines.tasks.language.config import CorpusSection
from unroll.pipelines.tasks.language.corpus.corpus import Corpus
from unroll.pipelines.tasks.language.corpus.files import text_files
from unroll.pipelines.tasks.language.corpus.vocabulary import Vocabulary, counted, learn, together, whole_words
from unroll.pipelines.training.progress import Progress

_VOCABULARY = "units.json"
_KIND = np.uint16  # of an id on disk, unless there are too many
_LONGER = {"word": "words", "subword": "longer subwords"}  # units of more than a character
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

    def part(self, first: int, last: int) -> "Split":
        """Some of its units, of which the pieces at the ends may be cut."""
        ends = np.clip(self.ends, first, last) - first
        return Split(self.ids[first:last], np.unique(ends[ends > 0]))


@dataclass(frozen=True)
class LanguageData:
    """A prepared corpus.

    Args:
        directory: that `prepare` wrote.
        corpus: its text.
        vocabulary: what its units are.
        dataset_info: what is known of it.
    """

    directory: Path
    corpus: Corpus
    vocabulary: Vocabulary
    dataset_info: dict[str, Any]

    @classmethod
    def load(cls, directory: Path) -> "LanguageData":
        """What `prepare` wrote."""
        vocabulary = Vocabulary(*json.loads((directory / _VOCABULARY).read_text()))
        return cls(directory, Corpus.load(directory), vocabulary, read_info(directory))

    @property
    def characters(self) -> list[str]:
        """Those that are known."""
        return self.vocabulary.characters

    def encoder(self) -> Units:
        """From texts to ids, and back."""
        return self.vocabulary.encoder(self.dataset_info["unit"])

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
        counts = counted(corpus, "train")
        vocabulary = learn(corpus, section, counts, notes)
        (directory / _VOCABULARY).write_text(json.dumps(vocabulary))
        encoder, known = vocabulary.encoder(section.unit), vocabulary.characters
        unknown = {split: _encode(corpus, split, encoder, directory) for split in SPLITS}
    write_info(
        directory,
        {
            "characters": characters,
            "documents": None if corpus.running else {split: len(corpus.pieces(split)) for split in SPLITS},
            "copies": corpus.copies,
            "unit": section.unit,
            "known": {"characters": len(known), _LONGER.get(section.unit, ""): len(vocabulary.units) - len(known)},
            "unknown": unknown,
            "unigram": _cross_entropy(counts, known, counted(corpus, "validation")),
            "notes": list(notes),
        },
    )


def _kind(encoder: Units) -> type[np.integer]:
    return _KIND if len(encoder.characters) <= np.iinfo(_KIND).max else np.int32


def _encode(corpus: Corpus, split: str, encoder: Units, directory: Path) -> int:
    """Writes a split's ids, and returns how many of its characters are unknown."""
    pieces, kind, unknown = corpus.pieces(split), _kind(encoder), 0
    sizes = dict.fromkeys(pieces.tolist(), 0)
    with (directory / f"{split}.ids").open("wb") as stream:
        for numbers, texts in together(whole_words(corpus.texts(pieces))):
            ids = encoder(tf.constant(texts))
            ids.values.numpy().astype(kind).tofile(stream)
            for piece, size in zip(numbers, ids.row_lengths().numpy().tolist(), strict=True):
                sizes[piece] += size
            unknown += int(np.sum(ids.values.numpy() == UNKNOWN))
    np.save(directory / f"{split}_ends.npy", np.cumsum(list(sizes.values())))
    return unknown


def _cross_entropy(train: Counter[str], units: Iterable[str], held_out: Counter[str]) -> float:
    """Nats a character of the units' frequencies alone."""
    known = set(units)
    total = sum(count for unit, count in train.items() if unit in known)
    scored = {unit: count for unit, count in held_out.items() if unit in known}
    lost = sum(count * math.log(total / train[unit]) for unit, count in scored.items())
    return lost / max(1, sum(scored.values()))
