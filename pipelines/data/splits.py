"""Which records are kept, and in which split: train, validation or test."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from unroll.errors import UserError

SPLITS = ("train", "validation", "test")  # a record found in several belongs to the last of them
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

    MD5 of the stripped text modulo 10, so that adding records moves none and duplicates stay together.

    Example:
        >>> hash_split("a fine film") == hash_split("  a fine film ")
        True
    """
    return digest_split(hashlib.md5(text.strip().encode(), usedforsecurity=False).digest())


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


class RecordIndex:
    """Finds duplicates over any number of records, on disk, so that memory stays flat.

    Of records with the same text, one is kept: in the test split if any copy is there, else in
    validation, else in train. Texts that occur with different labels are dropped altogether.

    Args:
        database: a connection that `create` or `open` made.

    Example:
        >>> with RecordIndex.create(Path("index.sqlite")) as index:
        ...     index.add(0, ["good", "bad", "good"], ["1", "0", "1"], ["train", "train", "test"])
        ...     list(index.kept())
        [(1, 'train', '0'), (2, 'test', '1')]
    """

    def __init__(self, database: sqlite3.Connection):
        self._database = database

    @classmethod
    def create(cls, file: Path) -> "RecordIndex":
        """An empty index in a new file."""
        database = sqlite3.connect(file, isolation_level=None)
        database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;"
            "CREATE TABLE records (digest BLOB PRIMARY KEY, row INTEGER, split INTEGER, label TEXT,"
            " conflict INTEGER) WITHOUT ROWID"
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
            (
                hashlib.md5(text.strip().encode(), usedforsecurity=False).digest(),
                row,
                SPLITS.index(split),
                label,
            )
            for row, (text, label, split) in enumerate(zip(texts, labels, splits, strict=True), first_row)
            if text and text.strip() and label is not None
        )
        self._database.executemany(
            "INSERT INTO records VALUES (?, ?, ?, ?, 0) ON CONFLICT (digest) DO UPDATE SET"
            " conflict = conflict OR label != excluded.label,"
            " row = CASE WHEN excluded.split > split THEN excluded.row ELSE row END,"
            " split = max(split, excluded.split)",
            rows,
        )

    def kept(self) -> Iterator[tuple[int, str, str]]:
        """(row, split, label) of every record that is kept, by row."""
        cursor = self._database.cursor()
        for row, split, label in cursor.execute(
            "SELECT row, split, label FROM records WHERE NOT conflict ORDER BY row"
        ):
            yield row, SPLITS[split], label

    def counts(self) -> dict[str, dict[str, int]]:
        """Kept records: `{label: {split: count}}`, labels in order."""
        counts: dict[str, dict[str, int]] = {}
        for label, split, count in self._database.execute(
            "SELECT label, split, count(*) FROM records WHERE NOT conflict GROUP BY label, split ORDER BY label"
        ):
            counts.setdefault(label, dict.fromkeys(SPLITS, 0))[SPLITS[split]] = count
        return counts

    def conflicts(self) -> int:
        """Texts dropped because they occur with different labels."""
        return self._database.execute("SELECT count(*) FROM records WHERE conflict").fetchone()[0]
