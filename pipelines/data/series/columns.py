"""Columns of series in CSV and Parquet files: which are there, what they are for, and their rows as numbers."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from unroll.errors import UserError
from unroll.monitoring.missing import SPELLINGS
from unroll.pipelines.data.records import file_format, open_csv, open_parquet
from unroll.pipelines.data.series.section import SeriesSection

_BAD_NUMBER = r"CSV column #(\d+): Row #(\d+): CSV conversion error.*invalid value '(.*)'"
_NUMBER = r"(?i)^[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)$"
_BATCH_ROWS = 1 << 16
_REMEDY = (
    "Name the right one, as in --set data.time=COLUMN; data.series, data.targets, data.past_covariates, "
    "data.future_covariates and data.static_categories likewise"
)


@dataclass(frozen=True)
class Roles:
    """The columns of numbers, by what they are for.

    Args:
        targets: what is forecast; of a wide table whose columns are series, those columns.
        past_covariates: known up to now.
        future_covariates: known for the horizon, too.
        ignored: columns without a role; of those that are not numbers with the first cell that is not one.
    """

    targets: list[str]
    past_covariates: list[str]
    future_covariates: list[str]
    ignored: list[str]

    @property
    def numbers(self) -> list[str]:
        return self.targets + self.past_covariates + self.future_covariates


def find_roles(section: SeriesSection, file: Path) -> Roles:
    """What each column of numbers of a file is for.

    Raises:
        UserError: a named column that is not there, or no target.
    """
    schema = _schema(section, file)
    other = [section.time, *([section.series] if section.series else []), *section.static_categories]
    covariates = section.past_covariates + section.future_covariates
    _require(other + (section.targets or []) + covariates, schema.names, file)
    for name in other:
        if pa.types.is_nested(schema.field(name).type):
            raise UserError(f"{file}: column {name!r} holds no single values but {schema.field(name).type}. {_REMEDY}")
    rest = [name for name in schema.names if name not in {*other, *covariates}]
    numeric = [name for name, kind in zip(schema.names, schema.types, strict=True) if name in rest and _numeric(kind)]
    targets = section.targets or numeric
    ignored = [name for name in rest if name not in targets]
    if not section.targets:
        ignored = [_with_first_text(section, file, name) for name in ignored]
    if not targets:
        no_numbers = f"No numbers: {', '.join(ignored[:20])}. " if ignored else ""
        raise UserError(
            f"{file}: no column of numbers is left to forecast. It has: {_listed(schema.names)}. {no_numbers}Mend "
            "them, or name the targets with --set data.targets=COLUMN"
        )
    _require(targets, schema.names, file)
    return Roles(targets, section.past_covariates, section.future_covariates, ignored)


def _require(columns: Sequence[str], present: Sequence[str], file: Path) -> None:
    for column in columns:
        if present.count(column) != 1:
            problem = f"{present.count(column)} columns" if column in present else "no column"
            remedy = "Rename all but one" if column in present else f"It has: {_listed(present)}. {_REMEDY}"
            raise UserError(f"{file}: has {problem} {column!r}. {remedy}")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"


def _numeric(kind: pa.DataType) -> bool:
    """An empty column may: its numbers can begin after the rows from which the type was found."""
    return any(
        test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    )


def _schema(section: SeriesSection, file: Path) -> pa.Schema:
    if file_format(file) == "parquet":
        with open_parquet(file) as parquet:
            return parquet.schema_arrow
    if file_format(file) == "jsonl":
        raise UserError(f"{file}: series are read from CSV and Parquet files. Convert it")
    options = pa.csv.ConvertOptions(null_values=SPELLINGS)
    with open_csv(file, options, section.table_format) as reader:
        return reader.schema


def _with_first_text(section: SeriesSection, file: Path, column: str) -> str:
    """The column's name, and where its first cell is that is not a number."""
    row = 1 if file_format(file) == "parquet" else 2
    for batch in _cells(section, file, column):
        cells = pc.fill_null(pc.utf8_trim_whitespace(batch), "")
        texts = pc.invert(pc.or_(pc.is_in(cells, pa.array(SPELLINGS)), pc.match_substring_regex(cells, _NUMBER)))
        first = pc.index(texts, True).as_py()
        if first >= 0:
            return f"{column} (row {row + first}: {cells[first].as_py()[:40]!r})"
        row += len(cells)
    return column


