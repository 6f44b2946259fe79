"""How the columns of numbers of a table of records are written."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from unroll.errors import UserError
from unroll.monitoring.tables.notes import Notes
from unroll.monitoring.tables.number_evidence import AmbiguousError, NumberEvidence
from unroll.monitoring.tables.number_format import NumberFormat
from unroll.pipelines.data.columns import Column, NumberColumn
from unroll.pipelines.data.records import find_files, read_section
from unroll.pipelines.data.sections import RecordSection

Formats = Mapping[str, NumberFormat]
"""By key, of the columns whose numbers are not as programs write them."""


def find_formats(section: RecordSection, columns: Mapping[str, Column], data: str, notes: Notes) -> Formats:
    """Looks at all cells of the columns of numbers.

    Args:
        section: names the columns.
        columns: their kinds, by key.
        data: file, folder or glob.
        notes: where to say what was found out.

    Raises:
        UserError: a column that is not there, or digits with separators that could mean two things.
    """
    names = {key: getattr(section, key) for key, column in columns.items() if isinstance(column, NumberColumn)}
    if not names:
        return {}
    found = {name: NumberEvidence(section.table_format) for name in names.values()}
    row = 2
    for batch in read_section(section, find_files(data), found):
        for name, evidence in found.items():
            if not evidence.is_text:
                evidence.add(pa.array(batch[name], pa.string()), row)
        row += len(next(iter(batch.values())))
    formats = {}
    marks: set[str] = set().union(*(evidence.decimal_marks for evidence in found.values()))
    for key, name in names.items():
        try:
            written = found[name].decide(marks)
        except AmbiguousError as problem:
            if found[name].is_plain:
                continue  # told when the cells are parsed
            settings = " or ".join(f"--set '{setting}'" for setting in problem.settings)
            remedy = f"Say what is meant: {settings}" if settings else "Write all as plain numbers"
            raise UserError(f"--data {data}, row {problem.row}, column {name!r}: {problem.problem}. {remedy}") from None
        if written is None:
            continue  # told when the cells are parsed
        if not written.plain:
            formats[key] = written
            notes.add(f"Column {name!r}: numbers with {written.described()}.")
    return formats


def as_plain(cells: Sequence[str | None], written: NumberFormat, missing: Sequence[str]) -> list[str | None]:
    """Numbers as programs write them; None where one is missing.

    Raises:
        UserError: a cell that is not a number in the format of its column.
    """
    texts = pa.array(cells, pa.string())
    try:
        numbers = written.floats(texts, missing).to_pylist()
    except pa.ArrowInvalid:
        wrong = cells[written.first_wrong(texts, missing)]
        raise UserError(
            f"a cell is not a number with {written.described()}, as the others of its column. Received: {wrong!r}. "
            "Fix it, or leave it empty where it is missing"
        ) from None
    return [None if number is None else repr(number) for number in numbers]
