"""The registry in MLflow's SQLite database, read and written without MLflow.

To import MLflow and to open a database with it takes four seconds of a core, where `unroll promote` and `unroll models`
need a handful of rows. The tables are MLflow's own affair: they are used only in the revision that is known here.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

REVISION = "dc11669786a5"
"""Alembic's, of the tables of MLflow 3.17."""
_PROMPT = "mlflow.prompt.is_prompt"  # tag of what MLflow keeps among the models and is not a model
_TIMEOUT = 60  # seconds to wait for others who write


@dataclass(frozen=True)
class Model:
    """A registered model, as `mlflow.MlflowClient` gives it."""

    name: str
    aliases: Mapping[str, int]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model, likewise."""

    name: str
    version: int
    run_id: str | None
    tags: Mapping[str, str]


class SqliteRegistry:
    """The registered models of a database.

    Args:
        database: the file, with tables of the revision that is known here; see `open`.
    """

    def __init__(self, database: Path) -> None:
        self._database = database

    @classmethod
    def open(cls, database: Path) -> "SqliteRegistry | None":
        """The registry of a database, or None where only MLflow itself knows how to read it."""
        registry = cls(database)
        try:
            with registry._transaction() as rows:
                revisions = rows.execute("SELECT version_num FROM alembic_version").fetchall()
        except sqlite3.DatabaseError:
            return None
        return registry if revisions == [(REVISION,)] else None

    def models(self) -> list[Model]:
        """All registered models, by name."""
        with self._transaction() as rows:
            names = rows.execute("SELECT name FROM registered_models WHERE workspace = 'default' ORDER BY name")
            found = [
                Model(
                    name,
                    dict(rows.execute("SELECT alias, version FROM registered_model_aliases WHERE name = ?", [name])),
                    dict(rows.execute("SELECT key, value FROM registered_model_tags WHERE name = ?", [name])),
                )
                for (name,) in names.fetchall()
            ]
        return [model for model in found if model.tags.get(_PROMPT, "").lower() != "true"]

    def versions(self, name: str) -> list[ModelVersion]:
        """The versions of a model, the newest first."""
        with self._transaction() as rows:
            known = rows.execute(
                "SELECT version, run_id FROM model_versions WHERE workspace = 'default' AND name = ?"
                " AND current_stage != 'Deleted_Internal' ORDER BY version DESC",
                [name],
            ).fetchall()
            tags: dict[int, dict[str, str]] = {version: {} for version, _ in known}
            for version, key, value in rows.execute(
                "SELECT version, key, value FROM model_version_tags WHERE name = ?", [name]
            ):
                tags.get(version, {})[key] = value
        return [ModelVersion(name, version, run_id, tags[version]) for version, run_id in known]

    def files(self, name: str, version: int) -> str:
        """The URI of a version's files."""
        with self._transaction() as rows:
            ((uri,),) = rows.execute(
                "SELECT coalesce(nullif(storage_location, ''), source) FROM model_versions"
                " WHERE workspace = 'default' AND name = ? AND version = ?",
                [name, version],
            )
            if uri.startswith("models:/"):
                model = uri.removeprefix("models:/")
                ((uri,),) = rows.execute("SELECT artifact_location FROM logged_models WHERE model_id = ?", [model])
        return uri

    def point(self, name: str, alias: str, version: int, tags: Mapping[str, str]) -> None:
        """Moves an alias to a version, and sets tags of the model, both or neither."""
        with self._transaction() as rows:
            rows.execute(
                "INSERT INTO registered_model_aliases (workspace, name, alias, version) VALUES ('default', ?, ?, ?)"
                " ON CONFLICT (workspace, name, alias) DO UPDATE SET version = excluded.version",
                [name, alias, version],
            )
            rows.executemany(
                "INSERT INTO registered_model_tags (workspace, name, key, value) VALUES ('default', ?, ?, ?)"
                " ON CONFLICT (workspace, name, key) DO UPDATE SET value = excluded.value",
                [(name, key, value) for key, value in tags.items()],
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction, which sees one state of the database, and changes all or nothing."""
        address = f"{self._database.absolute().as_uri()}?mode=rw"  # or "ro", where it cannot be written to
        with closing(sqlite3.connect(address, uri=True, timeout=_TIMEOUT, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            with connection:
                yield connection
