"""What a file is by its first bytes, where its name says that it is a table of text."""

from pathlib import Path

from unroll.errors import UserError
from unroll.monitoring.tables.kinds import file_format

_OLD_WORKBOOK, _ZIPPED, _PACKED = b"\xd0\xcf\x11\xe0", b"PK\x03\x04", b"\x1f\x8b"
_PAGES = (b"<!doctype", b"<html", b"<?xml")
_POINTER = b"version https://git-lfs"


def check_contents(file: Path, first: bytes) -> None:
    """Refuses what no reader of tables takes, saying what it is.

    Args:
        file: its name says what is expected.
        first: its first bytes, unpacked where the name ends in `.gz`.

    Raises:
        UserError: another kind of file.
    """
    kind = file_format(file)
    if first.startswith(b"PAR1"):
        raise UserError(f"{file}: is a Parquet file. Rename it to {file.with_suffix('.parquet').name}")
    if first.startswith(_OLD_WORKBOOK):
        raise UserError(f"{file}: is a workbook of an old Excel. Save it as .xlsx, or as CSV")
    if first.startswith(_ZIPPED) and kind != "xlsx":
        workbook = file.with_suffix(".xlsx").name
        raise UserError(f"{file}: is a workbook or another archive. Rename it to {workbook}, or unpack it")
    if first.startswith(_PACKED):
        raise UserError(f"{file}: is compressed by gzip. Rename it to {file.name}.gz")
    text = first.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if text.startswith(_PAGES):
        raise UserError(f"{file}: is a page of HTML or XML, such as a download's error, not a table. Download it again")
    if text.startswith(_POINTER):
        raise UserError(f"{file}: is a pointer of Git LFS, not the table itself. Fetch it with git lfs pull")
    if text.startswith((b"[{", b'{"')) and kind != "xlsx":
        raise UserError(f"{file}: is JSON. Write an object a line and rename it to {file.with_suffix('.jsonl').name}")
