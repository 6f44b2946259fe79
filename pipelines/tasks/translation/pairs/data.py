"""Pairs as the model reads them: subwords, and the ids of each split on disk."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from unroll.errors import UserError
from unroll.models.tokens import END, PADDING, RESERVED, START, UNKNOWN
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.dataset_info import read_info, write_info
from unroll.pipelines.data.sections import no_groups
from unroll.pipelines.data.splits import SPLITS, NamedSplits
from unroll.pipelines.data.texts.subwords import Subwords, learn_subwords
from unroll.pipelines.task import Arrays
from unroll.pipelines.tasks.translation.config import PairSection
from unroll.pipelines.tasks.translation.pairs.cleaning import REASONS, Kept, clean, source_split, tidy
from unroll.pipelines.tasks.translation.pairs.files import Pair, read_pairs
from unroll.pipelines.tasks.translation.plan import default_vocabulary
from unroll.pipelines.training.progress import Progress

_VOCABULARY = "subwords.json"
_ROWS = 256  # pairs of a batch that is scored
_NEAR = 2  # subwords, by which lengths of one batch may differ for the sake of an order that changes


def prepare(section: PairSection, data: str, directory: Path, progress: Progress) -> None:
    """Reads pairs, learns subwords from the train split, and writes the texts and the ids of all splits.

    Raises:
        UserError: there are no pairs, or a split has none.
    """
    notes = Notes()
    with progress.stage("reading") as stage:
        read = [Pair(tidy(one.source), tidy(one.target), *one[2:]) for one in read_pairs(section, data, notes)]
        splits = _splits(section, read)
        kept = clean(read, splits)
        stage.say(f"{len(read):,} pairs")
    _check(section, data, read, kept)
    train = kept.pairs["train"]
    size = section.vocabulary_size or default_vocabulary(len(train))
    with progress.stage("learning subwords") as stage:
        learnt = _learn(train, size)
        (directory / _VOCABULARY).write_text(json.dumps({"pieces": learnt.pieces, "scores": learnt.scores}))
        stage.say(f"{len(learnt.pieces):,} subwords")
    with progress.stage("encoding"):
        encoder = _Encoder(learnt)
        encoded = {split: encoder(kept.pairs[split]) for split in SPLITS}
        whole = encoded["train"]
        fits = [max(map(len, pair)) <= section.max_tokens for pair in encoded["train"]]
        kept.left_out["long"] += len(fits) - sum(fits)
        kept.pairs["train"] = list(itertools.compress(train, fits))
        encoded["train"] = list(itertools.compress(encoded["train"], fits))
        if not any(fits):
            raise UserError(
                f"configuration key data.max_tokens: no training pair is so short. Received: {section.max_tokens}. "
                f"Raise it to {min(max(map(len, pair)) for pair in whole)} or more"
            )
        for split in SPLITS:
            _write(directory, split, kept.pairs[split], encoded[split])
    write_info(
        directory,
        {
            "read": len(read),
            "counts": {split: len(kept.pairs[split]) for split in SPLITS},
            "left_out": {reason: count for reason, count in kept.left_out.items() if count},
            "suspicious": dict(kept.suspicious),
            "subwords": len(learnt.pieces),
            "longest": max(len(target) for _, target in encoded["train"]),
            "unknown": {
                split: int(sum(np.sum(ids == UNKNOWN) for pair in encoded[split] for ids in pair)) for split in SPLITS
            },
            "notes": list(notes),
        },
    )


@dataclass(frozen=True)
class TranslationData:
    """Prepared pairs.

    Args:
        directory: that `prepare` wrote.
        dataset_info: what is known of them.
        pieces: subwords.
        scores: their log-probabilities.
    """

    directory: Path
    dataset_info: dict[str, Any]
    pieces: Sequence[str]
    scores: Sequence[float]

    @classmethod
    def load(cls, directory: Path) -> "TranslationData":
        """What `prepare` wrote."""
        return cls(directory, read_info(directory), **json.loads((directory / _VOCABULARY).read_text()))

    @property
    def vocabulary(self) -> int:
        """Ids, the special ones included."""
        return len(self.pieces) + RESERVED

    def pairs(self, split: str) -> list[Pair]:
        """The texts of a split."""
        table = pq.read_table(self.directory / f"{split}.parquet").to_pydict()
        rows = zip(table["source"], table["target"], table["group"], strict=True)
        return [Pair(source, target, None, group) for source, target, group in rows]

    def records(self, split: str) -> Iterator[Arrays]:
        """The texts of a split as `evaluate` takes them."""
        return pair_batches(self.pairs(split))

    def batches(self, split: str, size: int, seed: Sequence[int] | None, part: tuple[float, float] = (0, 1)):
        """Batches of pairs of about the same length.

        Args:
            split: its name.
            size: pairs of average length in a batch; all batches hold about as many subwords, padding included.
            seed: decides which are together, and their order; None: always the same.
            part: of the pairs, from one share to another.

        Returns:
            Dataset of `({"source": int32 [rows, positions], "target": int32 [rows, time]}, int32 [rows, time])`, the
            last of what follows each id of the target.
        """
        spec = tf.TensorSpec([None, None], tf.int32)
        ids = self._ids[split]
        count = len(ids["sizes"])
        rows = np.arange(int(part[0] * count), max(int(part[1] * count), int(part[0] * count) + 1))
        return tf.data.Dataset.from_generator(
            lambda: _batches(ids, self._cuts(ids["sizes"][rows], size, seed, rows)),
            output_signature=({"source": spec, "target": spec}, spec),
        ).prefetch(4)

    def steps(self, split: str, size: int) -> int:
        """Batches of a split, within a few."""
        sizes = self._ids[split]["sizes"]
        return len(self._cuts(sizes, size, None, np.arange(len(sizes))))

    def _cuts(self, sizes: np.ndarray, size: int, seed: Sequence[int] | None, rows: np.ndarray) -> list[np.ndarray]:
        """Numbers of the pairs of each batch."""
        rng = np.random.default_rng(None if seed is None else list(seed))
        longest = sizes.max(axis=1)
        noise = rng.random((2, len(rows))) if seed is not None else np.zeros((2, len(rows)))
        # by the target, which costs more, then the source; which of those side by side are together changes
        order = np.lexsort((sizes[:, 0] + _NEAR * noise[0], np.floor(sizes[:, 1] + _NEAR * noise[1])))
        budget = size * float(self._ids["train"]["sizes"].max(axis=1).mean())
        cuts, start, widest = [], 0, 0
        for place, row in enumerate(order):
            wider = max(widest, int(longest[row]))
            if place > start and wider * (place - start + 1) > budget:
                cuts.append(rows[order[start:place]])
                start, wider = place, int(longest[row])
            widest = wider
        cuts.append(rows[order[start:]])
        return [cuts[i] for i in rng.permutation(len(cuts))] if seed is not None else cuts

    @cached_property
    def _ids(self) -> dict[str, dict[str, np.ndarray]]:
        return {split: dict(np.load(self.directory / f"{split}.npz")) for split in SPLITS}


def pair_batches(pairs: Sequence[Pair]) -> Iterator[Arrays]:
    """Pairs as `evaluate` takes them."""
    for start in range(0, len(pairs), _ROWS):
        part = pairs[start : start + _ROWS]
        yield {
            "text": np.array([pair.source.encode() for pair in part], object),
            "target": np.array([pair.target.encode() for pair in part], object),
            "group": np.array([pair.group for pair in part], object),
        }


def further_pairs(section: PairSection, data: str, progress: Progress) -> list[Pair]:
    """Pairs of further data that have both sides.

    Raises:
        UserError: there are none.
    """
    notes = Notes()
    section = section.model_copy(update={"split": None})
    found = read_pairs(section, data, notes, grouped=False)
    read = [Pair(tidy(one.source), tidy(one.target), *one[2:]) for one in found]
    pairs = [pair for pair in read if pair.source and pair.target]
    if len(pairs) < len(read):
        notes.add(f"Pairs with an empty side, left out: {len(read) - len(pairs):,} of {len(read):,}.")
    if section.group and not any(pair.group for pair in pairs):
        notes.add(no_groups(section.group))
    for line in notes:
        progress.line(line)
    return pairs


class _Encoder:
    """Pairs to ids, without start and end, as the graph encodes them."""

    def __init__(self, learnt: Subwords):
        import sentencepiece

        self._processor = sentencepiece.SentencePieceProcessor(model_proto=learnt.model)

    def __call__(self, pairs: Sequence[Pair]) -> list[tuple[np.ndarray, np.ndarray]]:
        sides = [self._processor.encode([pair.sides[side] for pair in pairs]) for side in (0, 1)]
        return [(self._ours(source), self._ours(target)) for source, target in zip(*sides, strict=True)]

    @staticmethod
    def _ours(numbers: Sequence[int]) -> np.ndarray:
        """Sentencepiece's 0 is unknown, and its pieces begin at 1."""
        ids = np.array(numbers, np.int32)
        return np.where(ids == 0, UNKNOWN, ids + RESERVED - 1).astype(np.int32)


