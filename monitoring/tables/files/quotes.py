"""Quotation marks that would swallow what stands behind them, found line by line before a table is parsed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.tables.notes import Notes

_MAX_CELL = 2 << 20
_NEWLINE, _RETURN = 10, 13
_SHOWN = 60


@dataclass
class QuoteCheck:
    """Follows the quotation marks of a table, of which it is given the bytes of whole lines.

    A line is judged by where its marks stand, all lines of a block at once; only those that a cell of several lines
    begins in, or whose marks are uneven, are looked at one by one.

    Args:
        file: for messages.
        delimiter, quote, escape: as `TableFormat` has them; one character of ASCII each.
        is_record: whether the cells of a line could be a record of the table.
        columns: how many cells a record has.
        multiline: lines within a cell are text, whatever they look like.
        row: number of the first line.
        notes: where to say of marks that are dropped.
    """

    file: Path
    delimiter: str
    quote: str
    escape: str | None
    is_record: Callable[[list[str]], bool]
    columns: int
    multiline: bool
    row: int
    notes: Notes
    _open: bytes = b""
    dropped: int = 0
    _first_dropped: int = 0

    def feed(self, block: bytes) -> None:
        """Takes further bytes, which need not end with a line.

        Raises:
            UserError: a quotation mark is not closed, or only rows further down.
        """
        start = 0
        if self._open:
            line_end = block.find(b"\n") + 1
            line = self._open + block[:line_end]
            checked = self._checked(line, 0) if line_end else 0
            if checked == len(line):
                start = line_end
            else:
                block, start = self._open + block, checked
            self._open = b""
        end = block.rfind(b"\n") + 1
        if end > start:
            start = self._checked(block, start)
        self._open = block[start:]
        if len(self._open) > _MAX_CELL and b"\n" in self._open:  # a single line swallows no rows
            raise self._never_closed(self._open, 0, self.row)

    def _checked(self, block: bytes, start: int) -> int:
        """Checks the whole lines from a place on; gives where what is not finished begins."""
        end = block.rfind(b"\n") + 1
        if block.find(self.quote.encode(), start, end) < 0:
            self.row += int(np.count_nonzero(np.frombuffer(block, np.uint8)[start:end] == _NEWLINE))
            return end
        found = self._even(block, start, end)
        return self._lines(block[start:end], last=False) + start if found is None else found

    def finish(self) -> None:
        """Takes note that there is no more.

        Raises:
            UserError: as `feed`.
        """
        if self._open:
            self._lines(self._open if self._open.endswith(b"\n") else self._open + b"\n", last=True)
        if self.dropped:
            self.notes.add(
                f"Cells in which text follows a closing quotation mark: {self.dropped:,}, the first in row "
                f"{self._first_dropped}. The mark is dropped; where marks are text: --set data.quote=null."
            )

    def _even(self, block: bytes, start: int, stop: int) -> int | None:
        """Checks lines in which every mark is at the edge of a cell or doubled, as in nearly all tables.

        Returns:
            Where what is not finished begins, or None if a mark stands elsewhere.
        """
        if self.escape:
            return None
        characters = np.frombuffer(block, np.uint8)
        mark, delimiter = ord(self.quote), ord(self.delimiter)
        lines = characters[start:stop]
        places = np.flatnonzero((lines == mark) | (lines == _NEWLINE)) + start
        is_mark = characters[places] == mark
        opened = (np.cumsum(is_mark, dtype=np.uint8) & 1).view(bool)  # whose overflow keeps odd and even
        marks = places[is_mark]
        end = stop
        if opened[-1]:  # a cell that goes on behind the block
            end = max(start, block.rfind(b"\n", 0, int(marks[-1])) + 1)
            inside = places < end
            places, is_mark, opened, marks = places[inside], is_mark[inside], opened[inside], marks[marks < end]
            if len(marks) % 2:
                return None
        opening, closing = marks[::2], marks[1::2]
        before = np.take(characters, opening - 1, mode="wrap")
        after = np.take(characters, closing + 1, mode="clip")
        good = (before == delimiter) | (before == _NEWLINE)
        good[:1] |= opening[:1] == start
        closed = (after == delimiter) | (after == _NEWLINE) | (after == _RETURN)
        doubled = closing[:-1] + 1 == opening[1:]
        good[1:] |= doubled
        closed[:-1] |= doubled
        if not (good.all() and closed.all()):
            return None
        within = np.flatnonzero(opened > is_mark)
        if len(within):
            self._check_cells(block, places, is_mark, within)
        self.row += len(places) - len(marks)
        return end

    def _check_cells(self, block: bytes, places: np.ndarray, is_mark: np.ndarray, within: np.ndarray) -> None:
        """Looks into the cells that hold these line ends, given by their places."""
        ends = np.cumsum(~is_mark)
        checked = 0
        for one in within:
            place = int(places[one])
            if place < checked:
                continue
            start, row = place, self.row + int(ends[one]) - 1
            while True:  # to the line in which the record begins
                start = block.rfind(b"\n", 0, start) + 1
                if block.count(self.quote.encode(), start, place) % 2:
                    break
                start, row = start - 1, row - 1
            closed = self._closing(block, place)
            self._check_swallowed(block, start, closed, row)
            checked = closed

    def _lines(self, block: bytes, last: bool) -> int:
        """Checks whole lines; gives where what is not finished begins."""
        characters = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero(characters == _NEWLINE)
        first_row, position = self.row, 0
        for line in self._uneven(characters, ends):
            start = int(ends[line - 1]) + 1 if line else 0
            if start < position:
                continue  # within a cell of several lines
            found = self._record(block, start, first_row + int(line), last)
            if found is None:
                self.row = first_row + int(line)
                return start
            position = found
        self.row = first_row + len(ends)
        return len(block)

    def _uneven(self, characters: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Numbers of the lines whose marks are not, each by itself, at the edges of a cell or doubled."""
        marks = np.flatnonzero(characters == ord(self.quote))
        before = characters[marks - 1]
        before[marks == 0] = _NEWLINE
        if self.escape and self.escape != self.quote:
            kept = before != ord(self.escape)
            marks, before = marks[kept], before[kept]
        if not len(marks):
            return marks
        after = characters[np.minimum(marks + 1, len(characters) - 1)]
        line = np.searchsorted(ends, marks)
        lines, firsts, counts = np.unique(line, return_index=True, return_counts=True)
        place = np.arange(len(marks)) - np.repeat(firsts, counts)
        doubled = np.append(np.diff(marks) == 1, False)
        delimiter = ord(self.delimiter)
        opens = (before == delimiter) | (before == _NEWLINE)
        closes = (after == delimiter) | (after == _NEWLINE) | (after == _RETURN)
        even = place % 2 == 0
        good = np.where(even, opens | np.append(False, doubled[:-1]), closes | doubled)
        wrong = np.add.reduceat(~good, firsts) > 0
        none_opens = np.add.reduceat(opens, firsts) == 0  # such marks stand within cells and are text
        return lines[(wrong | (counts % 2 == 1)) & ~none_opens]

    def _record(self, block: bytes, start: int, row: int, last: bool) -> int | None:
        """Where the record ends that starts here; None if that cannot be told yet."""
        quote, delimiter = self.quote.encode(), self.delimiter.encode()
        position = start
        while True:
            if block.startswith(quote, position):
                opened = position
                position = self._closing(block, opened + 1)
                if position < 0:
                    if last:
                        raise self._never_closed(block, opened, row)
                    return None
                several = block.count(b"\n", opened, position)
                if position + 1 < len(block) and block[position + 1] not in b"\r\n" + delimiter:
                    self._followed(block, opened, position, row, several)
                elif several:
                    self._check_swallowed(block, start, position, row)
                position += 1
            end = block.find(b"\n", position)
            next_cell = block.find(delimiter, position, end if end >= 0 else len(block))
            if next_cell < 0:
                return end + 1 if end >= 0 else len(block)
            position = next_cell + 1

    def _closing(self, block: bytes, position: int) -> int:
        """Where the mark stands that closes a cell, or -1."""
        quote = self.quote.encode()
        escape = self.escape.encode() if self.escape else b""
        while (position := block.find(quote, position)) >= 0:
            if escape and _escaped(block, position, escape):
                position += 1
            elif block.startswith(2 * quote, position):
                position += 2
            else:
                return position
        return -1

    def _followed(self, block: bytes, opened: int, closed: int, row: int, several: int) -> None:
        cell = block[opened : closed + 1]
        if self.escape is None and b"\\" + self.quote.encode() in cell + self.quote.encode():
            raise UserError(
                f"{self.file}, row {row}: writes quotation marks within a cell as \\{self.quote}, and the cell would "
                f"end there. Received: {_shown(block, opened)}. Say so: --set 'data.escape=\\'"
            )
        if several:
            raise self._swallows(block, opened, row, several, closed=False)
        self.dropped += 1
        self._first_dropped = self._first_dropped or row

    def _check_swallowed(self, block: bytes, start: int, closed: int, row: int) -> None:
        """Refuses a cell of several lines that hold records of their own."""
        if self.multiline:
            return
        end = block.find(b"\n", closed)
        lines = block[start : end if end >= 0 else None].decode(errors="replace").split("\n")
        inner = lines[1:-1] or lines
        records = [self._is_record(line) for line in inner]
        if all(records) or (len(lines) > 2 and any(records)):
            raise self._swallows(block, start, row, len(lines) - 1)

    def _is_record(self, line: str) -> bool:
        cells = [cell.strip().strip(self.quote) for cell in line.rstrip("\r").split(self.delimiter)]
        return len(cells) == self.columns and self.is_record(cells)

    def _swallows(self, block: bytes, opened: int, row: int, several: int, *, closed: bool = True) -> UserError:
        rows = f"{several} row{'s' * (several > 1)}"
        meant = ". Where those lines are text of the cell: --set data.multiline=true" if closed else ""
        return UserError(
            f"{self.file}, row {row}: a quotation mark opens a cell that only ends {rows} further down, and swallows "
            f"what lies between. Received: {_shown(block, opened)}. {self._remedy(block, opened)}{meant}"
        )

    def _never_closed(self, block: bytes, opened: int, row: int) -> UserError:
        return UserError(
            f"{self.file}, row {row}: a quotation mark opens a cell that is never closed, which swallows all rows "
            f"below. Received: {_shown(block, opened)}. {self._remedy(block, opened)}"
        )

    def _remedy(self, block: bytes, opened: int) -> str:
        """Marks are text if the line is a record with them."""
        start = block.rfind(b"\n", 0, opened) + 1
        line = block[start : (block.find(b"\n", opened) + 1 or len(block) + 1) - 1].decode(errors="replace")
        if self.escape is None and "\\" + self.quote in line:
            return "If marks are text behind a backslash: --set 'data.escape=\\'. Else close it, or double it"
        if len(line.split(self.delimiter)) == self.columns:
            return "If quotation marks are text in this file: --set data.quote=null. Else close it, or double it"
        return "Close it, or double it where it is text"


def _escaped(block: bytes, position: int, escape: bytes) -> bool:
    """Whether an odd number of escape characters stands before a mark."""
    first = position
    while block.endswith(escape, 0, first):
        first -= 1
    return (position - first) % 2 == 1


def _shown(block: bytes, opened: int) -> str:
    return repr(block[opened : opened + 4 * _SHOWN].decode(errors="replace").partition("\n")[0].rstrip("\r")[:_SHOWN])
