"""Raw records from CSV, TSV, JSONL and Parquet files, a batch at a time."""

import codecs
import glob
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unroll.errors import UserError
from unroll.monitoring.tables.files.csv_file import open_csv
from unroll.monitoring.tables.files.json_lines import hint_of, json_objects
from unroll.monitoring.tables.files.repeated_header import REPEATED
from unroll.monitoring.tables.files.text_source import (
    check_encoding,
)
from unroll.monitoring.tables.format import PLAIN, TableFormat
from unroll.monitoring.tables.kinds import SUFFIXES, file_format, suffix
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.sections import TableSection, check_columns, column_advice
from unroll.serving.files.regular_files import check_inside, check_named

_OTHER_WORKBOOKS = (".xls", ".xlsb", ".ods", ".numbers")
_MARK = codecs.BOM_UTF8.decode()
_SHOWN = 3  # names in an object that a message names
_TO_LINES = "python -c \"import json; print(*map(json.dumps, json.load(open('{}'))), sep='\\n', file=open('{}', 'w'))\""
_MAX_FILES = 100  # of a folder, that are looked at
_BATCH_ROWS = 256
_LARGE_ROWS = 64  # of a batch with cells as stored, such as pictures

Batch = dict[str, list[Any]]
"""Values by column: text, or None where it is missing; or cells as stored."""

Require = Callable[..., None]
"""Refuses a file that has only these columns; a further argument says, of one that is missing, what may be wrong."""


def find_files(path: str, suffixes: Collection[str] = tuple(SUFFIXES)) -> list[Path]:
    """The data files that a path names.

    Of a folder or a glob, what lies there: a link out of it, which others may have put there, is refused, and so is
    what is not a regular file. A link that a person names is followed.

    Args:
        path: a file, a folder (every data file in it) or a glob.
        suffixes: of the names of data files, in small letters; `.gz` may follow them.

    Returns:
        The files, sorted by name.

    Raises:
        UserError: nothing there, a file of an unknown kind, or one that is not read.
    """
    if Path(path).is_dir():
        files = sorted(file for file in Path(path).iterdir() if suffix(file) in suffixes)
        if not files:
            raise UserError(f"--data {path}: the folder holds no {', '.join(suffixes)} file{_folders_of(Path(path))}")
        for file in files:
            check_inside(file, Path(path), "--data")
        return files
    check_exists(path)
    named = os.path.exists(path)
    files = [Path(path)] if named else [Path(file) for file in sorted(glob.glob(path))]
    for file in files:
        if suffix(file) not in suffixes:
            remedy = ". Save it as .xlsx, or as CSV" if suffix(file) in _OTHER_WORKBOOKS else ""
            if suffix(file) == ".json":
                remedy = f". Write an object a line, as JSONL: {_TO_LINES.format(file, file.with_suffix('.jsonl'))}"
            raise UserError(f"--data {file}: unknown kind of file. Known: {', '.join(suffixes)} (also .gz){remedy}")
        if named:
            check_named(file, "--data")
        else:
            check_inside(file, folder_of(path), "--data")
    return files


def _folders_of(folder: Path) -> str:
    """How to make a table of a folder a class, if that is what a folder holds."""
    folders = sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    kinds = {file.suffix.lower() for one in folders for file in itertools.islice(one.iterdir(), _MAX_FILES)}
    if not folders or not kinds:
        return ""
    cell, name = ("file.read_text()", "text") if kinds <= {".txt"} else ("str(file)", "image")
    named = ", ".join(repr(one.name) for one in folders[:3]) + ", ..." * (len(folders) > 3)
    table = folder.with_name(f"{folder.name}.csv")
    return (
        f', but folders {named}. Make a table of them, a row a file: python -c "import pathlib, pandas; '
        f"pandas.DataFrame([({cell}, file.parent.name) for file in sorted(pathlib.Path('{folder.absolute()}').glob("
        f"'*/*'))], columns=['{name}', 'label']).to_csv('{table}', index=False)\""
    )


