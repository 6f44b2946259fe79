"""Loads TensorFlow without the notices that its libraries write while they are loaded."""

import contextlib
import os
import sys
from collections.abc import Iterator


def import_tensorflow() -> None:
    """Imports tensorflow, quietly."""
    if "tensorflow" not in sys.modules:
        with silenced():
            import tensorflow  # noqa: F401


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Closes the process's standard error for the duration.

    TensorFlow's C++ libraries report missing GPUs and the like before they read any setting. What TensorFlow has
    to say later is kept, from errors up, unless `$TF_CPP_MIN_LOG_LEVEL` says otherwise.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    terminal_shown = sys.stderr.isatty()
    if terminal_shown:  # it takes seconds
        sys.stderr.write("Loading TensorFlow ...")
    sys.stderr.flush()
    terminal = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)
        if terminal_shown:
            sys.stderr.write("\r\033[K")
