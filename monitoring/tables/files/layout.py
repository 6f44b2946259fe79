"""Where a table begins in a file of text, and what its columns are called, by its first lines."""

import csv
import io
import itertools
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unroll.errors import UserError
from unroll.monitoring.tables.cells import is_value, looks_like_record
from unroll.monitoring.tables.files.header import rows_of_header
from unroll.monitoring.tables.files.text_source import undecodable
from unroll.monitoring.tables.format import TableFormat
from unroll.monitoring.tables.kinds import file_format

_DELIMITERS = (";", "\t", "|", ",", "~", "^", "\x01", "\x1f")
_LOGGERS = ("TOA5", "TOACI1")  # what the line above the header begins with in files of Campbell's loggers
_SAMPLED = 200
_PREAMBLE = 60  # lines at most
_FEWEST = 3  # lines by which columns can be told
_NAMELESS = re.compile(r"Unnamed: \d+(_level_\d+)?")


@dataclass(frozen=True)
class Layout:
    """What the first lines of a file say.

    Args:
        delimiter: between cells.
        names: of the columns, as they are written; empty where a column has none.
        start: bytes before the first record.
        row: number of the line that the first record begins in, from 1.
        sample: the first records.
        rows: the first rows of the file with their numbers, the header and what is above it among them.
        notes: what was found out.
        header: its text, which joined files repeat further down; empty where there is none.
        header_row: number of the line that the header begins in.
    """

    delimiter: str
    names: list[str]
    start: int
    row: int
    sample: list[list[str]]
    rows: list[tuple[int, list[str]]]
    notes: list[str]
    header: bytes = b""
    header_row: int = 1

    def hint(self, column: str) -> str:
        """What may be wrong where a column is not there, with the setting; empty if there is nothing to see."""
        header = next((cells for number, cells in self.rows if number == self.header_row), [])
        for number, cells in self.rows[:_PREAMBLE]:
            outside = not self.header_row <= number < self.row
            if column in [cell.strip() for cell in cells] and outside:
                return f"Row {number} names it. If that is the header: --set data.skip_rows={number - 1}"
        if self.header and looks_like_record(header, self.sample):
            more = " and so on" if len(self.names) > 3 else ""
            return (
                "The first row looks like a record. If the file has no header: --set data.header=false, by which its "
                f"columns are named {', '.join(map(str, range(1, min(len(self.names), 3) + 1)))}{more}"
            )
        return ""


def find_layout(file: Path, head: bytes, table_format: TableFormat) -> Layout:
    """Looks at the beginning of a file.

    Args:
        file: for messages, and for the delimiter that its name says.
        head: its first bytes, UTF-8, up to the end of a line.
        table_format: what a person states.

    Raises:
        UserError: another delimiter or encoding than the one stated, or lines above the header that could be records.
    """
    lines = head.decode("utf-8", "replace").split("\n")
    notes: list[str] = []
    delimiter, skipped = table_format.delimiter, table_format.skip_rows or 0
    first = lines[0].strip().strip('"')
    if first.lower().startswith("sep=") and len(first) == 5 and not skipped:
        delimiter, skipped = delimiter or first[4], 1
        notes.append(f"The first row says that the delimiter is {first[4]!r}.")
    delimiter = delimiter or default_delimiter(file)
    rows = _rows(lines, skipped, delimiter, table_format)
    if not rows:
        raise UserError(f"{file}: is empty. It needs a header line and records")
    _check_other_delimiter(file, delimiter, lines, rows[0][0])
    if table_format.skip_rows is None and table_format.header is True:
        above = _preamble(file, rows, notes)
        rows_from_header = rows[above:]
    else:
        rows_from_header = rows
    _check_delimiter(file, delimiter, rows_from_header, lines)
    number, header = rows_from_header[0]
    if table_format.header is True:
        names, records = _padded(header, rows_from_header[1:]), rows_from_header[1:]
        if _has_row_names(names, records):
            names = ["", *names]
        # a header's cells may span lines, so the first record begins where the csv module finds it
        row = number + 1 + sum(cell.count("\n") for cell in header)
        more, names, told = rows_of_header([_name(name) for name in names], records)
        if more:
            notes.append(told)
            records = records[more:]
            row = records[0][0]
    else:
        width = len(header)
        names = [str(one) for one in range(1, width + 1)] if table_format.header is False else list(table_format.header)
        if len(names) != width:
            raise UserError(
                f"{file}, row {number}: has {width} cells, and data.header names {len(names)} columns. Name all of them"
            )
        records, row = rows_from_header, number
    starts = [0, *itertools.accumulate(len(line) + 1 for line in head.split(b"\n", row))]
    start = starts[row - 1]
    _check_text(file, head[:start], table_format)
    text = head[starts[number - 1] : start].rstrip(b"\r\n") if table_format.header is True else b""
    sample = [cells for _, cells in records]
    return Layout(
        delimiter, [_name(name) for name in names], min(start, len(head)), row, sample, rows, notes, text, number
    )


