"""Raw records from CSV, TSV, JSONL and Parquet files, a batch at a time."""

import codecs
import csv
import glob
import gzip
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from unroll.errors import UserError
from unroll.monitoring.tables.format import PLAIN, TableFormat
from unroll.serving.files.regular_files import check_inside, check_named

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_BLOCK_BYTES = 2 << 20  # a CSV record must fit in a block
_HEADER_BYTES = 1 << 16
_DELIMITERS = (";", "\t", "|", ",")
_BATCH_ROWS = 256
_LARGE_ROWS = 64  # of a batch with cells as stored, such as pictures

Batch = dict[str, list[Any]]
"""Values by column: text, or None where it is missing; or cells as stored."""

Require = Callable[[Sequence[str]], None]
"""Refuses a file that has only these columns."""


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
        files = sorted(file for file in Path(path).iterdir() if _suffix(file) in suffixes)
        if not files:
            raise UserError(f"--data {path}: the folder holds no {', '.join(suffixes)} file")
        for file in files:
            check_inside(file, Path(path), "--data")
        return files
    check_exists(path)
    named = os.path.exists(path)
    files = [Path(path)] if named else [Path(file) for file in sorted(glob.glob(path))]
    for file in files:
        if _suffix(file) not in suffixes:
            raise UserError(f"--data {file}: unknown kind of file. Known: {', '.join(suffixes)} (also .gz)")
        if named:
            check_named(file, "--data")
        else:
            check_inside(file, folder_of(path), "--data")
    return files


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
) -> Iterator[Batch]:
    """Streams the named columns as text.

    Args:
        files: data files; a name ending in `.gz` is unpacked on the way (not for Parquet).
        columns: their names, in the header, the JSON objects or the Parquet schema.
        table_format: how CSV and JSONL files are written.
        as_stored: columns whose cells are handed on as JSONL or Parquet has them: bytes, lists, dictionaries.
        optional: columns that some JSON objects may lack.
        advice: by column, how to name another one; for the error.

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

    def require(present: Sequence[str]) -> None:
        _require([column for column in columns if column not in optional], present, file, advice or {})

    for file in files:
        kind = file_format(file)
        if kind == "parquet":
            yield from _read_parquet(file, columns, as_stored, require)
        elif kind == "jsonl":
            yield from _read_jsonl(file, columns, table_format.encoding, as_stored, require)
        else:
            yield from _read_csv(file, columns, table_format, require)


def file_format(file: Path) -> str | None:
    """What the suffix says: csv, tsv, jsonl or parquet; None for any other."""
    return SUFFIXES.get(_suffix(file))


def _suffix(file: Path) -> str:
    return (Path(file.stem) if file.suffix == ".gz" else file).suffix.lower()


def check_encoding(encoding: str) -> None:
    """Refuses what is not an encoding of text.

    Raises:
        UserError: names the configuration key.
    """
    try:
        "".encode(encoding)  # base64 and the like encode bytes, not text
    except (LookupError, ValueError):
        raise UserError(f"configuration key data.encoding: no such encoding. Received: {encoding!r}") from None


@contextmanager
def open_csv(
    file: Path, convert: pa.csv.ConvertOptions, table_format: TableFormat
) -> Iterator[pa.csv.CSVStreamingReader]:
    """Streams record batches; what goes wrong inside the `with` block becomes a `UserError`.

    Args:
        file: CSV or TSV; a name ending in `.gz` is unpacked on the way.
        convert: pyarrow's options of columns and types.
        table_format: how the file is written.

    Raises:
        UserError: an empty file, an encoding or syntax error; with the file's name.
        pa.ArrowInvalid: a value that is not of its column's type; for the caller to explain.
    """
    encoding = table_format.encoding
    delimiter = table_format.delimiter or ("\t" if file_format(file) == "tsv" else ",")
    if file.stat().st_size == 0:
        raise UserError(f"{file}: is empty. It needs a header line and records")
    with file.open("rb") as stream:
        magic = stream.read(4)
    if magic == b"PAR1":
        raise UserError(f"{file}: is a Parquet file. Rename it to {file.with_suffix('.parquet').name}")
    if magic[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) and encoding == "utf-8":
        raise _undecodable(file, encoding, "utf-16")
    _check_delimiter(file, delimiter, encoding)
    parse = pa.csv.ParseOptions(
        delimiter=delimiter,
        quote_char=table_format.quote or False,
        escape_char=table_format.escape or False,
        newlines_in_values=table_format.quote is not None,
    )
    read = pa.csv.ReadOptions(block_size=_BLOCK_BYTES, encoding=encoding, use_threads=False)
    read.skip_rows = table_format.skip_rows or 0
    if table_format.header is not True:
        read.column_names = table_format.header or _numbers(file, delimiter, table_format)
    try:
        with pa.csv.open_csv(file, read, parse, convert) as reader:
            yield reader
    except UnicodeError:
        raise _undecodable(file, encoding) from None
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        if "UTF8" in reason or "UTF-8" in reason:
            raise _undecodable(file, encoding) from None
        if "CSV conversion error" in reason:
            raise
        raise UserError(f"{file}: cannot be read as CSV with delimiter {delimiter!r} ({reason})") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error})") from None


def _numbers(file: Path, delimiter: str, table_format: TableFormat) -> list[str]:
    """Names of the columns of a file without a header: 1, 2, 3 and so on."""
    quoting = {"quoting": csv.QUOTE_NONE} if table_format.quote is None else {"quotechar": table_format.quote}
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding=table_format.encoding, errors="replace", newline="") as lines:
        first = next(
            csv.reader(itertools.islice(lines, table_format.skip_rows or 0, None), delimiter=delimiter, **quoting)
        )
    return [str(number) for number in range(1, len(first) + 1)]


def _check_delimiter(file: Path, delimiter: str, encoding: str) -> None:
    """Refuses a header that another delimiter divides: its columns would be taken for one."""
    with suppress(OSError, EOFError, UnicodeError):  # told when the file is read
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            header = stream.read(_HEADER_BYTES).decode(encoding, "ignore").partition("\n")[0]
        others = [one for one in _DELIMITERS if one in header]
        if others and delimiter not in header:
            remedy = """'data.delimiter="\\t"'""" if others[0] == "\t" else f"data.delimiter='{others[0]}'"
            raise UserError(f"{file}: the header has no {delimiter!r} but {others[0]!r}. Name it: --set {remedy}")


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


def _require(columns: Sequence[str], present: Sequence[str], file: Path, advice: Mapping[str, str]) -> None:
    for column in columns:
        if list(present).count(column) > 1:
            raise UserError(f"{file}: has {list(present).count(column)} columns {column!r}. Rename all but one")
        if column not in present:
            names = ", ".join(repr(name) for name in present)
            remedy = f"Name the right one: {advice[column]}" if column in advice else "Give a file that has it"
            raise UserError(f"{file}: has no column {column!r}. It has: {names}. {remedy}")


def _undecodable(file: Path, encoding: str, guess: str = "latin-1") -> UserError:
    return UserError(
        f"{file}: is not {encoding} text. Name its encoding, as in --set data.encoding={guess}, or convert it"
    )


def _texts(column: pa.Array) -> list[str | None]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return pc.cast(column, pa.string()).to_pylist()


def _read_csv(file: Path, columns: Sequence[str], table_format: TableFormat, require: Require) -> Iterator[Batch]:
    as_text = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()),
        strings_can_be_null=True,
        null_values=["", *table_format.missing],
    )
    with open_csv(file, as_text, table_format) as reader:
        require(reader.schema.names)
        for batch in reader:
            for start in range(0, batch.num_rows, _BATCH_ROWS):
                part = batch.slice(start, _BATCH_ROWS)
                yield {name: part.column(name).to_pylist() for name in columns}


def _read_jsonl(
    file: Path, columns: Sequence[str], encoding: str, as_stored: Collection[str], require: Require
) -> Iterator[Batch]:
    batch: Batch = {name: [] for name in columns}
    rows = _LARGE_ROWS if as_stored else _BATCH_ROWS
    for record in json_objects(file, encoding):
        require(list(record))
        for name in columns:
            cell = record.get(name)
            batch[name].append(cell if name in as_stored else _text(cell))
        if len(batch[columns[0]]) == rows:
            yield batch
            batch = {name: [] for name in columns}
    if batch[columns[0]]:
        yield batch


def json_objects(file: Path, encoding: str) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file, a line each.

    Args:
        file: a name ending in `.gz` is unpacked on the way.
        encoding: of the file.

    Raises:
        UserError: a line that is something else, or an encoding error; with the file's name.
    """
    number = 0
    try:
        with (
            gzip.open(file, "rt", encoding=encoding) if file.suffix == ".gz" else file.open(encoding=encoding) as lines
        ):
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise UserError(f"{file}, line {number}: must be a JSON object. Received: {line[:60]!r}")
                yield record
    except json.JSONDecodeError as error:
        raise UserError(f"{file}, line {number}: is not JSON ({error.msg}). Mend or remove the line") from None
    except UnicodeError:
        raise _undecodable(file, encoding) from None
    except (OSError, EOFError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from None


def _text(value: object) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()  # half of an emoji that was cut in two is not text


def _read_parquet(file: Path, columns: Sequence[str], as_stored: Collection[str], require: Require) -> Iterator[Batch]:
    try:
        with open_parquet(file) as parquet:
            require(parquet.schema_arrow.names)
            for batch in parquet.iter_batches(_LARGE_ROWS if as_stored else _BATCH_ROWS, columns=list(columns)):
                yield {
                    name: batch.column(name).to_pylist() if name in as_stored else _texts(batch.column(name))
                    for name in columns
                }
    except pa.ArrowNotImplementedError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file}: a column of {', '.join(columns)} holds no text or numbers ({reason})") from None
