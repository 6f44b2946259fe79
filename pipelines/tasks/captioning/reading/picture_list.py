"""Lists of captions, of which only the pictures count: what a captioner is asked about in files that training reads."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unroll.monitoring.tables.kinds import SUFFIXES, file_format, suffix
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.asking.row_tables import RowTable, as_input
from unroll.pipelines.data.records import Batch
from unroll.pipelines.tasks.captioning.config import CaptionConfig, CaptionSection
from unroll.pipelines.tasks.captioning.reading.caption_lines import line_form
from unroll.pipelines.tasks.captioning.reading.files import ANNOTATIONS, TEXTS, caption_files, caption_records
from unroll.pipelines.tasks.captioning.reading.record import CaptionRecord
from unroll.pipelines.training.config import load_config

_BATCH = 64


@dataclass(frozen=True)
class PictureList(RowTable):
    """The pictures that a list of captions or a JSON file names, each once, as a table of one column."""

    pictures: Sequence[Any] = ()

    def batches(self) -> Iterator[Batch]:
        (column,) = self.types
        for start in range(0, len(self.pictures), _BATCH):
            yield {column: list(self.pictures[start : start + _BATCH])}

    def lines(self) -> int | None:
        return len(self.pictures)


def names_pictures(given: str) -> bool:
    """Whether a file is one in which training looks for pictures."""
    file = Path(given)
    return file_format(file) is not None or (file.is_file() and suffix(file) in (ANNOTATIONS, *TEXTS))


def picture_list_files(inputs: Sequence[str]) -> list[Path]:
    """The files that files, folders and globs name.

    Raises:
        UserError: there is none, or one of an unknown kind.
    """
    with as_input():
        return [file for given in inputs for file in caption_files(given)]


def open_pictures(
    given: str, columns: Mapping[str, str], section: Mapping[str, Any], stored: Collection[str] = ()
) -> RowTable:
    """A table, as `RowTable.open` has it, or the pictures of a list.

    Args:
        given: the file, in a form that training reads.
        columns: `image`: the column of tables.
        section: the keys `data.*` of the model.
        stored: see `RowTable.open`.

    Raises:
        UserError: a file that cannot be read.
    """
    file, found = Path(given), _section(section)
    if suffix(file) != ANNOTATIONS and not line_form(file, found.encoding):
        return RowTable.open(given, columns, section, stored, (*SUFFIXES, *TEXTS))
    with as_input():
        records = caption_records(found, given)
        pictures = dict.fromkeys(map(_cell, records))
    types, table_format = {columns["image"]: None}, found.table_format
    return PictureList(file, dict(columns), types, list(types), table_format, 1, Notes(), list(pictures))


def _cell(record: CaptionRecord) -> str | bytes | None:
    """A picture as a table would have it: its bytes, or its path from the folder that paths start from."""
    image, folder = record.image, record.folder
    if not isinstance(image, Path):
        return image
    return str(image.relative_to(folder) if image.is_relative_to(folder) else image.absolute())


def _section(section: Mapping[str, Any]) -> CaptionSection:
    """Without what is not asked about."""
    read = load_config(CaptionConfig, base={"data": section}).data
    return read.model_copy(update={"caption": [], "split": None, "group": None, "cluster": None})
