"""Answers as files: CSV, TSV, JSONL or Parquet, written row by row and there only when they are whole."""

import base64
import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from unroll.errors import UserError
from unroll.serving.files.regular_files import check_writable
from unroll.workspace import written_atomically

Types = Mapping[str, pa.DataType | None]
Rows = Sequence[Mapping[str, Any]]


class RowWriter(Protocol):
    """Takes rows that have the same keys."""

    def write(self, rows: Rows) -> None: ...


def check_output(path: Path) -> None:
    """Refuses what answers cannot be written to.

    Raises:
        UserError: an unknown kind of file, or no folder to write it in.
    """
    if path.suffix.lower() not in _WRITERS:
        raise UserError(f"--output {path}: must end in {', '.join(_WRITERS)}")
    check_writable(path, "--output")


@contextmanager
def open_output(path: Path, types: Types) -> Iterator[RowWriter]:
    """A file of rows, which takes its place when the block ends, and not if it fails.

    Args:
        path: its suffix says what it is.
        types: of columns, for Parquet; those of others are found in the first rows.

    Raises:
        UserError: it cannot be written.

    Example:
        >>> with open_output(Path("out.csv"), {}) as output:
        ...     output.write([{"id": 7, "label": "pos"}])
        >>> Path("out.csv").read_text().split()
        ['id,label', '7,pos']
    """
    check_output(path)
    try:
        with written_atomically(path) as aside, _WRITERS[path.suffix.lower()](aside, types) as writer:
            yield writer
    except OSError as error:
        raise UserError(f"--output {path}: cannot be written ({error.strerror or error}). Name another") from None


@contextmanager
def _delimited(path: Path, types: Types, delimiter: str = ",") -> Iterator[RowWriter]:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
        yield _Delimited(writer)


class _Delimited:
    def __init__(self, writer: Any):
        self._writer = writer
        self._named = False

    def write(self, rows: Rows) -> None:
        if rows and not self._named:
            self._writer.writerow(rows[0])
            self._named = True
        self._writer.writerows([_csv_cell(value) for value in row.values()] for row in rows)


@contextmanager
def _json_lines(path: Path, types: Types) -> Iterator[RowWriter]:
    with path.open("w", encoding="utf-8") as stream:

        class Lines:
            def write(self, rows: Rows) -> None:
                for row in rows:
                    stream.write(json.dumps(finite(row), ensure_ascii=False, default=json_value) + "\n")

        yield Lines()


@contextmanager
def _parquet(path: Path, types: Types) -> Iterator[RowWriter]:
    with path.open("wb") as stream:
        output = _Parquet(stream, types)
        yield output
        output.close()


class _Parquet:
    """The first rows decide the types that are not known; so they wait until none of these has only missing cells."""

    def __init__(self, stream: Any, types: Types):
        self._stream = stream
        self._types = types
        self._waiting: list[Mapping[str, Any]] = []
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: Rows) -> None:
        self._waiting += rows
        if not self._waiting:
            return
        if self._writer is None:
            fields = {name: self._field(name) for name in self._waiting[0]}
            if any(pa.types.is_null(kind) for kind in fields.values()):
                return
            self._open(fields)
        self._flush()

    def close(self) -> None:
        """Writes what still waits: columns without a value are text."""
        if self._writer is None:
            fields = {name: self._field(name) for name in self._waiting[0]} if self._waiting else {}
            self._open({name: pa.string() if pa.types.is_null(kind) else kind for name, kind in fields.items()})
        self._flush()
        assert self._writer is not None
        self._writer.close()

    def _field(self, name: str) -> pa.DataType:
        if name in self._types:
            return self._types[name] or pa.string()
        return pa.array([row[name] for row in self._waiting]).type

    def _open(self, fields: Mapping[str, pa.DataType]) -> None:
        self._writer = pq.ParquetWriter(self._stream, pa.schema(list(fields.items())))

    def _flush(self) -> None:
        assert self._writer is not None
        if self._waiting:
            schema = self._writer.schema
            columns = [
                pa.array([_typed(row[field.name], field.type) for row in self._waiting], field.type) for field in schema
            ]
            self._writer.write_table(pa.table(columns, schema=schema))
        self._waiting = []


_WRITERS: "dict[str, Callable[[Path, Types], AbstractContextManager[RowWriter]]]" = {
    ".csv": _delimited,
    ".tsv": lambda path, types: _delimited(path, types, "\t"),
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}


def json_value(value: Any) -> Any:
    """What JSON has no word for, as TensorFlow Serving's JSON and ISO 8601 have it."""
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def finite(value: Any) -> Any:
    """JSON has no NaN: it is null."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv_cell(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=json_value)
    return value.isoformat(sep=" ") if isinstance(value, datetime) else value


def _typed(value: Any, kind: pa.DataType) -> Any:
    if value is None or not pa.types.is_string(kind) or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=json_value)