def default_delimiter(file: Path) -> str:
    """What the name of a file says of it."""
    return "\t" if file_format(file) == "tsv" else ","


def _name(cell: str) -> str:
    """A column's name; that which pandas writes for one without a name is none."""
    return "" if _NAMELESS.fullmatch(cell.strip()) else cell.strip()


def _check_text(file: Path, header: bytes, table_format: TableFormat) -> None:
    try:
        header.decode()
    except UnicodeError:
        raise undecodable(file, table_format.encoding) from None


def _rows(lines: Sequence[str], skipped: int, delimiter: str, table_format: TableFormat) -> list[tuple[int, list[str]]]:
    """The first rows that are not empty, each with the number of the line that it begins in."""
    text = io.StringIO("\n".join(lines[skipped:]), newline="")
    reader = csv.reader(
        text,
        delimiter=delimiter,
        quotechar=table_format.quote,
        quoting=csv.QUOTE_NONE if table_format.quote is None else csv.QUOTE_MINIMAL,
        escapechar=table_format.escape,
    )
    rows = []
    begun = skipped + 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((begun, cells))
            begun = skipped + reader.line_num + 1
            if len(rows) == _SAMPLED:
                break
    except csv.Error:  # such as a cell of many megabytes: the quotation marks are checked elsewhere
        pass
    return rows


