"""Memory that one training step frees and the next one takes again."""

import contextlib
import ctypes
from collections.abc import Iterator

from unroll.serving.engine.memory import MMAP_MAX, MMAP_THRESHOLD, TRIM_THRESHOLD, give_back

_libc = ctypes.CDLL(None)
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
        _libc.mallopt(MMAP_MAX, 0)
        _libc.mallopt(TRIM_THRESHOLD, _KEPT)
    try:
        yield
    finally:
        with contextlib.suppress(AttributeError):
            _libc.mallopt(MMAP_MAX, _MANY)
            _libc.mallopt(MMAP_THRESHOLD, _LARGE)
            _libc.mallopt(TRIM_THRESHOLD, 2 * _LARGE)  # as it would have it by now
        give_back()
