"""Tables in files of text, a batch at a time: CSV, TSV, and the sheets of workbooks as such."""

import codecs
import io
import itertools
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv

from unroll.errors import UserError
from unroll.monitoring.tables.cells import record_test
from unroll.monitoring.tables.files.contents import check_contents
from unroll.monitoring.tables.files.footer import Footer, lines_of_next_table
from unroll.monitoring.tables.files.layout import Layout, default_delimiter, find_layout
from unroll.monitoring.tables.files.quotes import QuoteCheck
from unroll.monitoring.tables.files.repeated_header import RepeatedHeader
from unroll.monitoring.tables.files.rewritten import change_of, rewritten
from unroll.monitoring.tables.files.text_source import (
    check_encoding,
    is_plain,
    open_bytes,
    twice_encoded,
    undecodable,
    utf8_blocks,
)
from unroll.monitoring.tables.files.workbook import elsewhere, sheet_text
from unroll.monitoring.tables.format import TableFormat
from unroll.monitoring.tables.kinds import file_format
from unroll.monitoring.tables.notes import Notes

_BLOCK_BYTES = 2 << 20  # a record must fit in a block, else a larger one is tried
_MAX_BLOCK_BYTES = 1 << 30
_HEAD_BYTES = 1 << 17
_FIRST = 512  # bytes that tell what a file is
_even: set[tuple[object, ...]] = set()
"""Files whose quotation marks this process has found to be right, as they were then: a training reads them thrice."""


class CsvTable:
    """An open table, whose records are read once.

    Args:
        file: for messages.
        layout: what its first lines say.
        stream: the records.
    """

    def __init__(self, file: Path, layout: Layout, stream: "_Records"):
        self.layout = layout
        self._file = file
        self._stream = stream

    @property
    def names(self) -> list[str]:
        """Of the columns; empty where one has none."""
        return self.layout.names

    def hint(self, column: str) -> str:
        """What may be wrong where a column is missing; empty if nothing seems so."""
        return self.layout.hint(column) or (elsewhere(self._file, column) if file_format(self._file) == "xlsx" else "")

    def kinds(self, null_values: Sequence[str]) -> list[pa.DataType]:
        """Types of the columns, found in the first block; all of its records are read for that."""
        options = pa.csv.ConvertOptions(null_values=null_values)
        return self._stream.kinds(options) or [pa.null()] * len(self.names)

    def batches(
        self, types: Mapping[str, pa.DataType], null_values: Sequence[str], *, strings_can_be_null: bool
    ) -> Iterator[pa.RecordBatch]:
        """The records.

        Args:
            types: of the columns that are read, by name.
            null_values: cells that are missing.
            strings_can_be_null: whether they are in columns of text, too.

        Raises:
            pa.ArrowInvalid: a value that is not of its column's type; for the caller to explain.
        """
        places = {name: self.names.index(name) for name in types}
        options = pa.csv.ConvertOptions(
            column_types={str(place): types[name] for name, place in places.items()},
            include_columns=[str(place) for place in places.values()],
            null_values=null_values,
            strings_can_be_null=strings_can_be_null,
        )
        for batch in self._stream.batches(options):
            yield pa.RecordBatch.from_arrays(batch.columns, names=list(places))

    def row(self, number: int) -> int:
        """The row of the file that pyarrow counts as this one, of the records alone."""
        return number - 1 + self.layout.row


