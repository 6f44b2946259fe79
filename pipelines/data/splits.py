"""Which records are kept, and in which split: train, validation or test."""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from unroll.errors import UserError
from unroll.models.text.alike import NORMAL
from unroll.monitoring.features.normal_form import normal_form

SPLITS = ("train", "validation", "test")  # a record found in several belongs to the last of them
Conflicts = Literal["majority", "drop", "keep"]
"""What becomes of a text that occurs with different labels."""
_ROW_BITS = 48
_SPELLINGS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
}


def hash_split(text: str) -> str:
    """A record's split, from its content alone: 8 in 10 train, 1 validation, 1 test.

    MD5 of the stripped text in normal form, modulo 10, so that adding records moves none and duplicates stay together,
    also those that differ in what no reader sees.

    Example:
        >>> hash_split("a fine film") == hash_split("  a fine film ")
        True
    """
    return digest_split(_md5(normal_form(text, NORMAL).strip()))


def digest_split(digest: bytes) -> str:
    """A record's split from the MD5 digest of its content: `hash_split` for what is not text."""
    return {0: "test", 1: "validation"}.get(int.from_bytes(digest, "big") % 10, "train")


def named_split(value: str | None) -> str:
    """The split that a split column's value means: a known spelling, alone or before `_` and any further name.

    Raises:
        UserError: a value that is not a known spelling.

    Example:
        >>> named_split("Val"), named_split("test_unseen")
        ('validation', 'test')
    """
    try:
        return _SPELLINGS[(value or "").strip().lower().partition("_")[0]]
    except KeyError:
        known = ", ".join(_SPELLINGS)
        raise UserError(f"data.split: the column may hold {known}, also followed by _. Received: {value!r}") from None


class NamedSplits:
    """The splits that a column names; cells that name none are counted, and refused when all have been seen.

    Example:
        >>> splits = NamedSplits("part")
        >>> splits.of(["train", "Dev"])
        ['train', 'validation']
        >>> splits.check()
    """

    def __init__(self, column: str):
        self._column = column
        self._seen = 0
        self._wrong: list[tuple[str | None, int]] = []  # the first cell of each kind, and its record
        self._counts: Counter[str | None] = Counter()

    def of(self, values: Iterable[str | None]) -> list[str]:
        """The splits of further cells; train for one that names none."""
        splits = []
        for value in values:
            self._seen += 1
            try:
                splits.append(named_split(value))
            except UserError:
                value = (value or "").strip() or None
                if value not in self._counts:
                    self._wrong.append((value, self._seen))
                self._counts[value] += 1
                splits.append("train")
        return splits

    def check(self) -> None:
        """Refuses a column of which a cell named no split.

        Raises:
            UserError: gives the first such cell, and how many there are.
        """
        if not self._wrong:
            return
        value, record = self._wrong[0]
        what = "an empty cell" if value is None else "that"
        others = sum(self._counts.values()) - self._counts[value]
        raise UserError(
            f"data.split: the column may hold {', '.join(_SPELLINGS)}, also followed by _. Received: {value or ''!r} "
            f"in record {record:,} of column {self._column!r}; {self._counts[value]:,} of {self._seen:,} records have "
            f"{what}{f', {others:,} another unknown one' if others else ''}. Write one of these there, or have a hash "
            "decide: --set data.split=null"
        )


class Conflicting(NamedTuple):
    """Texts that occur with different labels, and how many of them are dropped."""

    texts: int
    dropped: int


