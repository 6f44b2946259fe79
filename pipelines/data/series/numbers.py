"""How the columns of numbers of a table are written."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from unroll.errors import UserError
from unroll.monitoring.tables.files.csv_file import open_csv
from unroll.monitoring.tables.kinds import file_format
from unroll.monitoring.tables.notes import Notes
from unroll.monitoring.tables.number_evidence import AmbiguousError, NumberEvidence
from unroll.monitoring.tables.number_format import NumberFormat
from unroll.pipelines.data.records import open_parquet
from unroll.pipelines.data.series.section import SeriesSection

if TYPE_CHECKING:
    from unroll.pipelines.data.series.columns import Schema

BATCH_ROWS = 1 << 16
_FRACTION = re.compile(r"\s*[-+]?(0\d*|\d*)\.(\d{1,2}|\d{4,})\s*|\s*[-+]?0*\.\d*\s*|.*[eE].*")
"""What is a number with a decimal point, and nothing else."""
_DOTTED = re.compile(r"\s*\d{1,2}\.\d{1,2}\.\d{2,4}\b")


def number_formats(
    section: SeriesSection,
    file: Path,
    schema: "Schema",
    chosen: Sequence[str],
    covariates: Sequence[str],
    notes: Notes,
) -> tuple[dict[str, NumberFormat], dict[str, str]]:
    """How those columns are written whose numbers are not as programs write them.

    A column whose first rows hold a decimal point that can be nothing else is not looked at further.

    Args:
        section: names the columns.
        file: the first one.
        schema: of it.
        chosen: the targets, or the columns that may be.
        covariates: likewise numbers.
        notes: where to say what was found out.

    Returns:
        Formats by column, and of columns that are not numbers their name with the first cell that is not one.

    Raises:
        UserError: digits with separators that could mean two things.
    """
    stated = section.decimal is not None or section.thousands is not None
    suspects: dict[str, NumberEvidence] = {}
    plain = False
    for name in dict.fromkeys([*chosen, *covariates]):
        kind = schema.kind(name)
        if pa.types.is_floating(kind) and schema.sample and not stated:
            place = schema.names.index(name)
            if any(place < len(row) and _FRACTION.fullmatch(row[place]) for row in schema.sample):
                plain = True
                continue
        looked_at = _is_text(kind) or (schema.sample and not (pa.types.is_integer(kind) or pa.types.is_null(kind)))
        if looked_at or (stated and schema.sample and pa.types.is_integer(kind)):
            suspects[name] = NumberEvidence(section.table_format, commas=_dotted_dates(section, schema))
    if not suspects:
        return {}, {}
    for first, batch in texts_of(section, file, list(suspects)):
        for name, evidence in suspects.items():
            if not evidence.is_text:
                evidence.add(batch.column(name), first)
    return _decided(section, file, schema, suspects, {"."} if plain else set(), covariates, notes)


def _decided(
    section: SeriesSection,
    file: Path,
    schema: "Schema",
    suspects: Mapping[str, NumberEvidence],
    elsewhere: set[str],
    covariates: Sequence[str],
    notes: Notes,
) -> tuple[dict[str, NumberFormat], dict[str, str]]:
    formats: dict[str, NumberFormat] = {}
    texts: dict[str, str] = {}
    named = {*(section.targets or []), *covariates}
    elsewhere = elsewhere.union(*(evidence.decimal_marks for evidence in suspects.values()))
    for name, evidence in suspects.items():
        try:
            found = evidence.decide(elsewhere)
        except AmbiguousError as problem:
            raise UserError(_unclear(file, name, problem)) from None
        if found is None or (found.truth and name not in named):
            row, cell = evidence.first_text or (0, "")
            texts[name] = f"{name} (row {row}: {cell[:40]!r})"
        elif not found.plain:
            formats[name] = found
            described = found.described(fractions=evidence.has_fractions(found.decimal))
            notes.add(f"Column {name!r}: numbers with {described}.")
        elif file_format(file) != "parquet" and _is_text(schema.kind(name)):
            formats[name] = found  # which blanks, or numbers that only later rows hold, made a text
        elif file_format(file) == "parquet" and name not in named:
            texts[name] = name
    return formats, texts


def check_whole(section: SeriesSection, file: Path, column: str) -> None:
    """Refuses a column of whole numbers in whose later rows a point could stand between thousands.

    Raises:
        UserError: says what it could mean.
    """
    evidence = NumberEvidence(section.table_format)
    for first, batch in texts_of(section, file, [column]):
        evidence.add(batch.column(column), first)
    try:
        found = evidence.decide()
    except AmbiguousError as problem:
        raise UserError(_unclear(file, column, problem)) from None
    if found is not None and not found.plain:
        raise UserError(
            f"{file}: column {column!r} holds numbers with {found.described()}. Say so: --set "
            f"data.thousands={found.thousands}"
        )


def texts_of(section: SeriesSection, file: Path, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Columns as text, in batches, each with the number of its first row."""
    if file_format(file) == "parquet":
        row = 1
        with open_parquet(file) as parquet:
            for batch in parquet.iter_batches(BATCH_ROWS, columns=list(columns)):
                yield row, batch.cast(pa.schema([(name, pa.string()) for name in batch.schema.names]))
                row += batch.num_rows
        return
    with open_csv(file, section.table_format) as table:
        row = table.layout.row
        for batch in table.batches(dict.fromkeys(columns, pa.string()), [], strings_can_be_null=False):
            yield row, batch
            row += batch.num_rows


def _dotted_dates(section: SeriesSection, schema: "Schema") -> bool:
    """Whether the first rows have days first and points in their dates, as where people write decimal commas."""
    places = [schema.names.index(name) for name in section.time_columns]
    return any(_DOTTED.match(row[place]) for row in schema.sample for place in places if place < len(row))


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _unclear(file: Path, column: str, problem: AmbiguousError) -> str:
    settings = " or ".join(f"--set '{setting}'" for setting in problem.settings)
    remedy = f"Say what is meant: {settings}" if settings else "Write all as plain numbers"
    return (
        f"{file}, row {problem.row}, column {column!r}: {problem.problem}. {remedy}, or leave the column out: --set "
        "data.targets=..."
    )