@contextmanager
def open_csv(file: Path, table_format: TableFormat, notes: Notes | None = None) -> Iterator[CsvTable]:
    """Opens a table; what goes wrong inside the `with` block becomes a `UserError`.

    Args:
        file: CSV, TSV or a workbook; a name ending in `.gz` is unpacked on the way.
        table_format: how the file is written.
        notes: where to say what was found out.

    Raises:
        UserError: an empty file, an encoding or syntax error; with the file's name.
        pa.ArrowInvalid: a value that is not of its column's type; for the caller to explain.
    """
    notes = notes if notes is not None else Notes()
    check_encoding(table_format.encoding)
    if file.stat().st_size == 0:
        raise UserError(f"{file}: is empty. It needs a header line and records")
    layout = None
    try:
        with _opened(file, table_format, notes) as (stream, as_text):
            blocks = utf8_blocks(file, stream, as_text.encoding)
            head, whole = _head(blocks)
            change = change_of(head, as_text.delimiter or default_delimiter(file), as_text)
            if change is not None:
                blocks = rewritten(itertools.chain([head], blocks), change, as_text.quote)
                head, whole = _head(blocks)
            first = head if len(head) <= _HEAD_BYTES else head[: head.rfind(b"\n", 0, _HEAD_BYTES) + 1] or head
            layout = find_layout(file, first, as_text)
            for line in (*layout.notes, *filter(None, [twice_encoded(first)])):
                notes.add(line)
            own = file_format(file) != "xlsx" and change is None and is_plain(file, as_text.encoding)
            records = _Records(file, as_text, layout, head, blocks, whole, notes, own)
            yield CsvTable(file, layout, records)
    except UnicodeError:
        raise undecodable(file, table_format.encoding) from None
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        if "UTF8" in reason or "UTF-8" in reason:
            raise undecodable(file, table_format.encoding) from None
        if "CSV conversion error" in reason:
            raise
        raise _not_csv(file, layout, table_format, reason) from None
    except (OSError, EOFError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from None


def _not_csv(file: Path, layout: Layout | None, table_format: TableFormat, reason: str) -> UserError:
    """What pyarrow says of a row, in words."""
    found = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+): (.*)", reason)
    if layout is None or found is None:
        return UserError(f"{file}: cannot be read as CSV ({reason})")
    row, expected, got, text = found.groups()
    cells = f"{got} cell{'s' * (got != '1')}"
    remedies = []
    widths = [len(cells) for _, cells in layout.rows]
    common = max(set(widths), key=widths.count)
    if below := lines_of_next_table(file, layout, table_format, text):
        remedies.append(f"If another table begins here, leave it out: --set data.skip_footer={below}")
    if common > int(expected):
        begin = layout.rows[widths.index(common)][0]
        remedies.append(
            f"Most rows have {common} cells. If the table begins with row {begin}: --set data.skip_rows={begin - 1}"
        )
    fix = "Fix the row: a cell that holds the delimiter stands in quotation marks, which begin and end it"
    return UserError(
        f"{file}, row {int(row) - 1 + layout.row}: has {cells}, and the header {expected}; it cannot be read as CSV "
        f"with delimiter {layout.delimiter!r}. Received: {text[:60]!r}. {'. '.join(remedies) or fix}"
    )


@contextmanager
def _opened(file: Path, table_format: TableFormat, notes: Notes) -> Iterator[tuple[BinaryIO, TableFormat]]:
    """The bytes of the table's text, and how that is written."""
    with open_bytes(file) as stream:
        first = stream.peek(_FIRST)[:_FIRST]  # type: ignore[attr-defined]
        check_contents(file, first)
        if file_format(file) != "xlsx":
            yield stream, table_format
            return
    written = replace(table_format, delimiter=",", quote='"', escape=None, encoding="utf-8")
    yield io.BytesIO(sheet_text(file, table_format.sheet, notes)), written


def _head(blocks: Iterator[bytes]) -> tuple[bytes, bool]:
    """The first lines, and whether that is all."""
    head = b""
    for block in blocks:
        head += block
        if len(head) >= _HEAD_BYTES and b"\n" in block:
            return head, False
    return head, True


