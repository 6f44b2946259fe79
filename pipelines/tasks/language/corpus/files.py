"""Documents of text files and tables, in blocks: a file may be larger than the memory."""

import codecs
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from unroll.errors import UserError
from unroll.monitoring.tables.files.text_source import (
    check_encoding,
    open_bytes,
    twice_encoded,
    undecodable,
    utf8_blocks,
)
from unroll.monitoring.tables.kinds import SUFFIXES, suffix
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.records import find_files, read_section
from unroll.pipelines.tasks.language.config import CorpusSection

TEXT_SUFFIXES = (".txt", ".text", ".md")
_CARRIAGE = re.compile("\r\n?")
_KINDS = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a document of Word or another archive",
    b"\xd0\xcf\x11\xe0": "a document of an old Office",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x7fELF": "a program",
    b"version https://git-lfs": "a pointer of Git LFS",
}
_PACKED = b"\x1f\x8b"
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_CONTROLS = 0.03  # share of such bytes, above which a file is none of text
_FIRST = 1 << 14  # bytes that are looked at
_BETWEEN = {"line": re.compile("\n"), "paragraph": re.compile("\n(?:[^\\S\n]*\n)+")}


class Part(NamedTuple):
    """Of a document.

    Args:
        text: of any length; line ends are one character.
        ends: whether the document ends with it.
        split: that a column names for it, as it stands there; None where there is no such column.
    """

    text: str
    ends: bool
    split: str | None = None


def text_files(data: str) -> list[Path]:
    """The files that `data` names: texts, or tables.

    Raises:
        UserError: there are none, or both.
    """
    files = find_files(data, (*SUFFIXES, *TEXT_SUFFIXES))
    tables = [file for file in files if suffix(file) in SUFFIXES]
    if tables and len(tables) < len(files):
        text = next(file for file in files if suffix(file) in TEXT_SUFFIXES)
        pattern = str(Path(data) / f"*{text.suffix}") if Path(data).is_dir() else str(text)
        raise UserError(
            f"--data {data}: holds tables, such as {tables[0].name}, and texts, such as {text.name}, and a corpus is "
            f"one or the other. Name the files, as in --data '{pattern}'"
        )
    return files


def are_tables(files: Sequence[Path]) -> bool:
    """Whether each of their rows is a document."""
    return suffix(files[0]) in SUFFIXES


def read_documents(section: CorpusSection, files: Sequence[Path], notes: Notes) -> Iterator[Part]:
    """The documents, one after the other, each in one part or in several.

    Args:
        section: says what a document is, and how files are written.
        files: as `text_files` gives them.
        notes: where to say what was found out by looking at a file.

    Raises:
        UserError: a file that is not in the encoding that is named, a table without the columns, or keys that say
            nothing of such files.

    Example:
        >>> written = Path("two.txt").write_text("First.\\r\\n\\r\\nSecond,\\r\\nin two lines.")
        >>> section = CorpusSection(document="paragraph")
        >>> [part.text for part in read_documents(section, [Path("two.txt")], Notes())]
        ['First.', 'Second,\\nin two lines.']
    """
    check_encoding(section.encoding)
    if are_tables(files):
        if section.document != "file":
            raise UserError(
                f"configuration key data.document: says what a document of text files is, and {files[0].name} is a "
                f"table, of which each row is one. Received: {section.document!r}. Leave it out"
            )
        columns = [section.text, section.split]
        for batch in read_section(section, files, columns, notes=notes):
            splits = batch[section.split] if section.split else [None] * len(batch[section.text])
            for text, split in zip(batch[section.text], splits, strict=True):
                yield Part(_CARRIAGE.sub("\n", text or ""), True, (split or "") if section.split else None)
        return
    if section.split:
        raise UserError(
            f"configuration key data.split: names a column, and {files[0].name} is a text. Received: "
            f"{section.split!r}. Leave it out, and name shares: --set data.split_fractions=[0.8, 0.1, 0.1]"
        )
    for file in files:
        _check_text(file)
        blocks = _blocks(file, section.encoding, notes)
        if section.document == "file":
            yield from (Part(block, False) for block in blocks)
            yield Part("", True)
            continue
        between, rest = _BETWEEN[section.document], ""
        for block in blocks:
            *whole, rest = between.split(rest + block)
            if section.document == "paragraph" and whole and not rest.strip():
                rest = whole.pop() + "\n\n" + rest  # the next block may go on with empty lines
            yield from (Part(text, True) for text in whole)
        if rest := rest.removesuffix("\n"):
            yield from (Part(text, True) for text in between.split(rest))


def _blocks(file: Path, encoding: str, notes: Notes) -> Iterator[str]:
    decoder, held, first = codecs.getincrementaldecoder("utf-8")(), "", True
    with open_bytes(file) as stream:
        try:
            for block in utf8_blocks(file, stream, encoding):
                if first and (hint := twice_encoded(block)):
                    notes.add(f"{file.name}: {hint}")
                first = False
                text = held + decoder.decode(block)
                held = "\r" if text.endswith("\r") else ""  # a line feed may follow
                yield _CARRIAGE.sub("\n", text.removesuffix("\r"))
            yield decoder.decode(b"", final=True) + ("\n" if held else "")
        except UnicodeDecodeError:
            raise undecodable(file, encoding) from None
        except (OSError, EOFError) as error:
            raise _unreadable(file, error) from None


def _check_text(file: Path) -> None:
    """Refuses what is no text whatever its encoding, saying what it is."""
    try:
        with open_bytes(file) as stream:
            first = stream.read(_FIRST)
    except (OSError, EOFError) as error:
        raise _unreadable(file, error) from None
    if first.startswith(_PACKED):
        raise UserError(f"{file}: is compressed by gzip. Rename it to {file.name}.gz")
    if kind := next((kind for mark, kind in _KINDS.items() if first.startswith(mark)), ""):
        raise UserError(f"{file}: is {kind}, not text. Save what it says as text, or name another file")
    if (controls := len(_CONTROL.findall(first))) > _CONTROLS * len(first):
        raise UserError(
            f"{file}: is not text: {controls:,} of its first {len(first):,} bytes are control characters. Name another "
            "file"
        )


def _unreadable(file: Path, error: Exception) -> UserError:
    cut = "It may have been cut off: write it again" if isinstance(error, EOFError) else "Name another file"
    return UserError(f"{file}: cannot be read ({str(error).rstrip('.')}). {cut}")
