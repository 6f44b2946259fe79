"""The whole command: what it writes, what others can do with it, and what is said of bad input."""

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from tests.conftest import SMALL, reviews, unroll
from unroll import serving
from unroll.pipelines.data.splits import hash_split
from unroll.pipelines.training.card import Card
from unroll.pipelines.training.computing import precision
from unroll.pipelines.training.exported import Exported


def test_the_document_says_what_was_made(trained):
    assert trained["name"] == "small"
    assert trained["version"] == 1
    assert Path(trained["path"]) == trained["home"] / "store" / "small" / "1", "a first version is served"
    assert {"test/accuracy", "test/f1", "test/roc_auc", "test/log_loss", "test/ece"} <= trained["metrics"].keys()
    assert {"test/accuracy/a", "test/accuracy/b", "validation/accuracy"} <= trained["metrics"].keys()
    assert trained["metrics"]["test/accuracy"] > 0.9, "the label shows in the words"


def test_metrics_are_those_of_the_served_model_on_the_test_part(trained, reviews_csv):
    table = pd.read_csv(reviews_csv)
    test = table[[hash_split(text) == "test" for text in table.text]]
    answers = Exported(Path(trained["path"])).predict({"text": np.array([t.encode() for t in test.text], object)})
    right = np.array([label.decode() for label in answers["label"]]) == test.label.to_numpy()
    assert trained["metrics"]["test/accuracy"] == pytest.approx(right.mean())
    of_a = (test.source == "a").to_numpy()
    assert trained["metrics"]["test/accuracy/a"] == pytest.approx(right[of_a].mean())


