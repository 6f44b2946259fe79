"""`unroll monitor report`, from a request log on disk to the exit code."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.conftest import unroll
from unroll.errors import UserError
from unroll.monitoring.cli import app


@pytest.fixture(scope="module")
def home(tmp_path_factory, profile, write_version, log_writer, predict_log, source):
    """Version 1 answered clean requests long ago, version 2 strange ones just now, version 3 a few."""
    home = tmp_path_factory.mktemp("home")
    now = time.time_ns()
    traffic = {1: (source(21), 300, 48), 2: (source(22, shift=200), 60, 1), 3: (source(23), 10, 2)}
    for version, (texts, n, hours) in traffic.items():
        write_version(home / "store" / "topic" / str(version), profile)
        writer = log_writer(home / "requests" / "topic", f"2026112{version}T010203.000000Z-1")
        outputs = texts.outputs(n)
        for i, text in enumerate(texts.texts(n)):
            log = predict_log({"text": [text]}, {name: array[i : i + 1] for name, array in outputs.items()})
            writer.add(log, now - hours * 3600 * 10**9 + i, version, f"request-{version}-{i}")
        writer.close()
    (home / "store" / "silent" / "1").mkdir(parents=True)
    return home


def run(home, *arguments):
    return CliRunner().invoke(app, ["report", *arguments, "--home", str(home)])


def test_no_drift_exits_0(home):
    result = run(home, "topic", "--version", "1", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["verdict"] == "no drift"
    assert document["window"]["requests"] == 300
    assert [feature["drift"] for feature in document["features"]] == [False] * 5


def test_drift_exits_3_and_says_what_moved(home):
    result = run(home, "topic", "--json")
    assert result.exit_code == 3, result.output
    document = json.loads(result.stdout)
    assert (document["version"], document["verdict"], document["drift"]) == (2, "drift", True)
    assert document["p_value"] <= document["level"]
    first = document["features"][0]
    assert (first["name"], first["drift"]) == ("text/tokens", True)
    assert first["rose"]
    assert first["fell"]


def test_the_terminal_and_the_page_say_the_same(home, tmp_path):
    (tmp_path / "new").mkdir()
    page = tmp_path / "new" / "report.html"
    result = run(home, "topic", "--html", str(page))
    assert result.exit_code == 3
    assert "topic version 2: drift" in result.stdout
    assert "text/tokens rose: " in result.stdout
    html = page.read_text("utf-8")
    assert html.count("<svg") == 5
    assert "text/tokens" in html
    assert "src=" not in html
    assert "<link" not in html
    assert [path.name for path in page.parent.iterdir()] == ["report.html"], "something is left beside it"


def test_a_few_requests_never_alarm(home):
    result = run(home, "topic", "--version", "3", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["verdict"] == "not enough requests"
    assert "not enough requests" in run(home, "topic", "--version", "3").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonesuch"], "no model 'nonesuch'. Models there: silent, topic"),
        (["../topic"], "no model '../topic'"),
        (["silent"], "unroll serve"),
        (["topic", "--version", "9"], "Versions there: 1, 2, 3"),
        (["topic", "--version", "1", "--window", "24h"], "Widen the window"),
        (["topic", "--window", "soon"], "--window: 'soon'"),
        (["topic", "--html", "/dev/null/report.html"], "--html"),
    ],
)
def test_a_mistake_is_a_user_error(home, arguments, message):
    error = run(home, *arguments).exception
    assert isinstance(error, UserError), error
    assert message in str(error)
    assert "\n" not in str(error)


def test_a_page_that_cannot_be_written_is_refused_and_nothing_is_left(home, tmp_path):
    for page, said in {
        tmp_path
        / "none"
        / "a"
        / "report.html": f"there is no folder {tmp_path / 'none' / 'a'}. Make it, or name a file",
        tmp_path: "is a folder. Name a file",
    }.items():
        done = unroll("monitor", "report", "topic", "--home", home, "--json", "--html", page, check=2)
        assert done.stderr.startswith(f"error: --html {page}: {said}")
        assert (done.stderr.count("\n"), done.stdout) == (1, "")
    assert not list(tmp_path.iterdir())


def _random(file):
    file.write_bytes(np.random.default_rng(0).bytes(5000))


def _folder(file):
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("files", "damage", "said"),
    [
        (
            ".tfrecord",
            _random,
            "{}: 300 requests read, and none can be compared (damaged: 300). Move the log's files away",
        ),
        (
            ".tfrecord",
            Path.unlink,
            "{}: 300 requests read, and none can be compared (without a record in the log's .tf",
        ),
        (".tsv", _random, "{}: the log is damaged ("),
        (".tsv", _folder, "{}/20261121T010203.000000Z-1.tsv: cannot be read (it is a folder). Move it out of the log"),
        (".tfrecord", _folder, "{}/20261121T010203.000000Z-1.tfrecord: cannot be read (it is a folder). Move it out"),
    ],
)
def test_a_damaged_log_says_what_to_do(home, tmp_path, files, damage, said):
    log = shutil.copytree(home / "requests" / "topic", tmp_path / "topic")
    for file in log.glob(f"*{files}"):
        damage(file)
    done = unroll("monitor", "report", "topic", "--home", home, "--requests", tmp_path, "--version", 1, check=2)
    assert done.stderr.startswith(f"error: {said.format(log)}")
    assert (done.stderr.count("\n"), done.stdout) == (1, "")


def test_a_version_without_a_profile(home, tmp_path):
    (tmp_path / "topic" / "2").mkdir(parents=True)
    error = run(home, "topic", "--store", str(tmp_path)).exception
    assert isinstance(error, UserError)
    assert "reference_profile.json" in str(error)


def test_only_requests_that_cannot_be_compared(home, tmp_path, log_writer, predict_log):
    writer = log_writer(tmp_path / "topic")
    writer.add(predict_log({"other": ["x"]}, {"score": np.zeros(1)}), time.time_ns(), 1, "a")
    writer.close()
    error = run(home, "topic", "--requests", str(tmp_path)).exception
    assert isinstance(error, UserError)
    assert "text, score, label: 1" in str(error)


def test_it_runs_without_tensorflow(home):
    program = (
        "import sys, unroll.monitoring.cli\n"
        "try:\n"
        "    unroll.monitoring.cli.app(['report', 'topic', '--home', sys.argv[1], '--json'])\n"
        "except SystemExit as end:\n"
        "    heavy = {'tensorflow', 'keras', 'mlflow', 'matplotlib', 'scipy', 'pandas'} & set(sys.modules)\n"
        "    sys.exit(f'imported: {heavy}' if heavy else end.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(home)], capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    json.loads(done.stdout)