def _learn(pairs: Sequence[Pair], size: int) -> Subwords:
    try:
        return learn_subwords(itertools.chain.from_iterable(pair.sides for pair in pairs), size)
    except ValueError as error:
        raise UserError(
            f"configuration key data.vocabulary_size: no subwords can be made of the training pairs: {error}. "
            f"Received: {size}. Raise it"
        ) from None


def _splits(section: PairSection, pairs: Sequence[Pair]) -> list[str]:
    named = NamedSplits(section.split or "the files' names")
    if not section.split and any(pair.split is None for pair in pairs):
        return [source_split(pair.source) for pair in pairs]
    splits = named.of([pair.split for pair in pairs])
    named.check()
    return splits


def _check(section: PairSection, data: str, read: Sequence[Pair], kept: Kept) -> None:
    if not read:
        raise UserError(f"--data {data}: holds no pairs, only a header. Add some")
    if not any(kept.pairs.values()):
        raise UserError(
            f"--data {data}: none of {len(read):,} pairs has both a text in {section.source!r} and its translation in "
            f"{section.target!r}. Name the right ones with --set data.source=... --set data.target=..."
        )
    for split in SPLITS:
        if not kept.pairs[split]:
            how = f"column {section.split!r} names none" if section.split else f"{len(read):,} pairs are too few"
            if not section.split and any(pair.split for pair in read):
                how = "no file's name begins with it"
            told = ", ".join(f"{count:,} {REASONS[reason]}" for reason, count in kept.left_out.items() if count)
            left_out = f" (left out: {told})" if told else ""
            raise UserError(f"--data {data}: no pair is in the {split} split: {how}{left_out}. Add some")


