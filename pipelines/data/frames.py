"""DataFrames where files of records are read: each is kept as a Parquet file named by its content."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from unroll.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 64  # whose files are in memory at once
Readers = Mapping[str, Callable[[Any], bytes | None]]


def stored(frame: "pd.DataFrame", folder: Path, readers: Readers | None = None) -> Path:
    """The Parquet file of a DataFrame's rows; a named index becomes a column, an unnamed one is left out.

    Args:
        frame: its cells are texts, numbers, times, bytes, or lists of these; paths become text.
        folder: where it is written, unless a frame of the same content was before.
        readers: by column, what reads the file that a cell names. One that cannot be read leaves an empty cell.

    Raises:
        UserError: it has no rows, two columns of a name, a column of values of different types, or one of files none
            of which can be read.
    """
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    if frame.empty:
        raise UserError(f"data: the DataFrame has no {'rows' if len(frame.columns) else 'columns'}. Give records")
    names = [str(name) for name in frame.columns]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"data: the DataFrame has {names.count(twice)} columns {twice!r}. Rename all but one")
    columns = {name: frame.iloc[:, position] for position, name in enumerate(names)}
    files = {name: columns.pop(name) for name in names if name in (readers or {})}
    table = pa.table({name: _array(name, column) for name, column in columns.items()})
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".writing-", suffix=".parquet") as aside:
        if files:
            _write_with_files(table, files, readers or {}, aside.name)
        else:
            pq.write_table(table, aside.name)
        with open(aside.name, "rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        file = folder / f"{digest[:32]}.parquet"
        if not file.exists():
            os.link(aside.name, file)
    return file


def _array(name: str, column: "pd.Series") -> pa.Array:
    if column.dtype == object and any(isinstance(cell, PurePath) for cell in column):
        column = column.map(lambda cell: str(cell) if isinstance(cell, PurePath) else cell)
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError):
        types = sorted({type(cell).__name__ for cell in column[column.notna()]})
        raise UserError(
            f"data: column {name!r} of the DataFrame holds values of type {', '.join(types)}, which no column of a "
            f"file holds together. Convert it first, as in frame[{name!r}].astype(str)"
        ) from None


def _write_with_files(table: pa.Table, files: "Mapping[str, pd.Series]", readers: Readers, path: str) -> None:
    schema = table.schema
    for name in files:
        schema = schema.append(pa.field(name, pa.binary()))
    rows = len(next(iter(files.values())))
    found = dict.fromkeys(files, 0)
    problems: dict[str, str] = {}
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, _ROWS):
            part = {name: table[name].slice(start, _ROWS) for name in table.column_names}
            for name, cells in files.items():
                contents: list[bytes | None] = []
                for cell in cells.iloc[start : start + _ROWS]:
                    try:
                        filled = isinstance(cell, str | bytes | dict | PurePath)
                        contents.append(readers[name](cell) if filled else None)
                    except (OSError, ValueError) as error:
                        contents.append(None)
                        problems.setdefault(name, f"{cell!s}: {getattr(error, 'strerror', None) or error}")
                found[name] += sum(content is not None for content in contents)
                part[name] = pa.array(contents, pa.binary())
            writer.write_table(pa.table(part, schema))
    for name, problem in problems.items():
        if not found[name]:
            raise UserError(
                f"data: no file that column {name!r} of the DataFrame names can be read, such as {problem}. "
                "Relative paths start from the working directory, unless the configuration names their folder"
            )