def _cells(section: SeriesSection, file: Path, column: str) -> Iterator[pa.Array]:
    """Batches of a column as text; none of one that cannot be text."""
    if file_format(file) == "parquet":
        with open_parquet(file) as parquet:
            kind = parquet.schema_arrow.field(column).type
            if not pa.types.is_nested(kind) and not pa.types.is_binary(kind):
                for batch in parquet.iter_batches(_BATCH_ROWS, columns=[column]):
                    yield batch.column(0).cast(pa.string(), safe=False)
        return
    options = pa.csv.ConvertOptions(column_types={column: pa.string()}, include_columns=[column])
    with open_csv(file, options, section.table_format) as reader:
        for batch in reader:
            yield batch.column(0)


def read_batches(
    section: SeriesSection, roles: Roles, files: Sequence[Path]
) -> Iterator[tuple[Path, int, pa.RecordBatch]]:
    """(file, number of the batch's first row in it, batch); columns of numbers are float64."""
    texts = [section.time, *([section.series] if section.series else []), *section.static_categories]
    for file in files:
        _require(texts + roles.numbers, _schema(section, file).names, file)
        row = 2 if file_format(file) != "parquet" else 1  # a CSV file's header is row 1
        stream = _parquet if file_format(file) == "parquet" else _csv
        for batch in stream(section, file, texts, roles.numbers):
            yield file, row, batch
            row += batch.num_rows


def _csv(section: SeriesSection, file: Path, texts: list[str], numbers: list[str]) -> Iterator[pa.RecordBatch]:
    types = dict.fromkeys(texts, pa.dictionary(pa.int32(), pa.string())) | dict.fromkeys(numbers, pa.float64())
    options = pa.csv.ConvertOptions(
        column_types=types, include_columns=texts + numbers, null_values=SPELLINGS, strings_can_be_null=False
    )
    try:
        with open_csv(file, options, section.table_format) as reader:
            yield from reader
    except pa.ArrowInvalid as error:
        found = re.search(_BAD_NUMBER, str(error), re.DOTALL)
        if not found:
            raise
        number, row, value = found.groups()
        raise _no_number(file, row, _schema(section, file).names[int(number)], value) from None


def _parquet(section: SeriesSection, file: Path, texts: list[str], numbers: list[str]) -> Iterator[pa.RecordBatch]:
    first = 1
    with open_parquet(file) as parquet:
        for batch in parquet.iter_batches(_BATCH_ROWS, columns=texts + numbers):
            columns = [_floats(batch.column(name), name, file, first) for name in numbers]
            yield pa.RecordBatch.from_arrays([batch.column(name) for name in texts] + columns, names=texts + numbers)
            first += batch.num_rows


def _floats(values: pa.Array, name: str, file: Path, first: int) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        trimmed = pc.utf8_trim_whitespace(values)
        values = pc.if_else(pc.is_in(trimmed, pa.array(SPELLINGS, trimmed.type)), None, trimmed)
    try:
        return values.cast(pa.float64(), safe=False)
    except pa.ArrowNotImplementedError:
        raise UserError(f"{file}: column {name!r} holds no numbers but {values.type}. {_REMEDY}") from None
    except pa.ArrowInvalid:
        for row, value in enumerate(values.to_pylist(), first):
            try:
                float(value or 0)
            except ValueError:
                raise _no_number(file, row, name, value) from None
        raise


def _no_number(file: Path, row: object, column: str, value: str) -> UserError:
    return UserError(
        f"{file}, row {row}, column {column!r}: is not a number. Received: {value!r}. Mend it, leave it empty where it "
        "is missing, or name the columns of numbers with --set data.targets=..."
    )