def _write(
    directory: Path, split: str, pairs: Sequence[Pair], encoded: Sequence[tuple[np.ndarray, np.ndarray]]
) -> None:
    columns: Mapping[str, list[str]] = {
        "source": [pair.source for pair in pairs],
        "target": [pair.target for pair in pairs],
        "group": [pair.group for pair in pairs],
    }
    pq.write_table(pa.table(columns), directory / f"{split}.parquet")
    sizes = np.array([[len(source), len(target)] for source, target in encoded]).reshape(-1, 2)
    np.savez(
        directory / f"{split}.npz",
        source=np.concatenate([source for source, _ in encoded]),
        target=np.concatenate([target for _, target in encoded]),
        sizes=sizes + 1,  # with the end
    )


def _batches(ids: Mapping[str, np.ndarray], cuts: Sequence[np.ndarray]):
    sizes = ids["sizes"] - 1
    starts = np.cumsum(sizes, axis=0) - sizes
    for rows in cuts:
        source = _padded(ids["source"], starts[rows, 0], sizes[rows, 0])
        target = _padded(ids["target"], starts[rows, 1], sizes[rows, 1])
        before = np.concatenate([np.full((len(rows), 1), START, np.int32), target[:, :-1]], axis=1)
        yield {"source": source, "target": np.where(before == END, PADDING, before)}, target


def _padded(ids: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Rows of ids, each with the end behind it."""
    place = np.arange(sizes.max() + 1)
    rows = ids[np.minimum(starts[:, None] + place, len(ids) - 1)]
    return np.where(place < sizes[:, None], rows, np.where(place == sizes[:, None], END, PADDING)).astype(np.int32)
