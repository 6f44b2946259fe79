"""A corpus as the model reads it: a vocabulary, and the ids of each split on disk."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unroll.errors import UserError
from unroll.models.text.lossless import code_points
from unroll.models.tokens import RESERVED, UNKNOWN
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.dataset_info import read_info, write_info
from unroll.pipelines.data.splits import SPLITS
from unroll.pipelines.tasks.language.config import CorpusSection
from unroll.pipelines.tasks.language.corpus import Corpus
from unroll.pipelines.tasks.language.reading import text_files
from unroll.pipelines.training.progress import Progress

_VOCABULARY = "units.json"
_WIDE = 1 << 16  # ids, from which they take four bytes
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
        units: the vocabulary.
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

    def split(self, name: str) -> Split:
        """The ids of a split; they stay on disk."""
        ids = np.load(self.directory / f"{name}.npy", mmap_mode="r")
        return Split(ids, np.load(self.directory / f"{name}_ends.npy"))


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
        counts: Counter[str] = Counter()
        for _, text in corpus.texts(corpus.pieces("train")):
            counts.update(text)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: section.vocabulary_size]
        units = [unit for unit, count in ranked if count >= section.min_count]
        if not units:
            raise UserError(
                f"configuration key data.min_count: no character of the train split occurs so often. Received: "
                f"{section.min_count}. Lower it"
            )
        (directory / _VOCABULARY).write_text(json.dumps(units))
        unknown = {split: _encode(corpus, split, units, directory) for split in SPLITS}
    write_info(
        directory,
        {
            "characters": characters,
            "documents": None if corpus.running else {split: len(corpus.pieces(split)) for split in SPLITS},
            "copies": corpus.copies,
            "unit": section.unit,
            "units": len(units),
            "known": "".join(units),
            "unknown": unknown,
            "unigram": _cross_entropy(counts, units, _counted(corpus, "validation")),
            "notes": list(notes),
        },
    )


def _encode(corpus: Corpus, split: str, units: Sequence[str], directory: Path) -> int:
    """Writes a split's ids, and returns how many of its characters are unknown."""
    of_point, pieces = code_points(units), corpus.pieces(split)
    sizes = corpus.characters[pieces]
    kind = np.uint16 if len(units) + RESERVED < _WIDE else np.int32
    ids = np.lib.format.open_memmap(directory / f"{split}.npy", "w+", kind, (int(sizes.sum()),))
    start = unknown = 0
    for _, text in corpus.texts(pieces):
        points = np.frombuffer(text.encode("utf-32-le"), np.int32)
        found = of_point[np.minimum(points, len(of_point) - 1)]
        ids[start : start + len(found)] = found
        start, unknown = start + len(found), unknown + int(np.sum(found == UNKNOWN))
    ids.flush()
    np.save(directory / f"{split}_ends.npy", np.cumsum(sizes))
    return unknown


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
