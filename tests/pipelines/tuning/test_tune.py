"""`unroll tune`: the command, its processes, and MLflow."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
import yaml

from tests.conftest import ROOT, SMALL, reviews, unroll
from unroll.pipelines.tuning.search import finished, open_study

SEARCH = ["--search", "model.dropout=0.0..0.5", "--search", "model.cell=[gru, tcn]"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("texts") / "reviews.csv"
    reviews(300).to_csv(file, index=False)
    return file


def arguments(texts: Path, home: Path, trials: int) -> list[str]:
    given = ["tune", "sentiment", "--data", str(texts), "--home", str(home), "--name", "tuned", "--minutes", "9"]
    return [*given, "--trials", str(trials), "--jobs", "1", *SEARCH, *SMALL, "--set", "model.members=1"]


def test_the_best_is_trained_registered_and_written_as_a_configuration(texts: Path, tmp_path: Path) -> None:
    done = unroll(*arguments(texts, tmp_path, trials=2), "--json")
    told = json.loads(done.stdout)
    assert told["tuning"]["trials"] == 2
    assert Path(told["path"], "saved_model.pb").is_file()

    written = yaml.safe_load(Path(told["tuning"]["config"]).read_text())
    assert written["train"]["epochs"] == 3  # what was set is in the file, too
    assert "seed" not in written["train"]
    chosen = told["tuning"]["values"] if told["tuning"]["holds"] else {}
    assert {key: written["model"][key.partition(".")[2]] for key in chosen} == chosen
    assert unroll("config", "sentiment").returncode == 0

    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = mlflow.search_runs(experiment_names=["tuned"], output_format="list")
    parent = next(run for run in runs if run.info.run_name == "tuned tuning")
    nested = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert {run.info.run_name.partition(" model")[0].partition(" dropout")[0] for run in nested} == {
        "trial 0",
        "trial 1",
    }
    assert all("validation/log_loss" in run.data.metrics for run in nested)
    assert not any(key.startswith("test/") for run in nested for key in run.data.metrics)
    assert any("trial 1: " in line.lower() for line in done.stderr.splitlines())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_search_goes_on_and_leaves_no_process(texts: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unroll", *arguments(texts, tmp_path, trials=4)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not any('"state":1' in log.read_text() for log in (tmp_path / "cache" / "runs").glob("*/trials.log")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    (folder,) = (log.parent for log in (tmp_path / "cache" / "runs").glob("*/trials.log"))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    before = len(finished(open_study(folder)))
    assert before < 4

    done = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"Going on with a search of {before} trials, and 1 that was interrupted." in done.stderr
    assert json.loads(done.stdout)["tuning"]["trials"] == 4
    tried = [json.dumps(one.params, sort_keys=True) for one in finished(open_study(folder))]
    assert len(set(tried)) == 4  # no settings twice, as from a generator that begins again


@pytest.mark.slow
def test_what_the_defaults_cannot_be_trained_with_ends_the_search_in_a_line(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "my_loss.py").write_text("def loss(labels, logits):\n    raise ValueError('no such loss')\n")
    command = [sys.executable, "-m", "unroll", *arguments(texts, tmp_path / "ws", trials=2)]
    done = subprocess.run(
        [*command, "--set", "train.loss=my_loss:loss"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "no such loss" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
