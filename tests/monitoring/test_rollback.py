"""`unroll monitor report` after a version was withdrawn from the store."""

import json
import shutil
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unroll.errors import UserError
from unroll.monitoring.cli import app


@pytest.fixture(scope="module")
def home(tmp_path_factory, profile, write_version, log_writer, predict_log, source) -> Path:
    """Versions 1 to 3 answered requests, 3 the newest and 1 the oldest; only 1 and 2 are in the store."""
    home = tmp_path_factory.mktemp("home")
    now = time.time_ns()
    for version in (1, 2, 3):
        if version < 3:
            write_version(home / "store" / "topic" / str(version), profile)
        texts = source(30 + version)
        outputs = texts.outputs(40)
        writer = log_writer(home / "requests" / "topic", f"2026112{version}T010203.000000Z-1")
        for i, text in enumerate(texts.texts(40)):
            log = predict_log({"text": [text]}, {name: array[i : i + 1] for name, array in outputs.items()})
            writer.add(log, now - (4 - version) * 3600 * 10**9 + i, version, f"request-{version}-{i}")
        writer.close()
    return home


def run(*arguments):
    return CliRunner().invoke(app, ["report", "topic", *map(str, arguments)])


def test_the_default_is_the_version_asked_last_of_those_in_the_store(home):
    result = run("--home", home, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["version"], document["window"]["requests"]) == (2, 40)


def test_a_withdrawn_version_is_named_with_the_way_back(home):
    error = run("--home", home, "--version", 3).exception
    assert isinstance(error, UserError), error
    assert "no version 3 of 'topic'" in str(error)
    assert "Versions there: 1, 2." in str(error)
    assert "`unroll promote topic 3`" in str(error)


def test_no_logged_version_is_in_the_store(home, tmp_path):
    shutil.copytree(home / "store" / "topic" / "1", tmp_path / "topic" / "7")
    error = run("--home", home, "--store", tmp_path).exception
    assert isinstance(error, UserError), error
    assert "no version 3 of 'topic'" in str(error)
    assert "Versions there: 7." in str(error)