class _Records:
    """The text of the records, to which pyarrow is not let before it is checked.

    It closes quotation marks anywhere, and takes a line of totals for a record.
    """

    def __init__(
        self,
        file: Path,
        table_format: TableFormat,
        layout: Layout,
        head: bytes,
        blocks: Iterator[bytes],
        whole: bool,
        notes: Notes,
        own: bool,
    ):
        self._file, self._format, self._layout, self._notes = file, table_format, layout, notes
        self._blocks = blocks
        self._tail = head[layout.start :]
        self._ended = whole
        self._own = own  # whether the text is the file's own bytes
        self._footer = Footer(file, layout, table_format, notes)
        self._check = None
        if table_format.quote is not None and file_format(file) != "xlsx":
            self._check = QuoteCheck(
                file,
                layout.delimiter,
                table_format.quote,
                table_format.escape,
                record_test(layout.sample),
                len(layout.names),
                table_format.multiline,
                layout.row,
                notes,
            )

    def kinds(self, options: pa.csv.ConvertOptions) -> list[pa.DataType]:
        """Types of the columns; empty where there are no records."""
        text, size = self._text(checked=False), _BLOCK_BYTES
        while True:
            try:
                with self._reader(text, options, size) as reader:
                    return list(reader.schema.types) if reader else []
            except pa.ArrowInvalid as error:
                size = _larger(size, error)

    def batches(self, options: pa.csv.ConvertOptions) -> Iterator[pa.RecordBatch]:
        """The records; those of a block that a record does not fit in are read again, in a larger one."""
        text, size, done = self._text(checked=True), _BLOCK_BYTES, 0
        while True:
            read = 0
            try:
                with self._reader(text, options, size) as reader:
                    for batch in reader or ():
                        read += batch.num_rows
                        if read > done:
                            yield batch.slice(max(0, batch.num_rows - (read - done)))
                            done = read
                return
            except pa.ArrowInvalid as error:
                size = _larger(size, error)

    @contextmanager
    def _reader(
        self, text: pa.Buffer, options: pa.csv.ConvertOptions, size: int
    ) -> Iterator[pa.csv.CSVStreamingReader | None]:
        """Streams the records; None where there are none. Their columns are called by their places, from 0."""
        parse = pa.csv.ParseOptions(
            delimiter=self._layout.delimiter,
            quote_char=self._format.quote or False,
            escape_char=self._format.escape or False,
            newlines_in_values=self._format.quote is not None,
        )
        names = [str(place) for place in range(len(self._layout.names))]
        read = pa.csv.ReadOptions(block_size=size, use_threads=False, column_names=names)
        if not text.slice(0, min(text.size, _BLOCK_BYTES)).to_pybytes().strip(b"\r\n"):
            yield None
            return
        with pa.csv.open_csv(pa.BufferReader(text), read, parse, options) as reader:
            yield reader

    def _text(self, checked: bool) -> pa.Buffer:
        """The records in mapped memory: of the file itself if that can be read as it stands, else of a copy.

        It is Arrow's own: its threads read ahead, and one that let go of Python's while Python ends would abort it.
        """
        repeated = RepeatedHeader(self._layout.header)
        if self._own:
            length = sum(map(repeated.feed, self._parts(checked)))
            repeated.finish()
            mapped = _mapped(self._file)
            start = self._layout.start + 3 * (mapped.slice(0, min(3, mapped.size)).to_pybytes() == codecs.BOM_UTF8)
            text = mapped.slice(start, length)
            if not repeated.places:
                return text
            parts: Iterable[bytes | pa.Buffer] = [text]
        else:
            parts = (part for part in self._parts(checked) if repeated.feed(part))
        with tempfile.NamedTemporaryFile() as copy:  # which stays as long as it is mapped
            for part in parts:
                copy.write(part)
            if not self._own:
                repeated.finish()
            for place in repeated.places:
                copy.seek(place)
                copy.write(b"\n" * len(self._layout.header))
            copy.flush()
            if repeated.places:
                self._notes.add(repeated.told)
            return _mapped(Path(copy.name))

    def _parts(self, checked: bool) -> Iterator[bytes]:
        """The records' text without the lines below them."""
        held = self._tail  # the last kilobytes wait until the end of the file is there
        state = os.stat(self._file)
        as_it_is = (self._file.absolute(), state.st_size, state.st_mtime_ns, self._format)
        check = self._check if checked and as_it_is not in _even else None
        for block in self._blocks if not self._ended else ():
            if not held or not self._footer.within(block):
                held += block
                continue
            if check:
                check.feed(held)
            yield held
            held = block
        held = self._footer.without(held)
        if check:
            check.feed(held)
            check.finish()
            old = time.time() - state.st_mtime > 1  # a younger file could change and not look it
            if old and not check.dropped:  # of which each reading tells
                _even.add(as_it_is)
        yield held


def _larger(size: int, error: pa.ArrowInvalid) -> int:
    """The size of block to try next, if the error says that a record does not fit in one."""
    if "straddling" not in str(error) or 8 * size > _MAX_BLOCK_BYTES:
        raise error
    return 8 * size


def _mapped(file: Path) -> pa.Buffer:
    if file.stat().st_size == 0:
        return pa.allocate_buffer(0)
    with pa.memory_map(str(file)) as mapped:
        return mapped.read_buffer()