def check_exists(path: str) -> None:
    """Refuses what names nothing.

    Args:
        path: a file, a folder or a glob.

    Raises:
        UserError: nothing is there.
    """
    if not os.path.exists(path) and not glob.glob(path):
        raise UserError(f"--data {path}: no such file, folder or pattern")


def folder_of(pattern: str) -> Path:
    """The folder that a glob looks through.

    Example:
        >>> folder_of("data/2026-*/part-?.csv")
        PosixPath('data')
    """
    return Path(*itertools.takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts))


def digest(files: Sequence[Path]) -> str:
    """SHA-256 of the files' bytes, in order, as hex."""
    sha = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            sha.update(hashlib.file_digest(stream, "sha256").digest())
    return sha.hexdigest()


def read_records(
    files: Sequence[Path],
    columns: Sequence[str],
    *,
    table_format: TableFormat = PLAIN,
    as_stored: Collection[str] = (),
    optional: Collection[str] = (),
    advice: Mapping[str, str] | None = None,
    notes: Notes | None = None,
) -> Iterator[Batch]:
    """Streams the named columns as text.

    Args:
        files: data files; a name ending in `.gz` is unpacked on the way (not for Parquet).
        columns: their names, in the header, the JSON objects or the Parquet schema.
        table_format: how CSV and JSONL files are written.
        as_stored: columns whose cells are handed on as JSONL or Parquet has them: bytes, lists, dictionaries.
        optional: columns that a file, or some JSON objects of it, may lack: all cells are missing then.
        advice: by column, how to name another one; for the error.
        notes: where to say what was found out by looking at a file.

    Yields:
        `{column: values}` with up to some thousand values a column; a missing value is None.

    Raises:
        UserError: a missing column, an encoding or syntax error, a truncated file; with the file's name.

    Example:
        >>> written = Path("reviews.csv").write_text("text,label\\nA fine film.,pos\\nDreadful.,\\n")
        >>> for batch in read_records([Path("reviews.csv")], ["text", "label"]):
        ...     print(batch)
        {'text': ['A fine film.', 'Dreadful.'], 'label': ['pos', None]}
    """
    check_encoding(table_format.encoding)

    def require(present: Sequence[str], hint: Callable[[str], str] = lambda column: "") -> None:
        check_columns([column for column in columns if column not in optional], present, file, advice or {}, hint)

    for file in files:
        kind = file_format(file)
        if kind == "parquet":
            batches = _read_parquet(file, columns, as_stored, require)
        elif kind == "jsonl":
            batches = _read_jsonl(file, columns, table_format.encoding, as_stored, require)
            if notes is not None and (hint := hint_of(file, table_format.encoding)):
                notes.add(hint)
        else:
            yield from _read_csv(file, columns, table_format, require, notes)
            continue
        for batch in batches:
            yield _without_missing(batch, table_format.missing) if table_format.missing else batch


def read_section(
    section: TableSection,
    files: Sequence[Path],
    columns: Iterable[str | None],
    *,
    as_stored: Collection[str] = (),
    optional: Collection[str | None] = (),
    notes: Notes | None = None,
) -> Iterator[Batch]:
    """Streams columns that a section names, as it says that tables are written.

    Args:
        section: says also how another column is named; for the error.
        files: see `read_records`.
        columns: None among them is one that is not named; one that is named twice is read once.
        as_stored, optional, notes: see `read_records`.

    Yields:
        See `read_records`, which tells what it raises, too.
    """
    names = list(dict.fromkeys(name for name in columns if name))
    table_format, advice = section.table_format, column_advice(section)
    return read_records(
        files,
        names,
        table_format=table_format,
        as_stored=as_stored,
        optional=[name for name in optional if name],
        advice=advice,
        notes=notes,
    )


@contextmanager
def open_parquet(file: Path) -> Iterator[pq.ParquetFile]:
    """An open Parquet file; what goes wrong inside the `with` block becomes a `UserError`.

    Raises:
        UserError: a file that is truncated or not Parquet; with its name.
        pa.ArrowNotImplementedError: a type that cannot be converted; for the caller to explain.
    """
    try:
        with pq.ParquetFile(file) as parquet:
            yield parquet
    except pa.ArrowNotImplementedError:
        raise
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file}: is truncated or not Parquet ({reason}). Copy or write it again") from None


