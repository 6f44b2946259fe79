"""No process outlives the one that started it."""

import ctypes
import signal

_PARENT_DEATH_SIGNAL = 1  # of prctl


def end_with_parent() -> None:
    """Has the system (Linux alone) send this process a SIGTERM when the one that started it ends, be it by a kill."""
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
