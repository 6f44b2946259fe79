"""The text of tables that is written anew before it is read: columns divided by runs of blanks, blanks around marks."""

import re
from collections.abc import Callable, Iterable, Iterator

from unroll.monitoring.tables.format import TableFormat

Change = Callable[[bytes], bytes]
"""Of whole records."""

BLANK = " "
"""The delimiter that stands for any number of blanks and tabs."""
_LOOKED_AT = 1 << 15  # bytes by which it is told what a table needs
_MAX_RECORD = 4 << 20  # a quotation mark that is not closed is told by those who look for such


def change_of(head: bytes, delimiter: str, table_format: TableFormat) -> Change | None:
    """What a table's text needs; None where it can be read as it stands.

    Args:
        head: its first lines.
        delimiter: between cells.
        table_format: how it is written.

    Example:
        >>> change_of(b"", " ", TableFormat())(b"  2026-01-31   7.5 \\n")
        b'2026-01-31 7.5\\n'
        >>> change_of(b'id, name\\n', ",", TableFormat()) is None
        True
        >>> change_of(b'id, "name"\\n', ",", TableFormat())(b'7, "a, b" ,c\\n')
        b'7,"a, b",c\\n'
    """
    mark = table_format.quote.encode() if table_format.quote else b""
    if delimiter == BLANK:
        return _single_blanks(mark)
    between, head = delimiter.encode(), head[: head.rfind(b"\n", 0, _LOOKED_AT) + 1] or head
    if not mark or table_format.escape or not re.search(b"%b +%b|%b +%b" % (between, mark, mark, between), head):
        return None
    change = _bare_marks(re.escape(between), re.escape(mark))
    return change if change(head) != head else None


def rewritten(blocks: Iterable[bytes], change: Change, mark: str | None) -> Iterator[bytes]:
    """Blocks of text, changed record by record.

    Args:
        blocks: of any length.
        change: of `change_of`.
        mark: stands around cells that may hold line ends.
    """
    held = b""
    for block in blocks:
        held += block
        end = held.rfind(b"\n") + 1
        if end and (not mark or held.count(mark.encode(), 0, end) % 2 == 0 or len(held) > _MAX_RECORD):
            yield change(held[:end])
            held = held[end:]
    if held:
        yield change(held)


def _single_blanks(mark: bytes) -> Change:
    quoted = b"(%b[^%b]*%b)" % (mark, mark, mark) if mark else b"((?!))"
    pattern = re.compile(quoted + rb"|^[ \t]+|[ \t]+(?=\r?$)|[ \t]+", re.MULTILINE)

    def single(found: re.Match[bytes]) -> bytes:
        if found[1] is not None:
            return found[1]
        text, end = found.string, found.end()
        begins = found.start() == 0 or text[found.start() - 1] == 10
        return b"" if begins or end == len(text) or text[end] in b"\r\n" else b" "

    return lambda text: pattern.sub(single, text)


def _bare_marks(between: bytes, mark: bytes) -> Change:
    edge = rb"(?:(?<=%b)|(?<=\n)|\A) *" % between
    cell = rb"(%b(?:[^%b]|%b%b)*%b)" % (mark, mark, mark, mark, mark)
    pattern = re.compile(rb"%b%b *(?=%b|\r?\n|\Z)" % (edge, cell, between))
    return lambda text: pattern.sub(rb"\1", text)
