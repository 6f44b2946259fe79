"""Lines below a table that are not its records: totals, and what else is written there."""

import csv
from collections.abc import Sequence
from pathlib import Path

from unroll.errors import UserError
from unroll.monitoring.tables.cells import is_total
from unroll.monitoring.tables.files.layout import Layout
from unroll.monitoring.tables.format import TableFormat
from unroll.monitoring.tables.notes import Notes

TAIL_BYTES = 1 << 14
_MAX_FOOTER = 20


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

    def without(self, text: bytes) -> bytes:
        """Text up to the last record.

        Args:
            text: the end of the file, of some kilobytes at least where it has as many.

        Raises:
            UserError: last lines that are not rows, such as the name of a source.
        """
        start = max(0, len(text) - TAIL_BYTES)
        start = text.find(b"\n", start) + 1 if start else 0
        lines = text[start:].decode("utf-8", "replace").split("\n")
        filled = [number for number, line in enumerate(lines) if line.strip()]
        if self._format.skip_footer is None:
            self._check_last([lines[number] for number in filled[1:]])
        if (skipped := self._format.skip_footer) is not None:
            kept = filled[: len(filled) - skipped]
        else:
            kept = filled[: len(filled) - self._totals([lines[number] for number in filled])]
        if kept == filled:
            return text
        end = start + len("\n".join(lines[: kept[-1] + 1]).encode()) + 1 if kept else start
        return text[:end]

    def _check_last(self, lines: Sequence[str]) -> None:
        """Refuses last lines that are not rows, such as the name of a source."""
        widths = [len(_split(line, self._layout.delimiter, self._format)) for line in lines[-_MAX_FOOTER:]]
        columns = len(self._layout.names)
        other = next((number for number, width in enumerate(reversed(widths)) if width == columns), 0)
        if any(self._format.quote and self._format.quote in line for line in lines[-other:]):
            return  # told where the marks are looked at
        if 0 < other <= _MAX_FOOTER // 2 and widths.count(columns) == len(widths) - other:
            rows = f"the last {f'{other} rows have' if other > 1 else 'row has'}"
            raise UserError(
                f"{self._file}: {rows} other numbers of cells than the header, which has {columns}. Received: "
                f"{lines[-other].strip()[:60]!r}. If that is not a record: --set data.skip_footer={other}"
            )

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


def _split(line: str, delimiter: str, table_format: TableFormat) -> list[str]:
    """The cells of a line that is a whole record."""
    if table_format.quote is None:
        return line.split(delimiter)
    quote, escape = table_format.quote, table_format.escape
    return next(csv.reader([line], delimiter=delimiter, quotechar=quote, escapechar=escape), [])
