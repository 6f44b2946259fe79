"""Sheets of Excel workbooks as text, which is then read as any other table."""

import csv
import datetime as dt
import io
import itertools
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from unroll.errors import UserError
from unroll.monitoring.tables.notes import Notes

_HEAD_ROWS = 50  # in which a header is looked for


def sheet_text(file: Path, sheet: str | None, notes: Notes) -> bytes:
    """A sheet as CSV, in UTF-8: dates in ISO 8601, numbers as computers write them.

    Args:
        file: .xlsx or .xlsm.
        sheet: its name, or its number from 1; None: the first that holds anything.
        notes: where to say which of several sheets is read.

    Raises:
        UserError: a file that is not a workbook, or no such sheet.
    """
    import openpyxl  # takes a third of a second

    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError, OSError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{file}: is not an Excel workbook ({reason}). Save it as .xlsx, or as CSV") from None
    try:
        names = book.sheetnames
        if sheet is not None:
            return _text(file, book[_named(file, names, sheet)])
        for name in names:
            text = _text(file, book[name]) if hasattr(book[name], "iter_rows") else b""
            if text:
                if len(names) > 1:
                    notes.add(f"Of {len(names)} sheets {name!r} is read; --set data.sheet=... names another.")
                return text
    finally:
        book.close()
    raise UserError(f"{file}: every sheet is empty. It needs a header line and records")


def elsewhere(file: Path, column: str) -> str:
    """Which of several sheets has a column, or else which sheets there are; empty of a workbook of one."""
    import openpyxl

    book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    try:
        sheets = [sheet for sheet in book.worksheets if hasattr(sheet, "iter_rows")]
        for sheet in sheets:
            head = sheet.iter_rows(max_row=_HEAD_ROWS, values_only=True)
            if any(str(cell).strip() == column for row in head for cell in row if cell is not None):
                return f"Sheet {sheet.title!r} has it: --set {quoted('data.sheet', sheet.title)}"
        names = ", ".join(repr(sheet.title) for sheet in sheets)
        return f"That is one sheet of {names}; --set data.sheet=... names another" if len(sheets) > 1 else ""
    finally:
        book.close()


def quoted(key: str, value: str) -> str:
    """A setting as a shell takes it.

    Example:
        >>> quoted("data.sheet", "Reviews 2024")
        "'data.sheet=Reviews 2024'"
    """
    return shlex.quote(f"{key}={value}")


def _named(file: Path, names: Sequence[str], sheet: str) -> str:
    if sheet in names:
        return sheet
    if sheet.isdigit() and 1 <= int(sheet) <= len(names):
        return names[int(sheet) - 1]
    known = ", ".join(repr(name) for name in names)
    raise UserError(f"{file}: has no sheet {sheet!r}. It has: {known}. Name the right one: --set data.sheet=...")


def _text(file: Path, sheet: Any) -> bytes:
    """Rows to the last and columns to the last that are filled: formats reach farther than values."""
    rows = [list(map(_cell, row)) for row in sheet.iter_rows(values_only=True)]
    _check_formulas(file, sheet.title, rows)
    while rows and not any(rows[-1]):
        rows.pop()
    width = max((number for row in rows for number, cell in enumerate(row, 1) if cell), default=0)
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\n")
    for row in rows:
        writer.writerow(row[:width] + [""] * (width - len(row)))
    return written.getvalue().encode("utf-8", "replace")


def _check_formulas(file: Path, sheet: str, rows: Sequence[Sequence[str]]) -> None:
    """Refuses columns of formulas whose values no program has worked out yet, which look empty."""
    names: dict[int, str] = {}
    filled: dict[int, int] = {}
    for row in rows:
        for place, cell in enumerate(row):
            if cell:
                names[place] = names.get(place) or cell
                filled[place] = filled.get(place, 0) + 1
    most = max(filled.values(), default=0)
    suspect = [place for place, count in filled.items() if count == 1 and most > 2]
    if not suspect and most:
        return
    import openpyxl

    book = openpyxl.load_workbook(file, read_only=True)
    try:
        for row in itertools.islice(book[sheet].iter_rows(values_only=True), _HEAD_ROWS):
            for place, cell in enumerate(row):
                formula = isinstance(cell, str) and cell.startswith("=") and (place in suspect or not most)
                if formula or type(cell).__name__.endswith("Formula"):
                    named = names.get(place, f"number {place + 1}")
                    raise UserError(
                        f"{file}, sheet {sheet!r}, column {named!r}: holds formulas without their values, such as "
                        f"{str(cell)[:40]!r}, as programs write them. Open the workbook in Excel or LibreOffice and "
                        "save it once, which keeps the values beside them"
                    )
    finally:
        book.close()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        rounded = value + dt.timedelta(microseconds=500)  # days are kept as fractions: 00:59:59.999987 is one o'clock
        value = rounded.replace(microsecond=rounded.microsecond // 1000 * 1000)
        return value.isoformat(sep=" ")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)
