"""Pictures' files by the paths that another computer wrote."""

import os
import unicodedata
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from unroll.errors import UserError


class PicturePaths:
    """Finds the files that a table names.

    A name is taken as it is where there is such a file. Else it may be Windows' (`img\\a.jpg`), may begin with folders
    of another computer (`C:\\data\\img\\a.jpg`, `/home/ana/img/a.jpg`: as much of its end as lies in the folder
    counts) or with the folder's own name, and may differ from the file's in capitals or in how Unicode composes its
    letters, as no other file's does.

    Args:
        folder: where paths start from.

    Example:
        >>> folder = Path("photos")
        >>> folder.mkdir()
        >>> (folder / "a.JPG").touch()
        >>> PicturePaths(folder).find(r"C:\\photos\\a.jpg")
        PosixPath('photos/a.JPG')
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._names: dict[Path, dict[str, list[str]]] = {}
        self._claims: dict[Path, tuple[str, ...]] = {}

    def find(self, text: str) -> Path:
        """The file that a path names; where there is none, the path as it is written, from the folder on.

        Raises:
            UserError: paths that differ in their folders have led to one file.
        """
        path = self.folder / text
        if os.path.lexists(path):
            return path
        written = PureWindowsPath(text) if "\\" in text else PurePosixPath(text)
        for parts in (tails := self._tails(written)):
            if os.path.lexists(found := self.folder.joinpath(*parts)):
                return self._claimed(found, written)
        alike = next((alike for parts in tails if (alike := self._spelt_otherwise(parts))), None)
        return path if alike is None else self._claimed(alike, written)

    def _claimed(self, found: Path, written: PurePath) -> Path:
        """A file for a path, unless it is another path's."""
        parts = tuple(map(_spelling, _below_anchor(written)))
        before = self._claims.setdefault(found, parts)
        shared = min(len(parts), len(before))
        if parts[-shared:] != before[-shared:]:
            raise UserError(
                f"{found}: two paths of the data lead there, which end in {'/'.join(before)} and {'/'.join(parts)}. "
                "Name the folder that holds both with data.images"
            )
        return found

    def _tails(self, path: PurePath) -> list[tuple[str, ...]]:
        """The ends of a path that may lie in the folder, the longest first."""
        parts = _below_anchor(path)
        if ".." in parts or not parts:
            return []
        if path.anchor:
            return [parts[start:] for start in range(len(parts))]
        own = self.folder.absolute().parts
        return [parts, *(parts[end:] for end in range(1, len(parts)) if own[-end:] == parts[:end])]

    def _spelt_otherwise(self, parts: tuple[str, ...]) -> Path | None:
        path = self.folder
        for part in parts:
            if not os.path.lexists(path / part):
                alike = self._listed(path).get(_spelling(part), [])
                if len(alike) != 1:
                    return None
                (part,) = alike
            path /= part
        return path

    def _listed(self, folder: Path) -> dict[str, list[str]]:
        """Names in a folder, by what is alike in them."""
        if folder not in self._names:
            self._names[folder] = {}
            try:
                for name in os.listdir(folder):
                    self._names[folder].setdefault(_spelling(name), []).append(name)
            except OSError:  # not a folder, or not to be listed
                pass
        return self._names[folder]


def _below_anchor(path: PurePath) -> tuple[str, ...]:
    return path.parts[1:] if path.anchor else path.parts


def _spelling(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
