"""Several commands that start in a workspace of which nothing is there yet."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from unroll.errors import UserError
from unroll.pipelines.training.tracking.database import database_file, ensure_database

COMMANDS = """
import os
import sys
from pathlib import Path
import mlflow.store.tracking.sqlalchemy_store  # what all of them need, once
from unroll.pipelines.training.tracking import Tracking
from unroll.workspace import Workspace

def command():
    tracking = Tracking(Workspace(Path(sys.argv[1])), create=True)
    with tracking.run("m"):
        assert tracking.versions() == []

started = []
for _ in range(4):
    started.append(os.fork())
    if not started[-1]:
        command()
        os._exit(0)
assert [os.waitpid(one, 0)[1] for one in started] == [0, 0, 0, 0]
"""


def test_commands_that_start_at_once_share_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".mlflow.db.new").write_text("left by a command that was killed")
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, str(tmp_path / "home")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "home" / "mlflow.db") as database:
        rows = database.execute("select name, artifact_location from experiments order by experiment_id").fetchall()
        runs = database.execute("select count(*) from runs where status = 'FINISHED'").fetchone()
    assert rows == [("Default", "mlflow-artifacts:/0"), ("m", "mlflow-artifacts:/m")], "no folder of this machine"
    assert runs == (4,)
    assert sorted(one.name for one in (tmp_path / "home").iterdir()) == [".mlflow.db.lock", "mlflow.db"]
    assert [one.name for one in tmp_path.iterdir()] == ["home"]


def test_a_folder_in_the_databases_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(UserError, match=r"mlflow\.db: is not a file.* Move it"):
        ensure_database(tmp_path / "mlflow.db", "mlflow-artifacts:/")


def test_the_database_of_a_server_is_its_own() -> None:
    assert database_file("http://127.0.0.1:5000") is None
    assert database_file("sqlite:///data/mlflow.db") == Path("data/mlflow.db")
