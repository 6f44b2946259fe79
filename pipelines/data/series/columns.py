"""Columns of series in tables: which are there, and what they are for."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from unroll.errors import UserError
from unroll.monitoring.missing import SPELLINGS
from unroll.monitoring.tables.files.csv_file import open_csv
from unroll.monitoring.tables.kinds import file_format
from unroll.monitoring.tables.notes import Notes
from unroll.monitoring.tables.number_format import NumberFormat
from unroll.pipelines.data.records import open_parquet
from unroll.pipelines.data.series.numbers import number_formats
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.shape.likely_times import likely_times
from unroll.pipelines.data.series.shape.sideways import check_upright, check_whole_times

REMEDY = (
    "Name the right one, as in --set data.time=COLUMN (null: there is none); data.series, data.targets, "
    "data.past_covariates, data.future_covariates and data.static_categories likewise"
)
_LISTED = 20
_INDEX = {
    "index", "idx", "level_0", "id", "row", "rowid", "row_id", "row_number", "nr", "no", "no.", "#", "_id", "record",
    "recnbr", "recno", "record_number", "recordnumber",
}  # fmt: skip
"""Names of columns that programs write, in small letters."""


@dataclass(frozen=True)
class Roles:
    """The columns of numbers, by what they are for.

    Args:
        targets: what is forecast; of a wide table whose columns are series, those columns.
        past_covariates: known up to now.
        future_covariates: known for the horizon, too.
        ignored: columns without a role; of those that are not numbers with the first cell that is not one.
        formats: of the columns whose numbers are not written as programs write them.
        schema: of the file that they were found in.
    """

    targets: list[str]
    past_covariates: list[str]
    future_covariates: list[str]
    ignored: list[str]
    formats: Mapping[str, NumberFormat] = field(default_factory=dict)
    schema: "Schema | None" = None

    @property
    def numbers(self) -> list[str]:
        return self.targets + self.past_covariates + self.future_covariates


@dataclass(frozen=True)
class Schema:
    """The columns of a file.

    Args:
        names: in their order; empty where one has none.
        kinds: their types, found in the first rows of a file of text.
        sample: the first rows of a file of text.
        row: number of its first row.
        above: lines above its header.
    """

    names: list[str]
    kinds: list[pa.DataType]
    sample: list[list[str]]
    row: int
    above: int = 0

    def kind(self, name: str) -> pa.DataType:
        return self.kinds[self.names.index(name)]

    def check(self, columns: Sequence[str], file: Path, hint: str = "") -> None:
        """Refuses a file that lacks one of these columns, or has it twice.

        Raises:
            UserError: names what there is.
        """
        for column in columns:
            count = self.names.count(column)
            if count != 1:
                problem = f"{count} columns" if count else "no column"
                near = [name for name in self.names if name.lower() == column.lower()]
                meant = f"Is it {near[0]!r}? " if near else ""
                remedy = self._renamed() if count else f"It has: {_listed(self.names)}. {meant}{hint}{REMEDY}"
                raise UserError(f"{file}: has {problem} {column!r}. {remedy}")

    def _renamed(self) -> str:
        """How columns of one name are told apart."""
        if not self.sample or len(self.names) > _LISTED:
            return "Rename all but one"
        names = [
            f"{name}_{self.names[:place].count(name) + 1}" if self.names[:place].count(name) else name
            for place, name in enumerate(self.names)
        ]
        listed = ", ".join(json.dumps(name, ensure_ascii=False) for name in names)
        return f"Name all columns: --set 'data.header=[{listed}]' --set data.skip_rows={self.row - 1}"


def find_roles(
    section: SeriesSection, file: Path, notes: Notes, known: Mapping[str, NumberFormat] | None = None
) -> Roles:
    """What each column of numbers of a file is for.

    Args:
        section: names the columns.
        file: the first one.
        notes: where to say what was found out.
        known: formats of a model's training data, which count.

    Raises:
        UserError: a named column that is not there, no target, or one in an unknown format.
    """
    other = text_columns(section)
    covariates = section.past_covariates + section.future_covariates
    schema = read_schema(section, file, other + (section.targets or []) + covariates, notes)
    if not section.targets and section.columns == "channels":
        check_upright(schema.names, section, file, schema.above)
        check_whole_times(schema.names, section, file, schema.above)
    for name in other:
        if pa.types.is_nested(schema.kind(name)):
            raise UserError(f"{file}: column {name!r} holds no single values but {schema.kind(name)}. {REMEDY}")
    named = {*other, *covariates, *(section.targets or [])}
    counts = [name for name in schema.names if name not in named and _counts_rows(schema, name)]
    for name in counts:
        notes.add(f"Column {name!r} counts the rows and is left out; data.targets names it, if it is one.")
    rest = [name for name in schema.names if name and name not in {*other, *covariates, *counts}]
    _check_unnamed(schema, notes)
    chosen = section.targets or rest
    formats = {
        name: written
        for name, written in (known or {}).items()
        if name in schema.names
        and section.decimal in (None, written.decimal)  # what is stated of a further file wins
        and section.thousands in (None, written.thousands)
    }
    unknown = [name for name in chosen if name not in formats]
    open_covariates = [name for name in covariates if name not in formats]
    found, texts = number_formats(section, file, schema, unknown, open_covariates, notes)
    formats |= found
    targets = section.targets or [name for name in rest if _numeric(schema.kind(name)) or name in formats]
    ignored = [texts.get(name, name) if not section.targets else name for name in rest if name not in targets]
    if not targets:
        no_numbers = f"No numbers: {', '.join(ignored[:20])}. " if ignored else ""
        raise UserError(
            f"{file}: no column of numbers is left to forecast. It has: {_listed(schema.names)}. {no_numbers}Fix "
            "them, or name the targets with --set data.targets=COLUMN"
        )
    schema.check(targets, file)
    return Roles(targets, section.past_covariates, section.future_covariates, ignored, formats, schema)


def check_counts(section: SeriesSection, dataset_info: Mapping[str, Any]) -> None:
    """Refuses another number of columns of a kind than a model was trained with.

    Args:
        section: names the columns of further data.
        dataset_info: of the training data.

    Raises:
        UserError: more or fewer of them.
    """
    for key in ("targets", "past_covariates", "future_covariates"):
        trained, named = dataset_info.get(key), getattr(section, key)
        if trained and section.columns == "channels" and len(named) != len(trained):
            raise UserError(
                f"data.{key}: the model was trained with {len(trained)} ({', '.join(trained)}), and {len(named)} "
                f"are named. Name as many, in this order. Received: {', '.join(named) or 'none'}"
            )


def left_out(roles: Roles, column: str) -> str:
    """What to say of a column that cannot be used: the setting that leaves it out.

    Args:
        roles: of the columns.
        column: one that is a target or covariate.
    """
    for key in ("past_covariates", "future_covariates", "targets"):
        columns: list[str] = getattr(roles, key)
        rest = [name for name in columns if name != column]
        if column in columns and (rest or key != "targets"):
            return f"Leave it out: --set {shlex.quote(f'data.{key}={json.dumps(rest, ensure_ascii=False)}')}"
    return "Name another with --set data.targets=COLUMN"


def text_columns(section: SeriesSection) -> list[str]:
    """The columns that are not numbers: the time, the series' ids, categories."""
    return [*section.time_columns, *([section.series] if section.series else []), *section.static_categories]


