"""Rows of series as numbers, in batches."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unroll.errors import UserError
from unroll.monitoring.missing import SPELLINGS
from unroll.monitoring.tables.files.csv_file import open_csv
from unroll.monitoring.tables.kinds import file_format
from unroll.monitoring.tables.notes import Notes
from unroll.monitoring.tables.number_format import PLAIN_NUMBERS
from unroll.pipelines.data.records import open_parquet
from unroll.pipelines.data.series.columns import REMEDY, Roles, read_schema, text_columns
from unroll.pipelines.data.series.numbers import BATCH_ROWS, check_whole
from unroll.pipelines.data.series.section import SeriesSection

_BAD_NUMBER = r"CSV column #(\d+): Row #(\d+): CSV conversion error.*invalid value '(.*)'"


def read_batches(
    section: SeriesSection, roles: Roles, files: Sequence[Path], notes: Notes
) -> Iterator[tuple[Path, int, pa.RecordBatch]]:
    """(file, number of the batch's first row in it, batch); columns of numbers are float64.

    Args:
        section: names the columns.
        roles: of `find_roles`.
        files: all.
        notes: where to say what was found out.

    Raises:
        UserError: a column that is not there, or a cell that is not a number.
    """
    texts = text_columns(section)
    for file in files:
        schema = roles.schema if file == files[0] else None
        schema = schema or read_schema(section, file, texts + roles.numbers)
        row = schema.row
        if file_format(file) == "parquet":
            batches = _parquet(section, roles, file, texts)
        else:
            plain = [name for name in roles.numbers if name not in roles.formats]
            whole = [name for name in plain if pa.types.is_integer(schema.kind(name))]
            batches = _csv(section, roles, file, texts, plain, whole, notes)
        for batch in batches:
            yield file, row, batch
            row += batch.num_rows


def read_times(section: SeriesSection, files: Sequence[Path]) -> Iterator[list[pa.Array]]:
    """Batches of the columns of times alone."""
    alone = section.model_copy(update={"series": None, "static_categories": []})
    for _, _, batch in read_batches(alone, Roles([], [], [], []), files, Notes()):
        yield [batch.column(name) for name in section.time_columns]


def _csv(
    section: SeriesSection,
    roles: Roles,
    file: Path,
    texts: list[str],
    plain: list[str],
    whole: list[str],
    notes: Notes,
) -> Iterator[pa.RecordBatch]:
    as_text = dict.fromkeys([*texts, *roles.formats], pa.dictionary(pa.int32(), pa.string()))
    types = as_text | dict.fromkeys(plain, pa.float64())
    with open_csv(file, section.table_format, notes) as table:
        try:
            row = table.layout.row
            for batch in table.batches(types, [*SPELLINGS, *section.missing], strings_can_be_null=False):
                for name in whole:
                    if _has_fractions(batch.column(name)):
                        check_whole(section, file, name)
                        whole = [one for one in whole if one != name]
                columns = [_without_missing(batch.column(name), section.missing) for name in texts]
                columns += [_floats(section, roles, batch.column(name), name, file, row) for name in roles.numbers]
                yield pa.RecordBatch.from_arrays(columns, names=texts + roles.numbers)
                row += batch.num_rows
        except pa.ArrowInvalid as error:
            found = re.search(_BAD_NUMBER, str(error), re.DOTALL)
            if not found:
                raise
            place, number, value = found.groups()
            name = table.names[int(place)]
            raise _no_number(file, table.row(int(number)), name, value) from None


def _without_missing(column: pa.Array, missing: Sequence[str]) -> pa.Array:
    """Null for what stands for a missing value, in a column of times or names."""
    if not missing:
        return column
    words = pc.is_in(column.dictionary, pa.array(missing, pa.string()))
    return pa.DictionaryArray.from_arrays(column.indices, pc.if_else(words, None, column.dictionary))


def _has_fractions(column: pa.Array) -> bool:
    values = column.to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        return bool((np.floor(values) < values).any())


def _parquet(section: SeriesSection, roles: Roles, file: Path, texts: list[str]) -> Iterator[pa.RecordBatch]:
    first = 1
    with open_parquet(file) as parquet:
        for batch in parquet.iter_batches(BATCH_ROWS, columns=texts + roles.numbers):
            columns = [_floats(section, roles, batch.column(name), name, file, first) for name in roles.numbers]
            names = texts + roles.numbers
            yield pa.RecordBatch.from_arrays([batch.column(name) for name in texts] + columns, names=names)
            first += batch.num_rows


def _floats(section: SeriesSection, roles: Roles, values: pa.Array, name: str, file: Path, first: int) -> pa.Array:
    """Float64 of a column; `first` is the number of its first row."""
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    try:
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            return values.cast(pa.float64(), safe=False)
        written = roles.formats.get(name, PLAIN_NUMBERS)
        if not pa.types.is_dictionary(values.type):
            return written.floats(values, section.missing)
        numbers = written.floats(values.dictionary, section.missing)
        return numbers.take(values.indices)
    except pa.ArrowNotImplementedError:
        raise UserError(f"{file}: column {name!r} holds no numbers but {values.type}. {REMEDY}") from None
    except pa.ArrowInvalid:
        texts = values.cast(pa.string())
        place = roles.formats.get(name, PLAIN_NUMBERS).first_wrong(texts, section.missing)
        raise _no_number(file, first + place, name, texts[place].as_py()) from None


def _no_number(file: Path, row: object, column: str, value: str) -> UserError:
    return UserError(
        f"{file}, row {row}, column {column!r}: is not a number. Received: {value!r}. Fix it, leave it empty where it "
        "is missing or name it as missing, as in --set 'data.missing=[-]', name its decimal mark with --set "
        "data.decimal=, or name the columns of numbers with --set data.targets=..."
    )
