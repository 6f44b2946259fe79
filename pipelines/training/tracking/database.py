"""MLflow's database, where it is a file."""

import fcntl
import sqlite3
from contextlib import closing
from pathlib import Path

from unroll.errors import UserError
from unroll.pipelines.training.tracking.quiet import import_mlflow

_SQLITE = "sqlite:///"


def database_file(tracking_uri: str) -> Path | None:
    """The file of a tracking URI; None for one that names something else.

    Example:
        >>> database_file("sqlite:////data/mlflow.db")
        PosixPath('/data/mlflow.db')
    """
    return Path(tracking_uri.removeprefix(_SQLITE)) if tracking_uri.startswith(_SQLITE) else None


def ensure_database(database: Path, artifacts: str) -> None:
    """Makes the database where there is none.

    MLflow makes it in a hundred steps, which two commands cannot take at once, nor a second one finish, and which take
    ten seconds where each waits for a slow disk. So one makes it in memory and writes it under another name while the
    others wait, and it appears whole.

    Args:
        database: the file.
        artifacts: URI of what belongs to no experiment.

    Raises:
        UserError: something else is in its place.
    """
    if _is_there(database):
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f".{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_there(database):
            return
        import_mlflow()
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        aside = database.with_name(f".{database.name}.new").absolute()
        for leftover in aside.parent.glob(f"{aside.name}*"):  # of a command that was killed
            leftover.unlink()
        engine = SqlAlchemyStore("sqlite://", artifacts).engine
        with closing(engine.raw_connection()) as pooled, closing(sqlite3.connect(aside)) as written:
            made: sqlite3.Connection = pooled.driver_connection  # type: ignore[assignment]
            made.backup(written)
        engine.dispose()
        aside.rename(database)


def _is_there(database: Path) -> bool:
    if database.exists() and not database.is_file():
        raise UserError(
            f"{database}: is not a file, and MLflow's database belongs there. Move it, or name another --home"
        )
    return database.exists()
