"""Pictures' files by the paths that another computer wrote."""

import os
import unicodedata
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath


class PicturePaths:
    """Finds the files that a table names.

    A name is taken as it is where there is such a file. Else it may be Windows' (`img\\a.jpg`), may begin with folders
    of another computer (`C:\\data\\img\\a.jpg`, `/home/ana/img/a.jpg`: as much of its end as lies in the folder
    counts), and may differ from the file's in capitals or in how Unicode composes its letters, as no other file's does.

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

    def find(self, text: str) -> Path:
        """The file that a path names; where there is none, the path as it is written, from the folder on."""
        path = self.folder / text
        if os.path.lexists(path):
            return path
        tails = _tails(PureWindowsPath(text) if "\\" in text else PurePosixPath(text))
        for parts in tails:
            if os.path.lexists(found := self.folder.joinpath(*parts)):
                return found
        return next((alike for parts in tails if (alike := self._spelt_otherwise(parts))), path)

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


def _tails(path: PurePath) -> list[tuple[str, ...]]:
    """The ends of an absolute path, the longest first; a relative path whole."""
    parts = path.parts[1:] if path.anchor else path.parts
    if ".." in parts:
        return []
    return [parts[start:] for start in range(len(parts) if path.anchor else min(1, len(parts)))]


def _spelling(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