def read_schema(section: SeriesSection, file: Path, needed: Sequence[str], notes: Notes | None = None) -> Schema:
    """The columns of a file.

    Raises:
        UserError: one that is needed is not there, or a file of a kind that is not read.
    """
    if file_format(file) == "jsonl":
        raise UserError(f"{file}: series are read from CSV and Parquet files. Convert it")
    if file_format(file) == "parquet":
        with open_parquet(file) as parquet:
            schema = Schema(parquet.schema_arrow.names, parquet.schema_arrow.types, [], 1)
            schema.check(needed, file)
            return schema
    with open_csv(file, section.table_format, notes) as table:
        kinds = table.kinds([*SPELLINGS, *section.missing])
        schema = Schema(table.names, kinds, table.layout.sample, table.layout.row, table.layout.header_row - 1)
        missing = next((name for name in needed if name not in table.names), None)
        hint = table.hint(missing) if missing else ""
        if missing in section.time_columns and not section.targets:
            check_upright(schema.names, section, file, schema.above)
        if missing in section.time_columns and not hint:
            setting = likely_times(schema.names, schema.sample)
            hint = f"Times are in it: --set {setting}" if setting else "If it holds no times: --set data.time=null"
        schema.check(needed, file, f"{hint}. " if hint else "")
        return schema


def _check_unnamed(schema: Schema, notes: Notes) -> None:
    """Says which columns without a name are left out; of empty ones, there is nothing to say."""
    for place, (name, kind) in enumerate(zip(schema.names, schema.kinds, strict=True), start=1):
        if not name and not pa.types.is_null(kind):
            notes.add(f"Column {place} has no name in the header and is left out.")


def _counts_rows(schema: Schema, name: str) -> bool:
    """Whether a column is called as an index is, and holds what one does."""
    if name.lower() not in _INDEX or not schema.sample or not pa.types.is_integer(schema.kind(name)):
        return False
    place = schema.names.index(name)
    cells = [row[place].strip() for row in schema.sample if place < len(row)]
    if not all(cell.isdigit() for cell in cells):
        return False
    steps = [int(after) - int(before) for before, after in pairwise(cells)]
    records = name.lower().startswith("rec")  # loggers count on where they lost some, and do not begin at 0
    begun = records or cells[:1] in (["0"], ["1"])
    return begun and min(steps, default=1) >= 1 and (records or max(steps, default=1) == 1)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"


def _numeric(kind: pa.DataType) -> bool:
    """An empty column may: its numbers can begin after the rows from which the type was found."""
    return any(
        test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    )