def _preamble(file: Path, rows: Sequence[tuple[int, list[str]]], notes: list[str]) -> int:
    """How many rows stand above the header."""
    widths = [len(cells) for _, cells in rows]
    if rows[0][1][0].strip() in _LOGGERS and len(rows) > 1:
        _say_preamble(rows[:1], notes)
        return 1
    common = Counter(widths[len(widths) // 3 :]).most_common(1)[0][0]
    if common == 1 or len(rows) < 3 or _has_row_names(rows[0][1], rows[1:]):
        return 0
    if widths[0] == common:
        above = _titles([cells for _, cells in rows])
        if above:
            _say_preamble(rows[:above], notes)
        return above
    above = next(number for number, width in enumerate(widths) if width == common)
    if above > _PREAMBLE or any(width != common for width in widths[above:]):
        return 0  # told where the row is met that has another number of cells
    below = [cells for _, cells in rows[above + 1 :]]
    filled = max(len("".join(cells).strip()) and _filled(cells) for cells in [*below, rows[above][1]])
    if above == 1 and (filled <= widths[0] < common or _filled(rows[0][1]) <= common < widths[0]):
        return 0  # the rows end in empty cells that the header does not have, or it in empty names
    if looks_like_record(rows[above][1], below):
        number = rows[above][0]
        named = ", ".join(f"name{one}" for one in range(1, common + 1))
        raise UserError(
            f"{file}, row {number}: has {common} cells, and the first row {widths[0]}, so it is not the header, but no "
            "row below is one. Where commas in numbers divide cells, write another delimiter. Else name the columns: "
            f"--set 'data.header=[{named}]' --set data.skip_rows={number - 1}"
        )
    _say_preamble(rows[:above], notes)
    return above


def _say_preamble(rows: Sequence[tuple[int, list[str]]], notes: list[str]) -> None:
    lines = f"row{'s' * (len(rows) > 1)}"
    shown = "; ".join(" ".join(cell for cell in cells if cell)[:40] for _, cells in rows)
    notes.append(f"{len(rows)} {lines} above the header, left out: {shown}.")


def _titles(rows: Sequence[Sequence[str]]) -> int:
    """How many first rows are titles: nearly empty, though as wide as a workbook writes them, above a full header."""
    filled = [sum(bool(cell.strip()) for cell in cells) for cells in rows]
    common = Counter(filled[len(filled) // 3 :]).most_common(1)[0][0]
    above = next((number for number, count in enumerate(filled) if count > max(1, common // 2)), 0)
    if not above or above > _PREAMBLE or filled[above] < common or looks_like_record(rows[above], rows[above + 1 :]):
        return 0
    return above


def _filled(cells: Sequence[str]) -> int:
    """Cells up to the last that is not empty."""
    return max((number for number, cell in enumerate(cells, 1) if cell.strip()), default=0)


def _has_row_names(header: Sequence[str], records: Sequence[tuple[int, list[str]]]) -> bool:
    """Whether all rows begin with their number, of which the header says nothing, as R writes tables."""
    if len(records) < _FEWEST or any(len(cells) != len(header) + 1 for _, cells in records):
        return False
    return all(cells[0].strip() == str(number) for number, (_, cells) in enumerate(records, 1))


def _padded(header: list[str], records: Sequence[tuple[int, list[str]]]) -> list[str]:
    """Names for all cells of the records, where these, or the header, end in empty cells that the others lack."""
    widths = {len(cells) for _, cells in records}
    if len(widths) != 1 or not records:
        return header
    width = widths.pop()
    if width > len(header) and all(_filled(cells) <= len(header) for _, cells in records):
        return header + [""] * (width - len(header))
    return header[:width] if len(header) > width >= _filled(header) else header


def _check_other_delimiter(file: Path, delimiter: str, lines: Sequence[str], first: int) -> None:
    """Refuses lines that another delimiter divides, the header as all others, and this one does not."""
    whole = lines[:-1] if len(lines) > first else lines  # the last may be cut off
    looked_at = enumerate(whole[first - 1 : first - 1 + 2 * _SAMPLED], first)
    shown = [(number, line.rstrip("\r")) for number, line in looked_at if line.strip()][:_SAMPLED]
    texts = [line for _, line in shown]
    if len(texts) > 1 and all(len(line) > 1 and _whole(line, delimiter) for line in texts):
        raise UserError(
            f"{file}: every line stands in quotation marks as a whole, so that it is one cell. Remove those at the "
            f"beginnings and ends of lines. Received: {texts[0][:60]!r}"
        )
    aligned = delimiter not in texts[0] and _aligned([line.split() for line in texts])
    for other in _DELIMITERS:
        header = _begun(texts, other) if other != delimiter else None
        if header is not None and delimiter not in texts[header] and not (header and aligned and other == "\t"):
            raise _other_delimiter(file, delimiter, other, shown[header][0] if header else 0)
    if aligned:
        raise _other_delimiter(file, delimiter, " ")


def _begun(lines: Sequence[str], delimiter: str) -> int | None:
    """The line from which on all have as many of a delimiter, below titles at most; None: there is none."""
    counts = [line.count(delimiter) for line in lines]
    common = Counter(counts[len(counts) // 3 :]).most_common(1)[0][0]
    begun = counts.index(common)
    above = begun and (begun > _PREAMBLE or len(lines) - begun < _FEWEST or max(counts[:begun]) > common)
    return None if not common or above or any(count != common for count in counts[begun:]) else begun


def _whole(line: str, delimiter: str) -> bool:
    """Whether one pair of marks holds delimiters, and all of the line."""
    return line[0] == line[-1] == '"' and line.count('"') == 2 and delimiter in line


def _aligned(rows: Sequence[Sequence[str]]) -> bool:
    """Whether blanks divide lines into columns: as many in each, and some value in each but the header's."""
    widths = {len(cells) for cells in rows[1:]}
    if len(rows) <= _FEWEST or len(widths) != 1 or not 1 < len(rows[0]) <= widths.pop():
        return False
    without = sum(not any(map(is_value, cells)) for cells in rows[1:])
    return without <= min(_FEWEST, (len(rows) - 1) // 2)


def _other_delimiter(file: Path, delimiter: str, other: str, row: int = 0) -> UserError:
    remedy, what = f"data.delimiter='{other}'", repr(other)
    if other == " ":
        remedy, what = """'data.delimiter=" "'""", "blanks"
    elif other not in ";|,":
        remedy = f"""'data.delimiter="{json.dumps(other)[1:-1]}"'"""
    where = f", row {row}" if row else ""
    return UserError(f"{file}{where}: the header has no {delimiter!r} but {what}. Name it: --set {remedy}")


def _check_delimiter(file: Path, delimiter: str, rows: Sequence[tuple[int, list[str]]], lines: Sequence[str]) -> None:
    """Refuses a header that another delimiter divides: its columns would be taken for one."""
    number, header = rows[0]
    line = lines[number - 1]
    found = [other for other in _DELIMITERS if other in line]
    if len(header) > 1 or delimiter in line:
        return
    if not found and len(rows) > 3:  # lines above a header may have no delimiter
        shown = [lines[one - 1] for one, _ in rows[-3:]]
        found = [
            other
            for other in _DELIMITERS
            if len({line.count(other) for line in shown}) == 1 and other in shown[0] and delimiter not in shown[0]
        ]
    if found:
        raise _other_delimiter(file, delimiter, found[0])
