"""Captioned pictures of tables: CSV, TSV, JSONL and Parquet."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.records import read_section
from unroll.pipelines.tasks.captioning.config import CaptionSection
from unroll.pipelines.tasks.captioning.reading.picture_paths import PicturePaths
from unroll.pipelines.tasks.captioning.reading.record import (
    CaptionRecord,
    captions_of,
    listed_captions,
    picture_of,
)

_BETWEEN = re.compile(r"\S\s*(\||;|<sep>|##+|\n)\s*\S")


def table_records(
    section: CaptionSection, file: Path, paths: PicturePaths, notes: Notes | None, optional: Sequence[str | None] = ()
) -> Iterator[CaptionRecord]:
    """Streams a table's records.

    Args:
        section: names the columns.
        file: the table.
        paths: finds the pictures' files.
        notes: where to say what was found out by looking at the file.
        optional: columns that it may lack.

    Raises:
        UserError: no such column, or a file that cannot be read.
    """
    stored = [section.image, *section.caption]
    columns = [*stored, section.split, section.group, section.cluster]
    row = 0
    joined = _JoinedCaptions(notes)
    for batch in read_section(section, [file], columns, as_stored=stored, optional=optional, notes=notes):
        for index, cell in enumerate(batch[section.image]):
            row += 1
            for name in section.caption:
                joined.look(name, batch[name][index])
            image = picture_of(cell, paths)
            renamed = isinstance(image, Path) and isinstance(cell, str) and image != paths.folder / cell.strip()
            yield CaptionRecord(
                image,
                [caption for name in section.caption for caption in captions_of(batch[name][index])],
                (batch[section.split][index] or "") if section.split else None,
                (batch[section.group][index] or "") if section.group else "",
                (batch[section.cluster][index] or "") if section.cluster else "",
                str(image) if isinstance(image, Path) else f"{file.name}, row {row}",
                paths.folder,
                cell if renamed else "",
            )
    joined.warn()


class _JoinedCaptions:
    """Cells that hold several captions as one text."""

    def __init__(self, notes: Notes | None):
        self._notes = notes
        self._cells: Counter[str] = Counter()
        self._joined: Counter[tuple[str, str]] = Counter()  # by column and sign
        self._first: dict[tuple[str, str], str] = {}

    def look(self, column: str, cell: Any) -> None:
        if self._notes is None or not isinstance(cell, str) or not cell:
            return
        self._cells[column] += 1
        if listed_captions(cell) is not None:
            self._notes.add(f"Column {column!r} holds lists written as text: each of their parts is a caption.")
        elif found := _BETWEEN.search(cell):
            self._joined[column, found[1]] += 1
            self._first.setdefault((column, found[1]), cell)

    def warn(self) -> None:
        for (column, sign), count in self._joined.items():
            if self._notes is not None and 2 * count > self._cells[column]:
                self._notes.add(
                    f"Warning: {count:,} of {self._cells[column]:,} captions in column {column!r} have {sign!r} "
                    f"between parts, such as {self._first[column, sign]!r}, and are one caption each. If the parts are "
                    "captions, write each in a row of its own, or all as a JSON list"
                )
