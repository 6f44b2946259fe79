"""Tables whose rows a model is asked about, read as the training data was, with all their columns."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from unroll.errors import UserError
from unroll.monitoring.tables.files.csv_file import open_csv
from unroll.monitoring.tables.files.json_lines import json_objects
from unroll.monitoring.tables.format import TableFormat
from unroll.monitoring.tables.kinds import SUFFIXES, file_format
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.records import (
    Batch,
    find_files,
    open_parquet,
    read_records,
)
from unroll.pipelines.data.sections import TableSection
from unroll.pipelines.training.config import TaskConfig, load_config

_JSON_TYPES = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


class _Written(TaskConfig):
    """The keys that say how a table is written."""

    data: TableSection = TableSection()


@dataclass(frozen=True)
class RowTable:
    """A table, a batch of rows at a time.

    Args:
        file: where it is.
        columns: by input of the model, the table's column.
        types: of all its columns, in order; None of JSON that is neither text nor numbers.
        stored: columns that the model is asked about whose cells are handed on as the file has them.
        table_format: how the file is written.
        first: number of the first row as people count, who call a header row 1.
        notes: what was found out by looking at the file.

    Example:
        >>> written = Path("new.csv").write_text("id,review\\n7,A fine film.\\n")
        >>> table = RowTable.open("new.csv", {"text": "review"}, {})
        >>> next(table.batches())
        {'id': ['7'], 'review': ['A fine film.']}
    """

    file: Path
    columns: dict[str, str]
    types: "dict[str, pa.DataType | None]"
    stored: Collection[str]
    table_format: TableFormat
    first: int
    notes: Notes

    @classmethod
    def open(
        cls,
        given: str,
        columns: Mapping[str, str],
        section: Mapping[str, Any],
        stored: Collection[str] = (),
        suffixes: Collection[str] = tuple(SUFFIXES),
    ) -> "RowTable":
        """Looks at what columns a table has.

        Args:
            given: its file.
            columns: by input of the model, the column that training read; a table may have the input's name instead.
            section: the keys `data.*` of the model.
            stored: inputs whose cells are bytes, lists or dictionaries.
            suffixes: of names of tables.

        Raises:
            UserError: a file that cannot be read, or that has neither column.
        """
        with as_input():
            (file,) = find_files(given, suffixes)
            table_format = written(section).table_format
            types, first = _columns(file, table_format)
            found = {key: key if name not in types and key in types else name for key, name in columns.items()}
            for key, name in found.items():
                if name not in types:
                    raise UserError(
                        f"{file}: has no column {name!r}. It has: {', '.join(map(repr, types))}. Name the right one: "
                        f"--set data.{key}=COLUMN"
                    )
        return cls(file, found, types, [found[key] for key in stored], table_format, first, Notes())

    def batches(self) -> Iterator[Batch]:
        """Cells by column: of what the model is asked about text, as training read it; of others what the file has.

        Raises:
            UserError: what cannot be read.
        """
        asked = set(self.columns.values())
        others = [name for name in self.types if name not in asked]
        with as_input():
            yield from read_records(
                [self.file],
                list(self.types),
                table_format=dataclasses.replace(self.table_format, missing=()),  # what is missing stays as it is
                as_stored=[*others, *self.stored],
                optional=others,
                notes=self.notes,
            )

    def lines(self) -> int | None:
        """About how many rows there are, for a progress bar; None where that is not soon told."""
        if file_format(self.file) == "parquet":
            with open_parquet(self.file) as parquet:
                return parquet.metadata.num_rows
        if self.file.suffix == ".gz" or file_format(self.file) == "xlsx":
            return None
        with self.file.open("rb") as stream:
            return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))


def written(section: Mapping[str, Any]) -> TableSection:
    """How tables are written, of the keys `data.*` of a model.

    Raises:
        UserError: a value out of range.

    Example:
        >>> written({"text": "Review", "delimiter": ";", "missing": [-999]}).missing
        ['-999']
    """
    form = {key: section[key] for key in TableSection.model_fields if key in section}
    return load_config(_Written, base={"data": form}).data


@contextmanager
def as_input() -> Iterator[None]:
    """Has errors of the readers speak of `--input`."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace("--data ", "--input ", 1)) from None


def _columns(file: Path, table_format: TableFormat) -> "tuple[dict[str, pa.DataType | None], int]":
    """Types by column, and the number of the first row."""
    kind = file_format(file)
    if kind == "parquet":
        with open_parquet(file) as parquet:
            schema = parquet.schema_arrow
            return dict(zip(schema.names, schema.types, strict=True)), 1
    if kind == "jsonl":
        return _json_types(file, table_format.encoding), 1
    with open_csv(file, table_format) as table:
        return dict.fromkeys((name for name in table.names if name), pa.string()), table.layout.row


def _json_types(file: Path, encoding: str) -> "dict[str, pa.DataType | None]":
    """Of each key that any object has; the file is read for it."""
    kinds: dict[str, set[type]] = {}
    for record in json_objects(file, encoding):
        for key, value in record.items():
            kinds.setdefault(key, set()).update([] if value is None else [type(value)])
    types: dict[str, pa.DataType | None] = {}
    for key, found in kinds.items():
        found = {float} if found == {int, float} else found
        types[key] = _JSON_TYPES.get(*found) if len(found) == 1 else None if found else pa.string()
    return types


def is_table(given: str) -> bool:
    """Whether a file's name says that it is a table of records."""
    return file_format(Path(given)) is not None


def table_files(inputs: Sequence[str]) -> list[Path]:
    """The tables that files, folders and globs name.

    Raises:
        UserError: there is none, or one of an unknown kind.
    """
    if not inputs:
        raise UserError("Nothing to ask. Name a table with --input")
    with as_input():
        return [file for given in inputs for file in find_files(given)]
