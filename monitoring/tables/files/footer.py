"""Lines below a table that are not its records: totals, and what else is written there."""

import csv
import itertools
from collections.abc import Sequence
from pathlib import Path

from unroll.errors import UserError
from unroll.monitoring.tables.cells import is_total
from unroll.monitoring.tables.files.layout import Layout
from unroll.monitoring.tables.files.text_source import open_bytes, utf8_blocks
from unroll.monitoring.tables.format import TableFormat
from unroll.monitoring.tables.notes import Notes

_TAIL_BYTES = 1 << 14
_MAX_FOOTER = 20
_FIRST_ROWS = 10
_MAX_TITLES = 2  # lines above the names of another table


class Footer:
    """Finds where the records end.

    Args:
        file: for messages.
        layout: what the first lines of the file say.
        table_format: how it is written.
        notes: where to say what is left out.
    """

    def __init__(self, file: Path, layout: Layout, table_format: TableFormat, notes: Notes):
        self._file, self._layout, self._format, self._notes = file, layout, table_format, notes

    def within(self, end: bytes) -> bool:
        """Whether the lines that are not records begin in this end of the file."""
        if len(end) < _TAIL_BYTES:
            return False
        stated = self._format.skip_footer
        return stated is None or sum(1 for line in end.split(b"\n") if line.strip()) > stated + 1

    def without(self, text: bytes) -> bytes:
        """Text up to the last record.

        Args:
            text: an end of the file that those lines are `within`, or all of it.

        Raises:
            UserError: last lines that are not rows, such as the name of a source.
        """
        stated = self._format.skip_footer
        start = max(0, len(text) - _TAIL_BYTES) if stated is None else 0
        start = text.find(b"\n", start) + 1 if start else 0
        lines = text[start:].decode("utf-8", "replace").split("\n")
        filled = [number for number, line in enumerate(lines) if line.strip()]
        if stated is None:
            self._check_last([lines[number] for number in filled[1:]])
            stated = self._totals([lines[number] for number in filled])
        kept = filled[: max(0, len(filled) - stated)]
        if kept == filled:
            return text
        end = start + len("\n".join(lines[: kept[-1] + 1]).encode()) + 1 if kept else start
        return text[:end]

    def _check_last(self, lines: Sequence[str]) -> None:
        """Refuses last lines that are not rows, such as the name of a source."""
        rows = [_split(line, self._layout.delimiter, self._format) for line in lines[-_MAX_FOOTER:]]
        widths = [len(row) for row in rows]
        columns = len(self._layout.names)
        if words := sum(1 for _ in itertools.takewhile(self._is_prose, reversed(rows))):
            raise UserError(
                f"{self._file}: {_last(words)} words where the others have numbers. Received: "
                f"{lines[-words].strip()[:60]!r}. If that is not a record: --set data.skip_footer={words}"
            )
        other = next((number for number, width in enumerate(reversed(widths)) if width == columns), 0)
        if self._format.quote and any(line.count(self._format.quote) % 2 for line in lines[-other:]):
            return  # told where the marks are looked at
        if 0 < other <= _MAX_FOOTER // 2 and widths.count(columns) == len(widths) - other:
            raise UserError(
                f"{self._file}: {_last(other)} other numbers of cells than the header, which has {columns}. Received: "
                f"{lines[-other].strip()[:60]!r}. If that is not a record: --set data.skip_footer={other}"
            )

    def _is_prose(self, row: Sequence[str]) -> bool:
        """Whether no column that holds digits in each of the first rows, a time and a number at least, has any here."""
        sample = [cells for cells in self._layout.sample[:_FIRST_ROWS] if len(cells) == len(row)]
        numbers = [
            number for number in range(len(row)) if sample and all(_has_digits([cells[number]]) for cells in sample)
        ]
        cells = [row[number] for number in numbers]
        return len(numbers) > 1 and not _has_digits(cells) and any(len(cell.split()) > 1 for cell in cells)

    def _totals(self, lines: Sequence[str]) -> int:
        """How many of the last lines are totals."""
        count = 0
        for line in reversed(lines[-_MAX_FOOTER:]):
            cells = _split(line, self._layout.delimiter, self._format)
            if not is_total(cells, self._layout.sample):
                break
            count += 1
            self._notes.add(f"The last row is left out, as a total of those above: {line.strip()[:60]!r}.")
        return count


def _last(count: int) -> str:
    return f"the last {f'{count} rows have' if count > 1 else 'row has'}"


def lines_of_next_table(file: Path, layout: Layout, table_format: TableFormat, first: str) -> int:
    """How many lines stand below a table where another one begins: a title of it or none, names, rows.

    Args:
        file: of text.
        layout: what its first lines say.
        table_format: how it is written.
        first: how the first line begins that is not a row of the table.

    Returns:
        Lines from that one to the end, but empty ones; 0 where they don't look like another table.
    """
    with open_bytes(file) as stream:
        text = b"".join(utf8_blocks(file, stream, table_format.encoding)).decode("utf-8", "replace")
    lines = [line for line in text.split("\n") if line.strip()]
    begin = next((number for number, line in enumerate(lines) if line.strip() == first.strip()), len(lines))
    rows = [_split(line, layout.delimiter, table_format) for line in lines[begin : begin + _MAX_TITLES + 2]]
    for names, row in itertools.pairwise(rows):
        if len(names) == len(row) > 1 and not _has_digits(names) and _has_digits(row):
            return len(lines) - begin
    return 0


def _has_digits(cells: Sequence[str]) -> bool:
    return any(character.isdigit() for cell in cells for character in cell)


def _split(line: str, delimiter: str, table_format: TableFormat) -> list[str]:
    """The cells of a line that is a whole record."""
    if table_format.quote is None:
        return line.split(delimiter)
    quote, escape = table_format.quote, table_format.escape
    return next(csv.reader([line], delimiter=delimiter, quotechar=quote, escapechar=escape), [])