def _texts(column: pa.Array) -> list[str | None]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return pc.cast(column, pa.string()).to_pylist()


def _read_csv(
    file: Path, columns: Sequence[str], table_format: TableFormat, require: Require, notes: Notes | None
) -> Iterator[Batch]:
    with open_csv(file, table_format, notes) as table:
        require(table.names, table.hint)
        types = dict.fromkeys((name for name in columns if name in table.names), pa.string())
        for batch in table.batches(types, ["", *table_format.missing], strings_can_be_null=True):
            if table.layout.header and len(types) > 1:
                batch = _without_headers(batch, notes)
            for start in range(0, batch.num_rows, _BATCH_ROWS):
                part = batch.slice(start, _BATCH_ROWS)
                yield {
                    name: part.column(name).to_pylist() if name in types else [None] * part.num_rows for name in columns
                }


def _without_headers(batch: pa.RecordBatch, notes: Notes | None) -> pa.RecordBatch:
    """Without rows that name their columns: headers of joined files that are written otherwise than the first."""
    same: pa.Array = pa.repeat(True, batch.num_rows)
    for name in batch.schema.names:
        cells = batch.column(name)
        header = pc.or_(pc.equal(cells, name), pc.equal(cells, f"{_MARK}{name}"))
        same = pc.and_(same, pc.fill_null(header, False))
        if not pc.any(same).as_py():
            return batch
    if notes is not None:
        notes.add(REPEATED)
    return batch.filter(pc.invert(same))


def _read_jsonl(
    file: Path, columns: Sequence[str], encoding: str, as_stored: Collection[str], require: Require
) -> Iterator[Batch]:
    batch: Batch = {name: [] for name in columns}
    rows = _LARGE_ROWS if as_stored else _BATCH_ROWS
    for record in json_objects(file, encoding):
        record = _with_inner(record)
        require(list(record))
        for name in columns:
            cell = record.get(name)
            if isinstance(cell, dict) and name not in as_stored:
                inner = " or ".join(f"{name}.{key}" for key in list(cell)[:_SHOWN])
                raise UserError(
                    f"{file}: {name!r} holds objects, not values. Name what is in them: {inner or 'nothing'}"
                )
            batch[name].append(cell if name in as_stored else _text(cell))
        if len(batch[columns[0]]) == rows:
            yield batch
            batch = {name: [] for name in columns}
    if batch[columns[0]]:
        yield batch


def _with_inner(record: dict[str, Any]) -> dict[str, Any]:
    """With the values of objects within objects beside them, by names such as `review.text`."""
    inner = {
        f"{key}.{name}": cell for key, one in record.items() if isinstance(one, dict) for name, cell in one.items()
    }
    return {**_with_inner(inner), **record} if inner else record


def _without_missing(batch: Batch, missing: Sequence[str]) -> Batch:
    """None for what stands for a missing value."""
    return {
        name: [None if isinstance(cell, str) and cell in missing else cell for cell in cells]
        for name, cells in batch.items()
    }


def _text(value: object) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()  # half of an emoji that was cut in two is not text


def _read_parquet(file: Path, columns: Sequence[str], as_stored: Collection[str], require: Require) -> Iterator[Batch]:
    try:
        with open_parquet(file) as parquet:
            require(parquet.schema_arrow.names)
            found = [name for name in columns if name in parquet.schema_arrow.names]
            for batch in parquet.iter_batches(_LARGE_ROWS if as_stored else _BATCH_ROWS, columns=found):
                cells = {name: batch.column(name) for name in found}
                yield {
                    name: [None] * batch.num_rows
                    if name not in cells
                    else cells[name].to_pylist()
                    if name in as_stored
                    else _texts(cells[name])
                    for name in columns
                }
    except pa.ArrowNotImplementedError as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{file}: a column of {', '.join(columns)} holds no text or numbers ({reason}). "
            "Write one a record, such as one of each list"
        ) from None
