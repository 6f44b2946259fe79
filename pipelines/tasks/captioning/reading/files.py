"""Which files hold captioned pictures, and in which form each of them has these."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from unroll.monitoring.tables.kinds import SUFFIXES, file_format, suffix
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.records import find_files
from unroll.pipelines.tasks.captioning.config import CaptionSection
from unroll.pipelines.tasks.captioning.reading.annotations import annotated_pictures
from unroll.pipelines.tasks.captioning.reading.caption_lines import line_form, line_records
from unroll.pipelines.tasks.captioning.reading.picture_paths import PicturePaths
from unroll.pipelines.tasks.captioning.reading.record import CaptionRecord
from unroll.pipelines.tasks.captioning.reading.table import table_records
from unroll.serving.files.regular_files import leads_out

ANNOTATIONS = ".json"
TEXTS = (".txt", ".token")
"""Endings of lists of captions, which are looked into where they are named: a folder may hold any other text too."""


def caption_files(data: str) -> list[Path]:
    """The data files that a path names.

    Raises:
        UserError: there are none.
    """
    return find_files(data, (*SUFFIXES, ANNOTATIONS, *(() if Path(data).is_dir() else TEXTS)))


def picture_files(section: CaptionSection, data: str) -> list[Path]:
    """The files of pictures that the records name, each once; those that are not read are left out.

    Args:
        section, data: see `caption_records`.

    Raises:
        UserError: see `caption_records`.
    """
    folders = {one.image: one.folder for one in caption_records(section, data) if isinstance(one.image, Path)}
    return [
        path
        for path, folder in folders.items()
        if os.path.isfile(path) and os.access(path, os.R_OK) and not leads_out(path, folder)
    ]


def caption_records(
    section: CaptionSection, data: str, notes: Notes | None = None, optional: Sequence[str | None] = ()
) -> Iterator[CaptionRecord]:
    """Streams the records of all data files.

    Args:
        section: names the columns of tables, and keys of the pictures in JSON; see `annotations` and `caption_lines`
            for the forms that need none.
        data: file, folder or glob.
        notes: where to say what was found out by looking at a file.
        optional: columns, or keys of the pictures, that a file may lack.

    Raises:
        UserError: no such file or column, or a file that cannot be read.
    """
    for file in caption_files(data):
        paths = PicturePaths(Path(section.images) if section.images else file.parent)
        if suffix(file) == ANNOTATIONS:
            yield from annotated_pictures(section, file, paths, optional)
        elif file_format(file) in (None, "csv", "tsv") and (form := line_form(file, section.encoding)):
            yield from line_records(section, file, form, paths, optional)
        else:
            yield from table_records(section, file, paths, notes, optional)
