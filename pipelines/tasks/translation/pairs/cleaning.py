"""Which pairs are learnt from, and why the others are not."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from unroll.models.tokens import SPACE
from unroll.pipelines.data.splits import SPLITS, hash_split
from unroll.pipelines.tasks.translation.pairs.files import Pair

_BLANK = re.compile(f"[\\x00\\s{SPACE}]+")
_NAME = 3  # words that a pair of equal texts may have: names are the same in many languages
_LENGTHS = 2.0  # natural logarithm of how far lengths may be from what is usual, for texts that are not short
_SHORT = 20  # characters, of which neither lengths nor letters tell much
_BUCKETS = 1 << 16  # that runs of three characters are hashed into
_COUNTED = 50_000  # pairs that letters are counted in
_APART = 0.3  # nats a character, by which two languages can be told apart

REASONS = {
    "empty": "with an empty side",
    "equal": "whose sides are equal",
    "copies": "there before, word for word",
    "held_out": "in a held-out split, too",
    "lengths": "whose lengths do not go together",
    "swapped": "with a side written as the other side is",
    "long": "longer than data.max_tokens",
}


def tidy(text: str) -> str:
    """A text as it is learnt and compared: single blanks, none at the ends; nothing else is changed.

    Example:
        >>> tidy("  Ein  Hund.\\n")
        'Ein Hund.'
    """
    return _BLANK.sub(" ", text.encode("utf-8", "replace").decode()).strip()


@dataclass
class Kept:
    """Pairs that are used, tidied, by split.

    Args:
        pairs: of each split.
        left_out: training pairs that are not used, by reason.
        suspicious: held-out pairs that training would leave out, by reason; they are scored all the same.
    """

    pairs: dict[str, list[Pair]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    left_out: Counter[str] = field(default_factory=Counter)
    suspicious: Counter[str] = field(default_factory=Counter)


def clean(pairs: Sequence[Pair], splits: Sequence[str]) -> Kept:
    """Leaves out what would teach a model wrong.

    Pairs with an empty side and copies of a pair are left out everywhere. So are, of the train split alone, pairs that
    are in a held-out split, too, longer ones whose sides are equal, or whose lengths differ far more than usual, or of
    which a side's letters are those of the other language.

    Args:
        pairs: as they were read.
        splits: of each.
    """
    kept = Kept()
    seen: set[tuple[str, str, str]] = set()
    order = sorted(range(len(pairs)), key=lambda row: -SPLITS.index(splits[row]))  # held-out ones first
    chosen = []
    for row in order:
        pair, split = pairs[row], splits[row]
        if not pair.source or not pair.target:
            kept.left_out["empty"] += 1
        elif (pair.source, pair.target, split) in seen:
            kept.left_out["copies"] += 1
        elif split == "train" and {(*pair.sides, other) for other in SPLITS[1:]} & seen:
            kept.left_out["held_out"] += 1
        else:
            seen.add((pair.source, pair.target, split))
            chosen.append(row)
    chosen.sort()
    wrong = _wrong([pairs[row] for row in chosen])
    for row, reason in zip(chosen, wrong, strict=True):
        split = splits[row]
        if reason and split == "train":
            kept.left_out[reason] += 1
            continue
        if reason:
            kept.suspicious[reason] += 1
        kept.pairs[split].append(pairs[row])
    return kept


def source_split(source: str) -> str:
    """The split of a pair by its source: other translations of a text stay together."""
    return hash_split(source)


def _wrong(pairs: Sequence[Pair]) -> list[str]:
    """Why each pair is not to be learnt; empty where it is."""
    if not pairs:
        return []
    sizes = np.array([[len(pair.source), len(pair.target)] for pair in pairs])
    ratios = np.log((sizes[:, 0] + 5) / (sizes[:, 1] + 5))
    far = (np.abs(ratios - np.median(ratios)) > _LENGTHS) & (sizes.max(axis=1) > _SHORT)
    swapped = _written_as_the_other(pairs)
    reasons = []
    for row, pair in enumerate(pairs):
        if pair.source == pair.target and len(pair.source.split()) > _NAME:
            reasons.append("equal")
        elif swapped[row]:
            reasons.append("swapped")
        else:
            reasons.append("lengths" if far[row] else "")
    return reasons


def _written_as_the_other(pairs: Sequence[Pair]) -> np.ndarray:
    """Whether a side's runs of three characters are rather those of the other side, in nats a run, bool `[pairs]`."""
    step = -(-len(pairs) // _COUNTED)
    counts = [
        np.bincount(np.concatenate([_runs(pair.sides[side]) for pair in pairs[::step]]), minlength=_BUCKETS) + 0.5
        for side in (0, 1)
    ]
    ratio = np.log(counts[0] / counts[0].sum()) - np.log(counts[1] / counts[1].sum())
    scores = np.array([[ratio[_runs(pair.sides[side])].mean() for side in (0, 1)] for pair in pairs])
    usual = np.median(scores, axis=0)
    if usual[0] < _APART or usual[1] > -_APART:  # one language in two spellings, say
        return np.zeros(len(pairs), bool)
    long = np.array([[len(pair.sides[side]) >= _SHORT for side in (0, 1)] for pair in pairs])
    return ((scores[:, 0] < usual[1] / 2) & long[:, 0]) | ((scores[:, 1] > usual[0] / 2) & long[:, 1])


def _runs(text: str) -> np.ndarray:
    points = np.frombuffer(f" {text.lower()} ".encode("utf-32-le"), np.uint32).astype(np.int64)
    points = np.pad(points, (0, max(0, 3 - len(points))))
    return (points[:-2] * 1_000_003 + points[1:-1] * 8191 + points[2:]) % _BUCKETS
