"""Rows of a header below the first: units, further names, the name of an index."""

import re
from collections.abc import Sequence

from unroll.monitoring.missing import MISSING
from unroll.monitoring.tables.cells import is_value

_MOST = 3  # rows below the first that can belong to a header
_FEWEST = 3  # records that say what a column holds
_SHOWN = 60
_RULE = re.compile(r"[-:=|+]{3,}")  # a line between the header and the records


def rows_of_header(names: Sequence[str], rows: Sequence[tuple[int, list[str]]]) -> tuple[int, list[str], str]:
    """How many of the first rows below a header belong to it, the columns' names with them, and what to say of it.

    A row does in which no cell is a number, or a time, where all cells below are: rows of units, the second row of
    names that a pivot table has, the name of an index in a row of its own.

    Args:
        names: in the first row, trimmed.
        rows: below it, with their numbers.

    Example:
        >>> rows_of_header(["day", "load"], [(2, ["", "kWh"]), *((row, ["2026-01-31", "7.5"]) for row in (3, 4, 5))])
        (1, ['day', 'load'], "Row 2 is left out, as it belongs to the header: 'kWh'.")
    """
    count = 0
    while count < min(_MOST, len(rows)) and _belongs(rows[count][1], [cells for _, cells in rows[count + 1 :]]):
        count += 1
    if not count:
        return 0, list(names), ""
    above = [cells for _, cells in rows[:count]]
    index = next((cells for cells in above if sum(map(bool, map(str.strip, cells))) == 1), None)
    several = [cells for cells in above if cells is not index]
    found = _joined(names, several)
    joined = found != list(names)
    if index is not None and index[0].strip():
        found[0] = index[0].strip()
    if found != list(names):
        rows_said = f"{count + 1} rows" if joined else f"rows 1 and {count + 1}"
        return count, found, f"The header has {rows_said}: its columns are {', '.join(map(repr, found[:6]))}."
    shown = "; ".join(", ".join(cell.strip() for cell in cells if cell.strip()) for cells in above)
    which = f"Row {rows[0][0]} is left out, as it belongs"
    if count > 1:
        which = f"{count} rows from row {rows[0][0]} on are left out, as they belong"
    return count, found, f"{which} to the header: {shown[:_SHOWN]!r}."


def _belongs(cells: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a row has a text in a column of numbers or times, and no number or time in any such column."""
    if len(below) < _FEWEST or any(is_value(cell) for cell in cells):
        return False
    named = False
    for column, cell in enumerate(cells):
        text = cell.strip()
        if text.lower() in MISSING[1:] and not _RULE.fullmatch(text):
            return False
        found = [row[column] for row in below if column < len(row) and row[column].strip()]
        if len(found) >= _FEWEST and all(map(is_value, found)):
            named |= bool(text)
    return named


def _joined(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Names with those of further rows, where the first row alone has a name twice or names several columns at once."""
    filled = [name for name in names if name]
    merged = [not name and any(row[place].strip() for row in rows) for place, name in enumerate(names)]
    if not rows or (len(set(filled)) == len(filled) and not any(merged[1:])):
        return list(names)
    joined: list[str] = []
    last = ""
    for place, name in enumerate(names):
        last = name or (last if merged[place] else "")
        parts = dict.fromkeys(part for part in (last, *(row[place].strip() for row in rows)) if part)
        joined.append(" ".join(parts))
    return joined
