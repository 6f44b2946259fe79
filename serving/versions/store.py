"""The store of model versions, `<root>/<model>/<version>/`, from which servers serve the highest."""

import contextlib
import fcntl
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from unroll.errors import UserError
from unroll.serving.engine.load_error import LoadError
from unroll.serving.files import regular_files

SIGNATURE = "model.sig"  # in a version's directory; see `unroll.serving.versions.verification`
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")  # no dot: the model registry refuses it
_HIGHEST = 2**63 - 1  # a version is an int64 in every message
_INCOMING = ".incoming-"
_WITHDRAWN = ".withdrawn"  # no model has a dot in its name
_IDENTITY = ("saved_model.pb", "fingerprint.pb", "assets.extra/unroll.json")  # differ from model to model


@dataclass(frozen=True)
class Served:
    """What `Store.serve` did.

    Args:
        path: the directory of the version that is served from now on.
        withdrawn: where the versions above it are now, by number.
    """

    path: Path
    withdrawn: Mapping[int, Path]


class Store:
    """Model versions on disk, in the layout that TensorFlow Serving watches.

    A version appears by rename, whole, and is never changed afterwards, nor deleted: one that is withdrawn is moved to
    `<root>/.withdrawn/<model>/`. Writers take turns through a lock file; readers need none. A version's number is its
    directory's name read as a number, as in TensorFlow Serving: `00123` is 123.

    Args:
        root: the store's directory. Created by the first `put`.

    Example:
        >>> store = Store(Path("workspace/store"))
        >>> store.put("sentiment", 1, Path("exported"))  # doctest: +SKIP
        PosixPath('workspace/store/sentiment/1')
        >>> store.versions("sentiment")  # doctest: +SKIP
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
            UserError: a bad name, a source that is not a SavedModel, or a version that is there already.
        """
        _check_saved_model(source)
        with self._writing():
            return self._put(name, version, source)

    def serve(
        self,
        name: str,
        version: int,
        source: Path,
        *,
        unsigned: bool = False,
        verify: Callable[[Path], None] | None = None,
    ) -> Served:
        """Makes `version` the highest of a model in the store, and so the one that servers serve.

        Puts it unless it is there, or brings it back as it was withdrawn, with its signature; then withdraws the higher
        ones, so that there is a version to serve at every moment.

        Args:
            name: the model.
            version: its number.
            source: its SavedModel directory, which is copied if the store does not have the version.
            unsigned: whether an unsigned version may replace a signed one.
            verify: as `LoadParameters.verify`: what servers ask of a version. None: not known.

        Returns:
            Where the version is, and what was withdrawn.

        Raises:
            UserError: a bad name, a source that is not a SavedModel, another model under that number, or a version that
                servers would refuse. Nothing is changed.
        """
        _check_saved_model(source)
        with self._writing():
            directories = self._directories(name)
            higher = {one: directories[one] for one in sorted(directories) if one > version}
            path = directories.get(version)
            if path and not _same_model(path, source):
                raise UserError(
                    f"{path} and {source} are different models under one number. Serve from another --home, or "
                    f"move {path} elsewhere. Nothing was changed."
                )
            kept = None if path else self._withdrawn(name, version, source)
            _check_signature(path or kept or source, higher.values(), unsigned, verify)
            if kept:
                path = self._move(kept, self.root / name / str(version))
            elif not path:
                path = self._put(name, version, source)
            return Served(path, {one: self._withdraw(name, one, higher[one]) for one in higher})

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
        destination = self.root / name / str(version)
        incoming = Path(tempfile.mkdtemp(prefix=_INCOMING, dir=self.root))
        try:
            copy = incoming / str(version)
            try:
                shutil.copytree(source, copy)
            except shutil.Error as error:  # of several files, which are of no errno
                file, _, reason = error.args[0][0]
                raise UserError(f"{file}: cannot be copied to {self.root}: {reason}. Nothing was changed.") from None
            for folder, _, files in os.walk(copy):
                for path in [*(os.path.join(folder, file) for file in files), folder]:
                    _fsync(path)
            return self._move(copy, destination)
        finally:
            shutil.rmtree(incoming)

    def _withdraw(self, name: str, version: int, directory: Path) -> Path:
        folder = self.root / _WITHDRAWN / name
        names = itertools.chain([f"{version}"], (f"{version}.{number}" for number in itertools.count(1)))
        return self._move(directory, next(folder / name for name in names if not (folder / name).exists()))

    def _withdrawn(self, name: str, version: int, source: Path) -> Path | None:
        """Where a version is that was withdrawn, if it is the same model as `source`."""
        folder = self.root / _WITHDRAWN / name
        places = [folder / str(version), *sorted(folder.glob(f"{version}.*"))]
        same = [place for place in places if place.is_dir() and _same_model(place, source)]
        return max(same, key=_is_signed, default=None)

    def _move(self, directory: Path, destination: Path) -> Path:
        destination.parent.mkdir(parents=True, exist_ok=True)
        directory.rename(destination)
        _fsync(directory.parent)
        _fsync(destination.parent)
        return destination

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


def _is_signed(directory: Path) -> bool:
    return (directory / SIGNATURE).is_file()


def _check_signature(
    directory: Path, replaced: Collection[Path], unsigned: bool, verify: Callable[[Path], None] | None
) -> None:
    """Returns if servers may be expected to load a version.

    Raises:
        UserError: one that asks for signatures would refuse it, and had those to serve that it replaces.
    """
    from unroll.serving.versions.verification import (  # which take more than most who use a store have
        check_unaltered,
        how_to_sign,
    )

    if not verify and not _is_signed(directory):
        signed = [one for one in replaced if _is_signed(one)]
        if signed and not unsigned:
            raise UserError(
                f"{directory}: is not signed, though {signed[-1]} is, which it would replace: a server that asks for "
                f"signatures would refuse it. Sign it: {how_to_sign(directory)}; or allow it with --unsigned. Nothing "
                "was changed."
            )
        return
    try:
        (verify or check_unaltered)(directory)
    except LoadError as error:
        raise UserError(
            f"{directory}: servers would refuse it ({error}). {error.remedy}. Nothing was changed."
        ) from None


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
