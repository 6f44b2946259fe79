"""Files that others may have put where we look: read only if they are regular ones, and where they seem to be.

To open a FIFO is to wait for whoever writes to it, a device may do anything, and in a folder that is shared a link can
lead to what whoever made it may not read.
"""

import contextlib
import errno
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import NoReturn

from unroll.errors import UserError

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: str | Path) -> BufferedReader:
    """Opens a file to read its bytes, if it is a regular one. Never waits.

    Raises:
        OSError: it cannot be opened, or is something else; `strerror` says what.

    Example:
        >>> with open_regular("/etc/hostname") as file:
        ...     content = file.read()
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if problem := _problem(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, problem, str(path))
    return os.fdopen(descriptor, "rb")


def read(path: str | Path) -> bytes:
    """What a regular file holds.

    Raises:
        OSError: as `open_regular`.
    """
    with open_regular(path) as file:
        return file.read()


def check_regular(path: str | Path) -> None:
    """Returns if a path leads to a regular file: for what is to be opened elsewhere.

    Raises:
        OSError: there is none, or it is something else; `strerror` says what.
    """
    if problem := _problem(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, problem, str(path))


def check_tree(folder: Path) -> None:
    """Returns if a folder holds, at any depth, nothing but folders and regular files, or links to them.

    Raises:
        OSError: it holds something else, or a folder that cannot be listed; `filename` says where and `strerror` what.
    """
    seen = set()
    for parent, folders, names in os.walk(folder, onerror=_fail, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()  # a link up the tree
        seen.add((status.st_dev, status.st_ino))
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # a link to nowhere makes nobody wait
                check_regular(os.path.join(parent, name))


def _fail(error: OSError) -> NoReturn:
    """For `os.walk`, which passes over folders that cannot be listed: files in them can be opened by name all the same.

    Raises:
        OSError: the error.
    """
    raise error


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a path below a folder leads out of it, by links or by `..`.

    A folder that was reached by a link is what the link leads to.

    Example:
        >>> leads_out(Path("/data/../etc/passwd"), Path("/data"))
        True
    """
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def check_inside(path: Path, folder: Path, option: str) -> None:
    """Returns if a file that was found in a folder is a regular one and lies there.

    Args:
        path: the file; a person named the folder, not it.
        folder: the folder.
        option: how messages name the path, as in `--data`.

    Raises:
        UserError: it is a link out of the folder, or no regular file.
    """
    if leads_out(path, folder):
        raise UserError(
            f"{option} {path}: leads out of {folder}, to {os.path.realpath(path)}. Put the file itself there, or name "
            f"it alone"
        )
    check_named(path, option)


def check_named(path: Path, option: str) -> None:
    """Returns if what a person named is a regular file, or a link to one.

    Raises:
        UserError: it is something else.
    """
    try:
        check_regular(path)
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be read ({error.strerror}). Name a regular file") from None


def check_writable(path: Path, option: str) -> None:
    """Returns if a file may be put there, before the work is done that it is to hold.

    Args:
        path: the file to write; its folder is not made, as a misspelt one would be.
        option: how messages name the path, as in `--html`.

    Raises:
        UserError: it is a folder, or its own is not there.
    """
    if path.is_dir():
        raise UserError(f"{option} {path}: is a folder. Name a file")
    if not path.parent.is_dir():
        raise UserError(f"{option} {path}: there is no folder {path.parent}. Make it, or name a file elsewhere")


def _problem(mode: int) -> str:
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFREG:
        return ""
    return "it is a folder" if kind == stat.S_IFDIR else f"it is {_KINDS.get(kind, 'something else')}, not a file"
