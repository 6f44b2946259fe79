"""Where everything that a command writes is kept."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workspace:
    """The folders under one home directory. Nothing is created by naming them.

    Args:
        home: the directory; `$UNROLL_HOME`, else `./workspace`, when the command line names none.

    Raises:
        NotADirectoryError: there is a file in its place, or in that of a folder above it.

    Example:
        >>> Workspace(Path("workspace")).store
        PosixPath('workspace/store')
    """

    home: Path

    def __post_init__(self) -> None:
        nearest = next(path for path in (self.home, *self.home.absolute().parents) if path.exists())
        if not nearest.is_dir():
            problem = f"the workspace cannot be here: {nearest} is a file. Name another folder, or move it away."
            raise NotADirectoryError(errno.ENOTDIR, problem, str(self.home))

    @property
    def tracking_uri(self) -> str:
        """MLflow's tracking server or database: `$MLFLOW_TRACKING_URI`, else SQLite in the home."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.home.resolve() / 'mlflow.db'}"

    @property
    def store(self) -> Path:
        """`<model>/<version>/` SavedModels, as the model server reads them."""
        return self.home / "store"

    @property
    def exports(self) -> Path:
        """SavedModels that were not registered, `<model>/<run>/`."""
        return self.home / "exports"

    @property
    def requests(self) -> Path:
        """Sampled requests and responses, written by the model server and read by the monitor."""
        return self.home / "requests"

    @property
    def cache(self) -> Path:
        """Tokenised shards and checkpoints of unfinished runs; safe to delete."""
        return self.home / "cache"


@contextmanager
def written_atomically(file: Path) -> Iterator[Path]:
    """A path to write to; it takes the file's place when the block ends, also after a power cut, and not if it fails.

    Args:
        file: which readers see whole or not at all.

    Raises:
        OSError: the file cannot be written.

    Example:
        >>> with written_atomically(Path("answers.txt")) as aside:
        ...     written = aside.write_text("all of them")
        >>> Path("answers.txt").read_text()
        'all of them'
    """
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        yield aside
        with aside.open("rb") as stream:
            os.fsync(stream.fileno())
        aside.replace(file)
    finally:
        with suppress(OSError):
            aside.unlink()


def write_atomically(file: Path, content: bytes) -> None:
    """Writes a file that readers see whole or not at all, also after a power cut; nothing is left of a failed try.

    Raises:
        OSError: the file cannot be written.
    """
    with written_atomically(file) as aside:
        aside.write_bytes(content)
