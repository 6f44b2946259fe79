"""The workspace's own registry is read and written without MLflow, as MLflow would."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.conftest import ROOT
from unroll.pipelines.training.tracking import Tracking
from unroll.pipelines.training.tracking.mlflow_registry import MlflowRegistry
from unroll.pipelines.training.tracking.sqlite_registry import SqliteRegistry
from unroll.workspace import Workspace


def _client(home: Path) -> MlflowClient:
    uri = Workspace(home).tracking_uri
    return MlflowClient(uri, registry_uri=uri)  # else it is the one that was opened last in this process


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which MLflow has registered models of all kinds."""
    home: Path = tmp_path_factory.mktemp("registry")
    Tracking(Workspace(home), create=True)
    client = _client(home)
    (home / "saved_model").mkdir()
    (home / "saved_model" / "saved_model.pb").write_bytes(b"")
    for name in ("second", "first"):
        client.create_registered_model(name, {"owner": name}, "described")
        for number in range(3):
            source = (home / "saved_model").as_uri()
            client.create_model_version(name, source, tags={"unroll.task": "topics", "number": str(number)})
    client.create_registered_model("empty")
    client.delete_model_version("first", "2")
    client.register_prompt("words", "Say {{word}}.")
    for alias, version in (("champion", "1"), ("newest", "3"), ("third", "3")):
        client.set_registered_model_alias("first", alias, version)
    return home


@pytest.fixture
def client(home: Path) -> MlflowClient:
    return _client(home)


@pytest.fixture
def sqlite(home: Path) -> SqliteRegistry:
    """Which is found, so that the revision is the one of the MLflow that is installed."""
    found = SqliteRegistry.open(home / "mlflow.db")
    assert found is not None
    return found


def test_it_reads_what_mlflow_reads(sqlite: SqliteRegistry, client: MlflowClient) -> None:
    mlflow = MlflowRegistry(client)
    said, known = (
        {
            model.name: ({alias: int(version) for alias, version in model.aliases.items()}, dict(model.tags))
            for model in registry.models()
        }
        for registry in (sqlite, mlflow)
    )
    assert said == known
    assert list(said) == ["empty", "first", "second"]
    for name in said:
        read, expected = (
            [(int(one.version), one.run_id or "", dict(one.tags)) for one in registry.versions(name)]
            for registry in (sqlite, mlflow)
        )
        assert read == sorted(expected, reverse=True, key=lambda version: version[0])
        for version, *_ in read:
            assert sqlite.files(name, version) == mlflow.files(name, version)
    assert [one.version for one in sqlite.versions("first")] == [3, 1]


def test_mlflow_reads_what_it_writes(sqlite: SqliteRegistry, client: MlflowClient) -> None:
    for version in (2, 3):
        sqlite.point("second", "champion", version, {"unroll.previous.champion": str(version - 1), "new": "é"})
        assert client.get_model_version_by_alias("second", "champion").version == version
        tags = client.get_registered_model("second").tags
        assert tags == {"owner": "second", "unroll.previous.champion": str(version - 1), "new": "é"}
    client.set_registered_model_alias("second", "champion", "1")
    assert {model.name: model.aliases for model in sqlite.models()}["second"] == {"champion": 1}


def test_tables_that_are_not_known_are_left_to_mlflow(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("This is not a database, however long it is. " * 100)
    assert SqliteRegistry.open(tmp_path / "text.db") is None
    with sqlite3.connect(tmp_path / "other.db") as other:
        assert SqliteRegistry.open(tmp_path / "other.db") is None
        other.execute("CREATE TABLE alembic_version (version_num)")
        other.execute("INSERT INTO alembic_version VALUES ('0123456789ab')")
    assert SqliteRegistry.open(tmp_path / "other.db") is None


def test_commands_on_the_workspaces_own_registry_load_no_mlflow(home: Path) -> None:
    code = f"""
import contextlib, io, json, sys
from unroll.cli import main
said = []
for command in ("promote first 1", "promote first 3", "rollback first", "models"):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main([*command.split(), "--home", {str(home)!r}, "--json"])
    said.append(json.loads(out.getvalue()))
heavy = {{"mlflow", "sqlalchemy", "tensorflow", "keras", "pandas"}} & set(sys.modules)
print(json.dumps([said, sorted(heavy)]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, heavy = json.loads(done.stdout)
    assert heavy == []
    assert [one["version"] for one in said[:3]] == [1, 3, 1]
    listed = {(one["name"], one["version"]): one["aliases"] for one in said[3]}
    assert listed["first", 1] == ["champion"]
    assert listed["first", 3] == ["newest", "third"]
    assert Tracking(Workspace(home)).history("first") == []
