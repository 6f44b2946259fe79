"""The store of model versions, `<root>/<model>/<version>/`, from which servers serve the highest."""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from errors import UserError
from serving import regular_files

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")  # no dot: the model registry refuses it
_HIGHEST = 2**63 - 1  # a version is an int64 in every message
_INCOMING = ".incoming-"
_IDENTITY = ("saved_model.pb", "fingerprint.pb", "assets.extra/unroll.json")  # differ from model to model


class Store:
    """Model versions on disk, in the layout that TensorFlow Serving watches.

    A version appears by rename, whole, and is never changed afterwards. Writers take turns through a
    lock file; readers need none. A version's number is its directory's name read as a number, as in
    TensorFlow Serving: `00123` is 123.

    Args:
        root: the store's directory. Created by the first `put`.

    Example:
        >>> store = Store(Path("workspace/store"))
        >>> store.put("sentiment", 1, Path("exported"))
        PosixPath('workspace/store/sentiment/1')
        >>> store.versions("sentiment")
        [1]
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def models(self) -> list[str]:
        """Names of the models that have at least one version, sorted."""
        if not self.root.is_dir():
            return []
        names = [entry.name for entry in self.root.iterdir() if _NAME.fullmatch(entry.name)]
        return sorted(name for name in names if self.versions(name))

    def versions(self, name: str) -> list[int]:
        """Version numbers of a model, ascending. Empty for a model that the store does not hold."""
        return sorted(self._directories(name))

    def path(self, name: str, version: int) -> Path:
        """Directory of a version.

        Raises:
            UserError: the store does not hold it.
        """
        directories = self._directories(name)
        if version not in directories:
            held = ", ".join(map(str, sorted(directories))) or "none"
            raise UserError(f"{self.root}: no version {version} of {name!r}. Versions there: {held}.")
        return directories[version]

    def put(self, name: str, version: int, source: Path) -> Path:
        """Copies a SavedModel into the store. Servers see it whole or not at all.

        Args:
            name: the model: letters, digits, `_` and `-`.
            version: a number that the store does not hold yet.
            source: a SavedModel directory. It is left as it is.

        Returns:
            The version's directory.

        Raises:
            UserError: a bad name, a source that is no SavedModel, or a version that is there already.
        """
        _check_saved_model(source)
        with self._writing():
            return self._put(name, version, source)

    def serve(self, name: str, version: int, source: Path) -> Path:
        """Makes `version` the highest of a model in the store, and so the one that servers serve.

        Puts it unless it is there, then withdraws the higher ones, so that there is a version to serve
        at every moment.

        Args:
            name: the model.
            version: its number.
            source: its SavedModel directory, which is copied if the version is not there.

        Returns:
            The version's directory.

        Raises:
            UserError: a bad name, a source that is no SavedModel, or another model under that number.
                Nothing is changed.
        """
        _check_saved_model(source)
        with self._writing():
            directories = self._directories(name)
            path = directories.get(version)
            if path is None:
                path = self._put(name, version, source)
            elif not _same_model(path, source):
                raise UserError(
                    f"{path} and {source} are different models under one number. Serve from another --home, or "
                    f"remove {path}. Nothing was changed."
                )
            for higher in sorted(directories):
                if higher > version:
                    self._remove(directories[higher])
            return path

    def _directories(self, name: str) -> dict[int, Path]:
        try:
            return version_directories(self.root / _checked(name))
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def _put(self, name: str, version: int, source: Path) -> Path:
        if version < 1:
            raise UserError(f"Version must be 1 or more. Received: version={version}")
        if version in self._directories(name):
            raise UserError(
                f"{self.root}: version {version} of {name!r} is there already, and versions never change. "
                "Export under the next number."
            )
        destination = self.root / _checked(name) / str(version)
        destination.parent.mkdir(parents=True, exist_ok=True)
        incoming = Path(tempfile.mkdtemp(prefix=_INCOMING, dir=self.root))
        copy = incoming / str(version)
        shutil.copytree(source, copy)
        for folder, _, files in os.walk(copy):
            for path in [*(os.path.join(folder, file) for file in files), folder]:
                _fsync(path)
        copy.rename(destination)
        _fsync(destination.parent)
        incoming.rmdir()
        return destination

    def _remove(self, directory: Path) -> None:
        outgoing = Path(tempfile.mkdtemp(prefix=_INCOMING, dir=self.root))
        directory.rename(outgoing / directory.name)
        _fsync(directory.parent)
        shutil.rmtree(outgoing)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with open(self.root / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Under the lock, whatever is half-way was left by a writer that died.
            for leftover in self.root.glob(f"{_INCOMING}*"):
                shutil.rmtree(leftover)
            yield


def version_directories(base_path: Path) -> dict[int, Path]:
    """Directory of each version of a model: the folders whose names are whole numbers.

    Raises:
        OSError: `base_path` cannot be listed.
    """
    numbered = [entry for entry in base_path.iterdir() if entry.name.isascii() and entry.name.isdecimal()]
    directories = {int(entry.name): entry for entry in sorted(numbered) if entry.is_dir()}
    return {version: path for version, path in directories.items() if version <= _HIGHEST}


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UserError(
            "A model's name is letters, digits, '_' and '-', at most 128, and starts with a letter or "
            f"digit. Received: name={name!r}"
        )
    return name


def _check_saved_model(source: Path) -> None:
    if not (source / "saved_model.pb").is_file():
        raise UserError(f"{source}: not a SavedModel (no saved_model.pb). Nothing was put in the store.")
    try:
        regular_files.check_tree(source)
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}. Remove it; nothing was put in the store.") from None


def _same_model(one: Path, other: Path) -> bool:
    return all(_content(one / file) == _content(other / file) for file in _IDENTITY)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _fsync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
