"""The text of a file as UTF-8, in blocks: unpacked, transcoded, without a byte order mark."""

import codecs
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from unroll.errors import UserError

_BLOCK_BYTES = (2 << 20) - (1 << 16)
_CONTROL = re.compile("[\x80-\x84\x86-\x9f]")  # 85 ends lines on mainframes
_TWICE = re.compile(
    rb"\xc3[\x82\x83\x84\x85]\xc2[\xa0-\xbf]|\xc3\xa2\xe2\x82\xac(?:\xe2\x84\xa2|\xc5\x93|\xc2[\xa0-\xbf]|\xcb\x9c)"
)
"""Such as Ã© and â€™."""
_BYTE_A_LETTER = ("iso8859-1", "iso8859-15", "cp1252", "cp1250", "iso8859-2", "mac-roman")
_ZEROS = bytes(4)
_GUESSES = ("utf-8", "gb18030", "shift_jis", "euc_kr", "big5")


def check_encoding(encoding: str) -> None:
    """Refuses what is not an encoding of text.

    Raises:
        UserError: names the configuration key.
    """
    try:
        "".encode(encoding)  # base64 and the like encode bytes, not text
    except (LookupError, ValueError):
        raise UserError(f"configuration key data.encoding: no such encoding. Received: {encoding!r}") from None


def open_bytes(file: Path) -> BinaryIO:
    """The file's bytes; a name ending in `.gz` is unpacked on the way."""
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")  # type: ignore[return-value]


def is_plain(file: Path, encoding: str) -> bool:
    """Whether `utf8_blocks` gives a file's own bytes, but for a byte order mark."""
    if file.suffix == ".gz" or codecs.lookup(encoding).name not in ("utf-8", "ascii"):
        return False
    with file.open("rb") as stream:
        first = stream.read(_BLOCK_BYTES)
    return b"\n" in first or b"\r" not in first


