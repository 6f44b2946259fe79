"""Memory that the process holds though nothing is in it, or nobody reads it any more."""

import contextlib
import ctypes
import re
from pathlib import Path

from unroll.serving.engine.cores import cores

_libc = ctypes.CDLL(None)
_DONTNEED = 4  # MADV_DONTNEED of Linux
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -3, -4, -8
"""What GNU's mallopt sets."""
_LARGE = 8 << 20  # bytes of an array that is not a batch's but a model's
_KEPT = 512 << 20  # bytes that are kept between batches
_MAPPINGS = Path("/proc/self/smaps")
_UNWRITTEN = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) r-[-x]p [0-9a-f]+ \S+ [1-9]\d* +(/.*)\n(?:[A-Z]\w+: .*\n)*?Anonymous: +0 kB$",
    re.MULTILINE,
)
"""A mapping of a file: readable, not writable, private, without a page that was ever written to."""


def keep_between_batches() -> None:
    """Has the C library keep what a batch frees for the next one, and give large arrays back as soon as they are freed.

    By itself it would do so by the sizes that it happens to meet, and then ask the system again for each batch. And it
    would have eight arenas a core, of which threads that come and go with versions leave each in shreds.
    """
    with contextlib.suppress(AttributeError):  # another C library than GNU's
        _libc.mallopt(TRIM_THRESHOLD, _KEPT)
        _libc.mallopt(MMAP_THRESHOLD, _LARGE)
        _libc.mallopt(ARENA_MAX, max(2, cores()))


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