def test_the_saved_model_runs_in_a_v1_session_without_keras(trained):
    code = """
import sys
sys.modules["keras"] = None  # whoever imports it fails
import tensorflow as tf
texts = ["", "\\U0001f600", "wonderful " * 120_000, b"\\xff\\xfe bad", "nul\\0 inside", "wonderful film"]
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    model = tf.compat.v1.saved_model.loader.load(session, ["serve"], sys.argv[1])
    signature = model.signature_def["serving_default"]
    outputs = {name: info.name for name, info in signature.outputs.items()}
    answer = session.run(outputs, {signature.inputs["text"].name: texts})
assert answer["label"].shape == (6,) and answer["probabilities"].shape == (6, 2)
assert abs(answer["probabilities"].sum(axis=1) - 1).max() < 1e-5
assert (answer["score"] == answer["probabilities"].max(axis=1)).all()
assert answer["label"][-1] == b"pos", answer
functions = (node for f in model.graph_def.library.function for node in f.node_def)
assert not [n.op for n in (*model.graph_def.node, *functions) if "Cudnn" in n.op]
"""
    done = subprocess.run([sys.executable, "-c", code, trained["path"]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_weights_are_on_disk_once(trained):
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(Path(trained["path"]) / "variables" / "variables"))
    shapes = reader.get_variable_to_shape_map()
    held = sum(int(np.prod(shape)) for name, shape in shapes.items() if "CHECKPOINTABLE" not in name)
    config = Card.load(Path(trained["path"])).config["model"]
    vocabulary = len((Path(trained["path"]) / "assets" / "vocabulary.txt").read_text().splitlines()) + 2
    linear = 2 * 2 + (2 * 2 + 1)  # numbers of a word or pair for two classes: in the network, and in the simple path
    tables = config["members"] * vocabulary * config["embedding"] + linear * (vocabulary + config["ngram_buckets"])
    assert tables < held < tables * 1.5, "every table once, and the small layers"
    bytes_on_disk = (Path(trained["path"]) / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert bytes_on_disk < 4 * held * 1.1 + 10_000


def test_mlflow_holds_the_run(trained):
    database = f"sqlite:///{trained['home']}/mlflow.db"
    client = mlflow.MlflowClient(database, registry_uri=database)  # else the last registry used in this process
    run = client.get_run(trained["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.params["train.epochs"] == "3"
    assert len(run.data.tags["dataset.digest"]) == 64
    assert run.data.tags["git.revision"]
    assert run.data.metrics["test/accuracy"] == trained["metrics"]["test/accuracy"]
    steps = [point.step for point in client.get_metric_history(trained["run_id"], "validation/log_loss")]
    assert sorted(steps) == [0, 1, 2], "each epoch's"
    plots = {Path(file.path).name for file in client.list_artifacts(trained["run_id"], "plots")}
    assert plots == {
        "learning_curve.png",
        "confusion_matrix.png",
        "calibration.png",
        "gradient_by_timestep.png",
    }
    assert client.get_model_version_by_alias("small", "champion").version in (1, "1")


def test_the_registered_model_downloads_whole(trained, tmp_path, monkeypatch):
    database = f"sqlite:///{trained['home']}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)  # which MLflow changes; put back afterwards
    mlflow.set_tracking_uri(database)
    mlflow.set_registry_uri(database)
    copy = Path(mlflow.artifacts.download_artifacts("models:/small@champion", dst_path=str(tmp_path))) / "saved_model"
    names = {file.name for file in (copy / "assets.extra").iterdir()}
    assert names == {
        "model_card.md", "reference_profile.json", "reference_profile.npz", "tf_serving_warmup_requests", "unroll.json",
    }  # fmt: skip
    assert "SHA-256" in (copy / "assets.extra" / "model_card.md").read_text()


def test_evaluate_scores_further_data(trained, tmp_path):
    file = tmp_path / "new.csv"
    table = reviews(60, seed=9).rename(columns={"text": "body"})
    table.to_csv(file, index=False)
    done = unroll("evaluate", "small", "--data", file, "--set", "data.text=body", "--home", trained["home"], "--json")
    document = json.loads(done.stdout)
    assert document["metrics"]["data/accuracy"] > 0.9
    unknown = tmp_path / "unknown.csv"
    table.assign(label="meh").to_csv(unknown, index=False)
    done = unroll("evaluate", "small", "--data", unknown, "--set", "data.text=body", "--home", trained["home"], check=2)
    assert done.stderr.strip().splitlines()[-1] == "error: label 'meh' is unknown to the model, which knows: neg, pos"


def test_promote_and_rollback_move_what_is_served(trained, reviews_csv):
    home = trained["home"]
    done = unroll(
        "train", "sentiment", "--data", reviews_csv, "--home", home, "--name", "small", "--json",
        *SMALL, "--set", "train.epochs=1", "--set", "model.cell=tcn",
    )  # fmt: skip
    second = json.loads(done.stdout)
    store = serving.Store(home / "store")
    assert second["version"] == 2
    assert store.versions("small") == [1], "a later version waits for its promotion"
    assert (Path(second["path"]) / "saved_model.pb").is_file()
    unroll("promote", "small", "2", "--home", home)
    assert max(store.versions("small")) == 2
    assert "champion" in unroll("models", "--home", home).stdout
    unroll("rollback", "small", "--home", home)
    assert max(store.versions("small")) == 1
    listed = {one["version"]: one["aliases"] for one in json.loads(unroll("models", "--home", home, "--json").stdout)}
    assert listed == {2: [], 1: ["champion"]}
    done = unroll("rollback", "small", "--home", home, check=2)
    assert "had no champion before version 1" in one_line_error(done)


def one_line_error(done):
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "train.epoch=1"], "configuration key train.epoch: unknown. Did you mean train.epochs?"),
        (["--set", "data.text=body"], "has no column 'body'. It has: 'text', 'label', 'source'"),
        (["--data", "nowhere.csv"], "--data nowhere.csv: no such file"),
        (["--name", "../up"], "Received: name='../up'"),
        (["--set", "train.mixed_precision=half"], "train.mixed_precision: Input should be a valid boolean"),
        pytest.param(
            ["--set", "train.mixed_precision=true"],
            "train.mixed_precision: needs a GPU",
            marks=pytest.mark.skipif("amx_bf16" in precision._cpu_flags(), reason="the CPU computes in bfloat16"),
        ),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, reviews_csv, arguments, words):
    home = tmp_path / "home"
    done = unroll("train", "sentiment", "--data", reviews_csv, "--home", home, *arguments, check=2)
    assert words in one_line_error(done)
    left = [path for path in home.rglob("*") if path.is_file()] if home.exists() else []
    assert not left, f"half-written: {left}"


def test_unknown_names_are_answered_with_the_known_ones(trained):
    home = trained["home"]
    assert "There is: captioning, forecasting, language, sentiment, translation" in one_line_error(
        unroll("train", "sentimental", "--data", "x.csv", check=2)
    )
    done = unroll("promote", "large", "1", "--home", home, check=2)
    assert "no model is registered as 'large'" in one_line_error(done)
    assert "has no version 9" in one_line_error(unroll("promote", "small", "9", "--home", home, check=2))


def test_a_tracking_server_that_does_not_answer_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = unroll("models", "--home", tmp_path, check=2)
    assert "the tracking server http://127.0.0.1:9 does not answer" in one_line_error(done)