def utf8_blocks(file: Path, stream: BinaryIO, encoding: str) -> Iterator[bytes]:
    """The text in blocks.

    Args:
        file: for messages.
        stream: its bytes.
        encoding: of them. That of UTF-8 text is not checked here.

    Raises:
        UserError: bytes of another encoding, or NUL bytes, which no text has.
    """
    plain = codecs.lookup(encoding).name in ("utf-8", "ascii")
    decoder = None if plain else codecs.getincrementaldecoder(encoding)()
    first, only_returns = True, False
    while True:
        block = stream.read(_BLOCK_BYTES)
        if first and plain and block[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise undecodable(file, encoding, "utf-16")
        if decoder is not None:
            try:
                text = decoder.decode(block, final=not block)
                if first:
                    _check_utf8(file, block, encoding)
                if _CONTROL.search(text):
                    raise _with_controls(file, encoding)
                block = text.encode()
            except UnicodeError:
                raise undecodable(file, encoding) from None
        elif not block:
            return
        if first:
            block = block.removeprefix(codecs.BOM_UTF8)
            only_returns = b"\n" not in block and b"\r" in block
        if b"\0" in block and (_ZEROS in block or (first and block[:64].count(0) > 16)):
            raise _with_nul(file, block, encoding)
        if only_returns:  # as old programs end their lines
            block = block.replace(b"\r", b"\n")
        first = False
        if block:
            yield block
        elif decoder is not None:
            return


def check_letters(file: Path, encoding: str) -> None:
    """Refuses a file whose first block shows that it has another encoding than it is read in, though that takes it.

    Args:
        file: a name ending in `.gz` is unpacked on the way.
        encoding: of the file.

    Raises:
        UserError: as `utf8_blocks`.
    """
    if codecs.lookup(encoding).name in ("utf-8", "ascii"):
        return
    with open_bytes(file) as stream:
        block = stream.read(_BLOCK_BYTES)
    _check_utf8(file, block, encoding)
    if _CONTROL.search(codecs.getincrementaldecoder(encoding)("ignore").decode(block)):
        raise _with_controls(file, encoding)


def twice_encoded(text: bytes) -> str:
    """A hint at letters such as Ã© for é, which UTF-8 becomes that is read in another encoding and written again.

    Args:
        text: UTF-8, as the first lines of a file.

    Returns:
        A sentence with an example; empty where nothing looks like that.

    Example:
        >>> twice_encoded("cafÃ©".encode())[:45]
        "Text holds letters such as 'Ã©' where 'é' was"
    """
    found = _TWICE.search(text)
    if found is None:
        return ""
    shown = found[0].decode("utf-8", "ignore")
    try:
        meant = shown.encode("cp1252").decode()
    except UnicodeError:
        return ""
    return (
        f"Text holds letters such as {shown!r} where {meant!r} was meant, as UTF-8 becomes that is read as cp1252. "
        "Write the file anew from its source to have them right."
    )


def _check_utf8(file: Path, block: bytes, encoding: str) -> None:
    """Refuses a file in UTF-8 that is read in an encoding of a byte a letter, which takes anything."""
    if codecs.lookup(encoding).name not in _BYTE_A_LETTER or block.isascii():
        return
    try:
        codecs.getincrementaldecoder("utf-8")().decode(block)
    except UnicodeDecodeError:
        return
    raise UserError(
        f"{file}: is utf-8 text, of which {encoding} makes two letters and more of one. Leave data.encoding out, or "
        "name it: --set data.encoding=utf-8"
    )


def _with_controls(file: Path, encoding: str) -> UserError:
    with open_bytes(file) as stream:
        before = _CONTROL.split(stream.read().decode(encoding, "replace"), maxsplit=1)[0]
    return UserError(
        f"{file}, row {before.count(chr(10)) + 1}: holds control characters where it is read as {encoding}, as "
        "quotation marks and dashes of Windows become. Name its encoding: --set data.encoding=cp1252"
    )


def undecodable(file: Path, encoding: str, guess: str | None = None) -> UserError:
    """The error about a file that has another encoding than it should have."""
    line = ""
    if guess is None:
        guess, line = _guess(file, encoding)
        if not line:
            return UserError(
                f"{file}: ends within a character of {encoding}, so it was cut off or has another encoding. Write it "
                f"again, or name its encoding, as in --set data.encoding={guess}"
            )
    return UserError(
        f"{file}{line}: is not {encoding} text. Name its encoding, as in --set data.encoding={guess}, or convert it"
    )


def _guess(file: Path, encoding: str) -> tuple[str, str]:
    """A likely encoding, and the first line that is not of the one that was named; "" if only the end is not."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with open_bytes(file) as stream:
        before = 0
        for block in iter(lambda: stream.read(_BLOCK_BYTES), b""):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                row = before + error.object[: error.start].count(b"\n") + 1
                start = error.object.rfind(b"\n", 0, error.start) + 1
                sample = error.object[start : start + 4096]
                return _likely(sample, encoding), f", row {row}"
            before += block.count(b"\n")
    return "latin-1", ""


def _likely(sample: bytes, encoding: str) -> str:
    """Bytes beyond ASCII that come one by one, between letters, are accents; in runs they are another script."""
    high = [byte >= 0x80 for byte in sample]
    beside = zip([False, *high], high, [*high[1:], False], strict=False)
    alone = sum(one and not before and not after for before, one, after in beside)
    if alone < sum(high) / 2:
        whole = sample[: sample.rfind(b"\n") + 1] or sample
        return next((guess for guess in _GUESSES if guess != encoding and _is_text(whole, guess)), "cp1251")
    return "cp1252" if any(0x80 <= byte < 0xA0 for byte in sample) else "latin-1"


def _is_text(sample: bytes, encoding: str) -> bool:
    """Whether bytes in this encoding are text as Chinese, Japanese and Korean is."""
    try:
        letters = [ord(character) for character in sample.decode(encoding) if ord(character) >= 0x80]
    except UnicodeError:
        return False
    common = [one for one in letters if 0x3000 <= one <= 0x9FFF or 0xAC00 <= one <= 0xD7A3 or 0xFF00 <= one <= 0xFFEF]
    return encoding == "utf-8" or len(common) > 0.9 * len(letters)


def _with_nul(file: Path, block: bytes, encoding: str) -> UserError:
    start = block.index(b"\0")
    if block[start : start + 8 : 2] == b"\0\0\0\0" and b"\0\0" not in block[start : start + 8]:
        byte_order = "le" if start % 2 else "be"
        return UserError(
            f"{file}: has a NUL byte beside every letter, as UTF-16 text has. Name its encoding: --set "
            f"data.encoding=utf-16-{byte_order}"
        )
    with open_bytes(file) as stream:
        row = stream.read().decode(encoding, "replace").partition(_ZEROS.decode())[0].count("\n") + 1
    return UserError(
        f"{file}, row {row}: holds NUL bytes, which no text has: the file may have been cut off while it was written. "
        "Write it again, or remove them"
    )
