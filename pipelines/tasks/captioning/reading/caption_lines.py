"""Lists of captions as Flickr8k and Flickr30k have them: a caption a line, its picture before it, nothing quoted.

1000268201.jpg#0<TAB>A child in a pink dress .          Flickr8k.token.txt, results_20130124.token

image_name| comment_number| comment                     results.csv
1000092795.jpg| 0| Two young guys with shaggy hair .
"""

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from unroll.errors import UserError
from unroll.pipelines.tasks.captioning.config import CaptionSection
from unroll.pipelines.tasks.captioning.reading.picture_paths import PicturePaths
from unroll.pipelines.tasks.captioning.reading.record import CaptionRecord

_HEAD_CHARACTERS = 1000


@dataclass(frozen=True)
class LineForm:
    """How a line holds picture and caption.

    Args:
        line: matches the groups `image` and `caption`.
        words: what a line looks like, for errors.
        header: matches the first line where that is one.
    """

    line: re.Pattern[str]
    words: str
    header: re.Pattern[str] | None = None


_TOKENS = LineForm(re.compile(r"(?P<image>[^\t]+\.[^\t]+)#\d+\s*\t(?P<caption>.*)"), "picture.jpg#0, a tab, a caption")
_BARS = LineForm(
    # in the file that goes around, one row of 158,916 lacks the second bar
    re.compile(r"(?P<image>[^|]+)\|\s*\d+\s*(?:\|\s*|\s{2,})(?P<caption>.*)"),
    "picture.jpg| 0| a caption",
    re.compile(r"\s*image_name\s*\|\s*comment_number\s*\|\s*comment\s*"),
)


def line_form(file: Path, encoding: str) -> LineForm | None:
    """The form of a list of captions, told by its first line; None of any other file.

    Args:
        file: text; a name ending in `.gz` is unpacked on the way.
        encoding: of it.
    """
    try:
        with _opened(file, encoding, "replace") as lines:
            first = lines.readline(_HEAD_CHARACTERS).removeprefix("\ufeff").rstrip("\r\n")
    except (OSError, EOFError, LookupError, UnicodeError):  # told when it is read
        return None
    if _BARS.header and _BARS.header.fullmatch(first):
        return _BARS
    return _TOKENS if _TOKENS.line.fullmatch(first) else None


def line_records(
    section: CaptionSection, file: Path, form: LineForm, paths: PicturePaths, optional: Sequence[str | None] = ()
) -> Iterator[CaptionRecord]:
    """Streams the records of a list of captions.

    Args:
        section: names no column: the list has none.
        file: the list.
        form: of its lines.
        paths: finds the pictures' files.
        optional: columns of tables that it may lack.

    Raises:
        UserError: a line of another form, or a file that cannot be read.
    """
    for key in ("split", "group", "cluster"):
        if (named := getattr(section, key)) and named not in optional:
            raise UserError(
                f"configuration key data.{key}: {file} is a list of captions ({form.words}) without other columns. "
                f"Received: {named!r}. Leave it out, or write the data as a table"
            )
    try:
        with _opened(file, section.encoding) as lines:
            for number, line in enumerate(lines, start=1):
                text = line.removeprefix("\ufeff").rstrip("\r\n")
                if not text.strip() or (number == 1 and form.header):
                    continue
                found = form.line.fullmatch(text)
                if not found:
                    raise UserError(f"{file}, line {number}: is not {form.words}. Received: {text[:60]!r}. Fix it")
                name = found["image"].strip()
                image = paths.find(name)
                written = "" if image == paths.folder / name else name
                yield CaptionRecord(image, [found["caption"]], None, "", "", str(image), paths.folder, written)
    except UnicodeError:
        raise UserError(
            f"{file}: is not {section.encoding} text. Name its encoding, as in --set data.encoding=latin-1, or "
            "convert it"
        ) from None
    except (OSError, EOFError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from None


def _opened(file: Path, encoding: str, errors: str = "strict") -> IO[str]:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding=encoding, errors=errors)
    return file.open(encoding=encoding, errors=errors)
