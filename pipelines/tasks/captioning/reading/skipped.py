"""Pictures that are left out, why, and where they may lie instead."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_MAX_LISTED = 1000
_MAX_NAMED = 3
MISSING = "does not exist"
URL = "is a URL"
_URL = re.compile(r"(^|/)(https?|s3|gs|ftp|hdfs):/")
_PLURALS = {"does": "do", "is": "are", "has": "have", "holds": "hold", "leads": "lead"}
_KIND = re.compile(r"are an? ([^,]+)")
_SAMPLE = 100  # missing pictures that are looked for
_MAX_FOLDERS = 1000


def why_missing(picture: Path) -> str:
    """The reason why there is no such file."""
    return URL if _URL.search(picture.as_posix()) else MISSING


def counted(count: int, reason: str) -> str:
    """How many pictures are left out for a reason.

    Example:
        >>> counted(1, "is empty"), counted(2, "is a GIF, not JPEG or PNG"), counted(3, "does not exist")
        ('1 is empty', '2 are GIFs, not JPEG or PNG', '3 do not exist')
    """
    first, _, rest = reason.partition(" ")
    if count != 1 and first in _PLURALS:
        reason = _KIND.sub(r"are \1s", f"{_PLURALS[first]} {rest}")
    return f"{count:,} {reason}"


class Skipped:
    """Pictures that are left out, and why.

    Attributes:
        counts: pictures by reason, without the particulars of each.
        named: the sources of the first three by reason.
        listed: (source, reason) of the first 1000.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.named: dict[str, list[str]] = {}
        self.listed: list[tuple[str, str]] = []

    def add(self, source: str, reason: str) -> None:
        kind = reason.partition(" (")[0]
        self.counts[kind] += 1
        if len(named := self.named.setdefault(kind, [])) < _MAX_NAMED:
            named.append(source)
        if len(self.listed) < _MAX_LISTED:
            self.listed.append((source, reason))

    def write(self, file: Path) -> None:
        """The list, as CSV."""
        with file.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("source", "reason"), *self.listed])

    def remedy(self) -> str:
        """What to do where no picture can be read."""
        if self.counts.keys() == {URL}:
            return "Download the pictures, and name their files in the column"
        missing = [Path(source) for source, reason in self.listed if reason == MISSING][:_SAMPLE]
        return _folder_with(missing) or _REMEDY

    def __str__(self) -> str:
        return ", ".join(counted(count, reason) for reason, count in self.counts.most_common()) or "none"


_REMEDY = (
    "Name the column of bytes or paths with data.image, and the folder that paths start from with data.images; save "
    "pictures of other kinds as JPEG or PNG"
)


def _folder_with(missing: list[Path]) -> str:
    """How to name the folder, in or beside that of missing pictures, which holds the most of them."""
    holds = {folder: sum((folder / one.name).is_file() for one in missing) for folder in _near(missing)}
    most = max(holds.values(), default=0)
    if not most:
        return ""
    best = [folder for folder, count in holds.items() if count == most]
    count = "it" if len(missing) == 1 else "them all" if most == len(missing) else f"{most} of {len(missing)}"
    if len(best) == 1:
        return f"{best[0]} holds {count}: --set data.images={best[0]}"
    listed = ", ".join(map(str, best[:_MAX_NAMED])) + ", ..." * (len(best) > _MAX_NAMED)
    return f"{listed} each hold {count}; name the right one: --set data.images={best[0]}"


def _near(missing: list[Path]) -> Iterator[Path]:
    """Folders in that of missing pictures and, as COCO's archives unpack, beside it."""
    base = next((one.parent for one in missing if one.parent.is_dir()), None)
    if base is None:
        return
    above = base.parent if base.name not in ("", "..") else base / ".."
    for folder in dict.fromkeys((base, above)):
        try:
            inner = sorted(one for one in folder.iterdir() if one.is_dir() and one.resolve() != base.resolve())
        except OSError:  # not to be listed
            continue
        yield from inner[:_MAX_FOLDERS]
