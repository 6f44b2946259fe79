"""Memory that one training step frees and the next one takes again."""

import contextlib
import ctypes
from collections.abc import Iterator

from unroll.serving.engine.memory import give_back

_libc = ctypes.CDLL(None)
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # of GNU's mallopt
_LARGE = 32 << 20  # bytes, the most that it takes
_MANY = 1 << 16  # as it has it by itself
_KEPT = 1 << 30  # bytes


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Has the C library keep what is freed.

    By itself it maps each large array anew, and the system clears all its pages: of batches that differ in length, as
    texts do, that is up to a third of a step. What was kept is given back in the end.
    """
    with contextlib.suppress(AttributeError):  # another C library than GNU's
        _libc.mallopt(_MMAP_MAX, 0)
        _libc.mallopt(_TRIM_THRESHOLD, _KEPT)
    try:
        yield
    finally:
        with contextlib.suppress(AttributeError):
            _libc.mallopt(_MMAP_MAX, _MANY)
            _libc.mallopt(_MMAP_THRESHOLD, _LARGE)
        give_back()
