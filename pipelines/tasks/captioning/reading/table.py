"""Captioned pictures of tables: CSV, TSV, JSONL and Parquet."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.records import read_section
from unroll.pipelines.tasks.captioning.config import CaptionSection
from unroll.pipelines.tasks.captioning.reading.picture_paths import PicturePaths
from unroll.pipelines.tasks.captioning.reading.record import CaptionRecord, captions_of, picture_of


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
    for batch in read_section(section, [file], columns, as_stored=stored, optional=optional, notes=notes):
        for index, cell in enumerate(batch[section.image]):
            row += 1
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
