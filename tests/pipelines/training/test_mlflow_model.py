"""Registered versions as MLflow itself loads them, also from a workspace that was moved."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import mlflow
import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT, unroll
from tests.serving_fixtures import until
from unroll.errors import UserError
from unroll.pipelines.training.exported import Exported
from unroll.pipelines.training.tracking import check_tracking
from unroll.pipelines.training.tracking.mlflow_model import write_mlflow_model
from unroll.serving.export import export_saved_model
from unroll.serving.server.ports import free_port

PICTURE = b"\x89PNG\r\n"
LOADED_ELSEWHERE = """
import json, sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/small@champion")
assert list(model.predict(model.input_example).columns) == ["label", "probabilities", "score"]
answers = model.predict(pd.DataFrame({"text": ["wonderful film", "", "dreadful plot"]}, index=[5, 6, 7]))
print(answers.to_json())
assert "keras" not in sys.modules
"""


@pytest.fixture(scope="module")
def moved(trained: dict, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The trained workspace in another folder; where it was, nothing is."""
    home, away = trained["home"], trained["home"].with_name("away")
    moved = tmp_path_factory.mktemp("another disk") / "moved"
    shutil.copytree(home, moved, ignore=shutil.ignore_patterns("cache"))
    home.rename(away)
    yield moved
    away.rename(home)


def elsewhere() -> dict[str, str]:
    """The environment without what MLflow put there for this process's workspaces."""
    return {
        key: value for key, value in os.environ.items() if key not in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    }


