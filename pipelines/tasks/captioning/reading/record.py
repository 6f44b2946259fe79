"""A picture with captions, as a data file has it."""

import base64
import binascii
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from unroll.monitoring.tables.written_lists import written_list
from unroll.pipelines.tasks.captioning.reading.picture_paths import PicturePaths

_MIN_BASE64 = 64  # characters; no picture is smaller, and few paths hold only letters, digits and slashes
_DATA_URL = re.compile(r"^data:[\w/+.-]*;base64,")


@dataclass(frozen=True)
class CaptionRecord:
    """A picture with captions, of which other records may hold more.

    Args:
        image: the picture's bytes, or its file, which may be missing; None where the cell is empty.
        captions: as the data has them.
        split: the split that the data names; None where it names none.
        group: the group column's value, or empty.
        cluster: the cluster column's value, or empty: the picture is a cluster of its own.
        source: where a person finds the picture: its path, or data file and row.
        folder: where paths start from, and what they may not lead out of.
        written: the path as the data has it, where the file was found under another; see `PicturePaths`.
    """

    image: bytes | Path | None
    captions: list[str]
    split: str | None
    group: str
    cluster: str
    source: str
    folder: Path = field(default=Path(), compare=False)
    written: str = field(default="", compare=False)


def picture_of(cell: Any, paths: PicturePaths) -> bytes | Path | None:
    """A picture's bytes, or its file; None of an empty cell.

    Args:
        cell: bytes, base64, a path, or a dictionary of `bytes` and `path`.
        paths: finds the files.
    """
    if isinstance(cell, dict):  # of a datasets library that keeps bytes and path together
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, bytes):
        return cell or None
    text = "" if cell is None else str(cell).strip()
    digits = "".join(_DATA_URL.sub("", text).split())  # many encoders begin a new line every 76 characters
    if len(digits) >= _MIN_BASE64:
        try:
            return base64.b64decode(digits, validate=True)
        except binascii.Error:
            pass
    return paths.find(text) if text else None


def read_picture(cell: Any, folder: Path) -> bytes | None:
    """The picture of a DataFrame's cell; None of an empty one.

    Raises:
        OSError: its file cannot be read.
    """
    image = picture_of(str(cell) if isinstance(cell, PurePath) else cell, PicturePaths(folder))
    return image.read_bytes() if isinstance(image, Path) else image


def captions_of(cell: Any) -> list[str]:
    """The captions of a cell: none, one, or a list of them, perhaps written as text."""
    if cell is None:
        return []
    several = cell if isinstance(cell, list) else listed_captions(cell)
    return [str(cell)] if several is None else [str(one) for one in several if one is not None]


def listed_captions(cell: Any) -> list[Any] | None:
    """The captions of a list that is written as text, as pandas writes lists to CSV; None of other cells.

    Example:
        >>> listed_captions("['a dog', 'a brown dog']"), listed_captions("[1, 2]")
        (['a dog', 'a brown dog'], None)
    """
    parts = written_list(cell) if isinstance(cell, str) else None
    return parts if parts is not None and all(part is None or isinstance(part, str) for part in parts) else None
