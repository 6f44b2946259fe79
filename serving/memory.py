"""Memory that the process holds though nothing is in it, or nobody reads it any more."""

import contextlib
import ctypes
import re
from pathlib import Path

_libc = ctypes.CDLL(None)
_DONTNEED = 4  # MADV_DONTNEED of Linux
_MAPPINGS = Path("/proc/self/smaps")
_UNWRITTEN = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) r-[-x]p [0-9a-f]+ \S+ [1-9]\d* +(/.*)\n(?:[A-Z]\w+: .*\n)*?Anonymous: +0 kB$",
    re.MULTILINE,
)
"""A mapping of a file: readable, not writable, private, without a page that was ever written to."""


def give_back() -> None:
    """Has the C library give freed memory back to the system, as far as whole pages of it are free.

    It keeps what was freed for later use: behind a loaded model that is a fifth of what the model takes, behind an
    unloaded one most of it.
    """
    with contextlib.suppress(AttributeError):  # another C library than GNU's
        _libc.malloc_trim(0)


def forget(folder: Path) -> None:
    """Lets go of the pages of libraries in a folder; those that are used again come back from the system's file cache.

    To load a large library reads its tables of symbols and what sets it up, scattered over all of it and never looked
    at again. Only what was mapped from a file and never written to is touched.
    """
    try:
        mappings = _UNWRITTEN.findall(_MAPPINGS.read_text())
    except OSError:  # another system
        return
    for start, end, file in mappings:
        if Path(file).parent == folder:
            begin = int(start, 16)
            _libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(int(end, 16) - begin), _DONTNEED)