def answers_elsewhere(tracking_uri: str, cwd: Path) -> pd.DataFrame:
    command = [sys.executable, "-c", LOADED_ELSEWHERE, tracking_uri]
    done = subprocess.run(command, cwd=cwd, env=elsewhere(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pd.DataFrame(json.loads(done.stdout.splitlines()[-1]))


def test_a_run_and_its_version_tell_what_they_are(trained: dict) -> None:
    database = f"sqlite:///{trained['home']}/mlflow.db"
    client = mlflow.MlflowClient(database, registry_uri=database)
    run = client.get_run(trained["run_id"])
    assert run.info.run_name.startswith("small epochs=3 batch_size=16 learning_rate=0.01 ")
    assert [len(client.get_metric_history(trained["run_id"], key)) for key in ("test/accuracy", "test/f1/a")] == [1, 1]
    assert run.data.metrics["training/epochs"] == 3
    ours = {key for key in run.data.tags if not key.startswith("mlflow.")}
    assert ours == {"dataset.digest", "git.revision", "task"}
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.name == "reviews.csv"
    (output,) = run.outputs.model_outputs
    scores = {one.key: one.value for one in client.get_logged_model(output.model_id).metrics}
    assert scores["test/accuracy"] == trained["metrics"]["test/accuracy"]
    version = client.get_model_version("small", "1")
    assert version.tags.keys() == {"unroll.task", "unroll.metrics"}
    assert version.description.startswith("# small\n")
    assert run.data.tags["mlflow.note.content"] == version.description
    listed = json.loads(unroll("models", "--home", trained["home"], "--json").stdout)
    assert next(one["metrics"] for one in listed if one["version"] == 1) == trained["metrics"]


def test_the_champion_answers_tables(trained: dict, tmp_path: Path) -> None:
    answers = answers_elsewhere(f"sqlite:///{trained['home']}/mlflow.db", tmp_path)
    exported = Exported(trained["home"] / "store" / "small" / "1")
    expected = exported.predict({"text": np.array([b"wonderful film", b"", b"dreadful plot"], object)})
    assert list(answers.index) == ["5", "6", "7"]
    assert list(answers.label) == [label.decode() for label in expected["label"]]
    assert list(answers.score) == pytest.approx(expected["score"])
    assert np.stack(answers.probabilities) == pytest.approx(expected["probabilities"])
    files = {file.name for file in (trained["home"] / "store" / "small" / "1").iterdir()}
    assert files == {"assets", "assets.extra", "fingerprint.pb", "saved_model.pb", "variables"}, "as servers want it"


def test_the_page_says_how(trained: dict, tmp_path: Path) -> None:
    (tmp_path / "workspace").symlink_to(trained["home"])
    page = (ROOT / "docs" / "tracking.md").read_text()
    code = page.split("```python\n")[1].split("```")[0].replace("reviews@champion", "small@champion")
    code += "\nassert list(answers.columns) == ['label', 'probabilities', 'score'], answers"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=elsewhere(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_moved_workspace_goes_on(moved: Path, reviews_csv: Path, tmp_path: Path) -> None:
    answers_elsewhere(f"sqlite:///{moved}/mlflow.db", tmp_path)
    (listed,) = (one for one in json.loads(unroll("models", "--home", moved, "--json").stdout) if one["version"] == 1)
    assert listed["name"] == "small"
    unroll("evaluate", "small", "--version", 1, "--data", reviews_csv, "--home", moved)
    shutil.rmtree(moved / "store")
    document = json.loads(unroll("promote", "small", 1, "--home", moved, "--json").stdout)
    assert Path(document["path"]) == moved / "store" / "small" / "1"
    other = json.loads(unroll("promote", "small", 1, "--alias", "other", "--home", moved, "--json").stdout)
    assert (moved / "artifacts") in Path(other["path"]).parents


def test_pages_of_a_moved_workspace(
    trained: dict, moved: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port("127.0.0.1")
    command = [sys.executable, "-m", "unroll", "ui", "--home", moved, "--host", "0.0.0.0", "--port", str(port)]
    pages = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path, env=elsewhere()
    )
    try:
        assert pages.stdout is not None
        said = pages.stdout.readline()
        assert f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning" in said
        until(lambda: answers(f"http://127.0.0.1:{port}/health"), 120)
        plot = f"http://127.0.0.1:{port}/get-artifact?path=plots/calibration.png&run_uuid={trained['run_id']}"
        assert answers(plot).startswith(b"\x89PNG")
        kind = answers(f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get-by-name?experiment_name=small")
        assert b"custom_model_development" in kind
        assert len(answers_elsewhere(f"http://127.0.0.1:{port}", tmp_path)) == 3, "what the pages serve loads elsewhere"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        check_a_store_that_cannot_be_written_to(f"http://127.0.0.1:{port}", moved / "artifacts", reviews_csv, tmp_path)
    finally:
        pages.terminate()
        pages.wait()


def check_a_store_that_cannot_be_written_to(address: str, artifacts: Path, data: Path, folder: Path) -> None:
    """Of a running server it is told before the training."""
    before = sorted(artifacts.rglob("*"))
    check_tracking(address, "small")
    assert sorted(artifacts.rglob("*")) == before, "what it was tried with is gone"
    aside = artifacts.rename(artifacts.with_name("aside"))
    artifacts.write_text("in the way")
    for name in ("small", "other"):
        done = unroll("train", "sentiment", "--data", data, "--home", folder / "home", "--name", name, check=2)
        (said,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
        assert said.startswith("error: MLflow's artifact store mlflow-artifacts:/")
        assert f", which its tracking server {address} names, cannot be written to (" in said
        assert "(mlflow server --artifacts-destination ...)" in said
        assert "Traceback" not in done.stderr
        assert not (folder / "home").exists()
    artifacts.unlink()
    aside.rename(artifacts)


def answers(url: str) -> bytes:
    try:
        with urlopen(url) as response:
            return bytes(response.read())
    except OSError:
        return b""


def test_an_address_of_another_machine_is_refused(trained: dict) -> None:
    done = unroll("ui", "--home", trained["home"], "--host", "192.0.2.1", check=2)
    assert done.stderr.strip() == "error: --host 192.0.2.1: is not an address of this machine. Name another"


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow model of histories, an optional number, names and a picture."""
    import tensorflow as tf

    from unroll.pipelines.training.signature import signature

    twice = tf.constant([2.0])

    def serve(history, picture, names, factor=twice):
        total = tf.reduce_sum(history, axis=[1, 2]) * factor
        return {
            "forecast": tf.stack([history[:, -1] * factor[:, None]] * 3, axis=1),  # [B, 3, 2]
            "long": tf.cast(total, tf.int64),
            "picture": picture,
            "name": names[:, 0],
        }

    needed = [
        tf.TensorSpec([None, None, 2], tf.float32, "history"),
        tf.TensorSpec([None], tf.string, "picture"),
        tf.TensorSpec([None, 2], tf.string, "names"),
    ]
    folder = tmp_path_factory.mktemp("model")
    module = tf.Module()
    module.serve = signature(serve, needed, {"factor": twice})
    request = {"history": np.ones([5, 4, 2], np.float32), "picture": [PICTURE] * 5, "names": [["é", "b"]] * 5}
    export_saved_model(
        module,
        {"serving_default": module.serve},
        folder / "saved_model",
        name="series",
        warmup_requests=[("serving_default", request)],
    )
    write_mlflow_model(folder / "saved_model", folder, run_id="r", model_id="m")
    return folder


def test_the_signature_is_the_graphs(series: Path) -> None:
    model = mlflow.pyfunc.load_model(str(series))
    assert str(model.metadata.signature.inputs).splitlines() == [
        "['factor': double (optional), 'history': Array(Array(double)) (required), "
        "'names': Array(string) (required), 'picture': binary (required)]"
    ]
    assert str(model.metadata.signature.outputs).splitlines() == [
        "['forecast': Array(Array(double)) (required), 'long': long (required), 'name': string (required), "
        "'picture': binary (required)]"
    ]
    assert len(model.input_example) == 3, "some rows of the warmup request"
    assert list(model.predict(model.input_example).picture) == [PICTURE] * 3


def test_rows_of_different_lengths_stand_in_one_table(series: Path) -> None:
    table = pd.DataFrame(
        {
            "history": [[[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]], np.array([[5.0, np.nan]]), [[5.0, 6.0]]],
            "picture": [PICTURE, b"b", b"", b"d"],
            "names": [["é", "x"]] * 4,
            "factor": [1.0, 2.0, 3.0, 4.0],
        }
    )
    answered = mlflow.pyfunc.load_model(str(series)).predict(table)
    assert answered.forecast[1] == [[6.0, 8.0]] * 3
    assert np.isnan(answered.forecast[2][0][1])
    assert answered.long[3] == 44
    assert list(answered.name) == ["é"] * 4


def test_a_cell_that_is_not_what_the_column_holds_is_named(series: Path) -> None:
    table = pd.DataFrame({"history": [[[1.0, 2.0]]], "picture": [None], "names": [["a", "b"]]})
    with pytest.raises(UserError, match="column 'picture': expected numbers, or str and bytes alone; received None"):
        mlflow.pyfunc.load_model(str(series)).predict(table)
    with pytest.raises(UserError, match=r"the model refuses the data.*history"):
        mlflow.pyfunc.load_model(str(series)).predict(table.assign(picture=[b""], history=[[[1.0]]]))


def test_other_programs_find_the_graph(series: Path) -> None:
    graph = mlflow.tensorflow.load_model(str(series))
    assert "serving_default" in graph.signatures


@pytest.mark.slow
def test_first_trainings_at_once_share_the_workspace(tmp_path: Path, reviews_csv: Path) -> None:
    small = [
        "--set",
        "train.epochs=1",
        "--set",
        "model.units=4",
        "--set",
        "model.embedding=4",
        "--set",
        "model.members=1",
    ]
    command = [sys.executable, "-m", "unroll", "train", "sentiment", "--data", reviews_csv, "--name", "m", "--json"]
    started = [
        subprocess.Popen(
            [*command, *small, "--home", tmp_path / "home", "--set", f"train.seed={seed}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TF_NUM_INTRAOP_THREADS": "1"},
        )
        for seed in range(3)
    ]
    said = [one.communicate() for one in started]
    assert [one.returncode for one in started] == [0, 0, 0], said
    assert sorted(json.loads(out)["version"] for out, _ in said) == [1, 2, 3]
    listed = json.loads(unroll("models", "--home", tmp_path / "home", "--json").stdout)
    assert [one["aliases"] for one in listed].count(["champion"]) == 1