class RecordIndex:
    """Finds duplicates over any number of records, on disk, so that memory stays flat.

    Of records with the same text, one is kept: in the test split if any copy is there, else in
    validation, else in train. Texts are compared in normal form, blanks side by side as one.

    Args:
        database: a connection that `create` or `open` made.

    Example:
        >>> with RecordIndex.create(Path("index.sqlite")) as index:
        ...     index.add(0, ["good", "bad", "good"], ["1", "0", "1"], ["train", "train", "test"])
        ...     settled = index.settle()
        ...     list(index.kept())
        [(1, 'train', '0'), (2, 'test', '1')]
    """

    def __init__(self, database: sqlite3.Connection):
        self._database = database

    @classmethod
    def create(cls, file: Path) -> "RecordIndex":
        """An empty index in a new file."""
        database = sqlite3.connect(file, isolation_level=None)
        # a place is 2 - split, then the row: the least of some is the first in the most held-out split
        database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;"
            "CREATE TABLE records (digest BLOB, label TEXT, copies INTEGER, place INTEGER,"
            " PRIMARY KEY (digest, label)) WITHOUT ROWID;"
            "CREATE TABLE kept (row INTEGER PRIMARY KEY, split INTEGER, label TEXT)"
        )
        return cls(database)

    @classmethod
    def open(cls, file: Path) -> "RecordIndex":
        """The index that is in a file, to read."""
        return cls(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True))

    def __enter__(self) -> "RecordIndex":
        return self

    def __exit__(self, *exception) -> None:
        self._database.commit()
        self._database.close()

    def add(
        self, first_row: int, texts: Sequence[str | None], labels: Sequence[str | None], splits: Iterable[str]
    ) -> None:
        """Adds records numbered from `first_row`; one without text or label is passed over."""
        rows = (
            (_digest(text), label, (len(SPLITS) - 1 - SPLITS.index(split)) << _ROW_BITS | row)
            for row, (text, label, split) in enumerate(zip(texts, labels, splits, strict=True), first_row)
            if text and text.strip() and label is not None
        )
        self._database.executemany(
            "INSERT INTO records VALUES (?, ?, 1, ?) ON CONFLICT (digest, label) DO UPDATE SET"
            " copies = copies + 1, place = min(place, excluded.place)",
            rows,
        )

    def labels(self) -> dict[str, int]:
        """Records that were added, by label."""
        return dict(self._database.execute("SELECT label, sum(copies) FROM records GROUP BY label ORDER BY label"))

    def settle(self, conflicts: Conflicts = "majority", classes: Mapping[str, str] | None = None) -> Conflicting:
        """Decides which records are kept; called once, after all are added.

        Args:
            conflicts: what becomes of a text with different labels: `majority` keeps it with the label that most of its
                copies have, and drops it if there is none; `drop` drops it; `keep` keeps it once with each label.
            classes: other names of labels; labels of one name are one.
        """
        run = self._database.execute
        run("CREATE TEMP TABLE classes (label TEXT PRIMARY KEY, class TEXT)")
        self._database.executemany("INSERT INTO classes VALUES (?, ?)", (classes or {}).items())
        run("CREATE TEMP TABLE several AS SELECT digest FROM records GROUP BY digest HAVING count(*) > 1")
        run("CREATE UNIQUE INDEX temp.several_digest ON several (digest)")
        named = "coalesce((SELECT class FROM classes WHERE classes.label = records.label), records.label)"
        row = f"place & {(1 << _ROW_BITS) - 1}"
        run(
            f"INSERT INTO kept SELECT {row}, {len(SPLITS) - 1} - (place >> {_ROW_BITS}), {named} FROM records"
            " WHERE digest NOT IN (SELECT digest FROM several)"
        )
        run(
            f"CREATE TEMP TABLE choices AS SELECT digest, {row} AS row, label, labels, split,"
            " rank() OVER (PARTITION BY digest ORDER BY copies DESC) AS rank,"
            " count(*) OVER (PARTITION BY digest, copies) AS ties FROM ("
            f"SELECT digest, {named} AS label, sum(copies) AS copies, min(place) AS place,"
            f" count(*) OVER (PARTITION BY digest) AS labels,"
            f" {len(SPLITS) - 1} - (min(min(place)) OVER (PARTITION BY digest) >> {_ROW_BITS}) AS split"
            " FROM records JOIN several USING (digest) GROUP BY digest, 2)"
        )
        wanted = {"majority": "labels = 1 OR rank = 1 AND ties = 1", "drop": "labels = 1", "keep": "TRUE"}[conflicts]
        run(f"INSERT INTO kept SELECT row, split, label FROM choices WHERE {wanted}")
        texts, settled = run(
            f"SELECT count(DISTINCT digest), count(DISTINCT CASE WHEN {wanted} THEN digest END)"
            " FROM choices WHERE labels > 1"
        ).fetchone()
        return Conflicting(texts, texts - settled)

    def move(self, label: str, split: str) -> None:
        """Puts the kept records of a label into a split."""
        self._database.execute("UPDATE kept SET split = ? WHERE label = ?", (SPLITS.index(split), label))

    def kept(self) -> Iterator[tuple[int, str, str]]:
        """(row, split, label) of every record that is kept, by row."""
        for row, split, label in self._database.execute("SELECT row, split, label FROM kept ORDER BY row"):
            yield row, SPLITS[split], label

    def counts(self) -> dict[str, dict[str, int]]:
        """Kept records: `{label: {split: count}}`, labels in order."""
        counts: dict[str, dict[str, int]] = {}
        for label, split, count in self._database.execute(
            "SELECT label, split, count(*) FROM kept GROUP BY label, split ORDER BY label"
        ):
            counts.setdefault(label, dict.fromkeys(SPLITS, 0))[SPLITS[split]] = count
        return counts


def _digest(text: str) -> bytes:
    return _md5(" ".join(normal_form(text, NORMAL).split()))


def _md5(text: str) -> bytes:
    return hashlib.md5(text.encode(), usedforsecurity=False).digest()
