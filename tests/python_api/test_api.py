"""Training, loading, asking and promoting from Python, over real models and files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import unroll
from tests.conftest import ROOT, reviews
from unroll.pipelines.training.exported import Exported
from unroll.serving import Store

TINY = {
    "model": {"units": 8, "embedding": 8, "ngram_buckets": 1024, "layers": 1},
    "model.members": 1,
    "model.cell": "gru",
    "train": {"epochs": 2, "batch_size": 16, "learning_rate": 0.01},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def model(home: Path) -> "unroll.Model":
    return unroll.train("sentiment", reviews(600), name="reviews", config=TINY, home=home)


def error(call) -> str:
    with pytest.raises(unroll.UserError) as raised:
        call()
    assert "\n" not in str(raised.value)
    assert "--" not in str(raised.value), "Python's words"
    return str(raised.value)


def test_importing_it_loads_nothing_heavy() -> None:
    code = """
import sys, unroll
from unroll import train, load, promote, rollback, Client
assert callable(unroll.models)
print([m for m in ("tensorflow", "mlflow", "matplotlib", "pandas") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_a_model_says_what_it_is(model: "unroll.Model") -> None:
    assert (model.name, model.version, model.task) == ("reviews", 1, "sentiment")
    assert model.metrics["test/accuracy"] > 0.8
    assert model.chance == ""
    assert model.metrics["baseline/test/accuracy/tfidf"] > 0.8
    assert model.metrics["baseline/test/accuracy/majority"] < 0.65
    assert {"Classes", "Confusion_matrix"} <= model.tables.keys()
    assert model.config["model"]["cell"] == "gru"
    assert list(model.history.index) == [1, 2]
    assert {"train/loss", "validation/accuracy"} <= set(model.history.columns)
    assert {"learning_curve", "confusion_matrix"} <= model.figures().keys()
    assert model.figures()["learning_curve"].startswith(b"\x89PNG")
    page = model._repr_html_()
    assert "reviews version 1" in page
    assert "data:image/png;base64," in page
    assert "SHA-256" in page


def test_it_answers_with_the_bits_that_are_served(model: "unroll.Model") -> None:
    texts = ["a wonderful film", "dreadful", ""]
    table = model.predict(texts)
    served = Exported(model.path).predict({"text": np.array([text.encode() for text in texts], object)})
    assert list(table["text"]) == texts
    assert list(table["label"]) == [label.decode() for label in served["label"]]
    assert np.array_equal(table["score"].to_numpy(np.float32), served["score"])
    arrays = model.predict({"text": texts})
    assert np.array_equal(arrays["probabilities"], served["probabilities"])
    frame = pd.DataFrame({"text": texts, "other": 1}, index=["a", "b", "c"])
    assert list(model.predict(frame)["label"]) == list(table["label"])
    assert list(model.predict(frame).index) == ["a", "b", "c"]


def test_nothing_is_promoted_unless_asked(model: "unroll.Model", home: Path) -> None:
    assert Store(home / "store").versions("reviews") == []
    listed = unroll.models(home)
    assert listed.loc[0, ["name", "version", "aliases"]].tolist() == ["reviews", 1, []]
    loaded = unroll.load("reviews", home=home)
    assert loaded.version == 1, "without a champion, the newest"
    assert loaded.metrics == model.metrics
    assert loaded.history.equals(model.history)


def test_a_fine_tuned_model_is_exported_and_registered(model: "unroll.Model", home: Path, tmp_path: Path) -> None:
    loaded = unroll.load("reviews", 1, home=home)
    before = [np.array(weight) for weight in loaded.keras.get_weights()]
    assert all(np.array_equal(one, two) for one, two in zip(before, model.keras.get_weights(), strict=True))
    loaded.keras.fit(loaded.dataset("train"), validation_data=loaded.dataset("validation"), epochs=1, verbose=0)
    assert any(not np.array_equal(one, two) for one, two in zip(before, loaded.keras.get_weights(), strict=True))
    tuned = loaded.export(tmp_path / "tuned")
    assert tuned.version is None
    assert tuned.metrics["test/accuracy"] > 0.8
    assert (tuned.path / "assets.extra" / "reference_profile.json").is_file()
    newer = loaded.register(promote=True)
    assert newer.version == 2
    assert Store(home / "store").versions("reviews") == [2]
    assert newer.predict(["wonderful"]).equals(tuned.predict(["wonderful"]))
    assert unroll.load("reviews", home=home).version == 2, "the champion"
    unroll.promote("reviews", 1, home=home)
    assert unroll.rollback("reviews", home=home).version == 2
    assert unroll.load("reviews", 2, home=home).history.equals(model.history), "of the training before"


def test_the_keras_model_saves_and_loads_as_any_other(model: "unroll.Model", tmp_path: Path) -> None:
    import keras

    model.keras.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    ids = next(iter(model.dataset("validation")))[0]
    assert np.allclose(copy.predict_on_batch(ids)["encoders"], model.keras.predict_on_batch(ids)["encoders"])


def test_evaluation_takes_frames_and_files(model: "unroll.Model", tmp_path: Path) -> None:
    newer = reviews(60, seed=5)
    scores = model.evaluate(newer)
    assert scores["accuracy"] > 0.8
    file = tmp_path / "newer.csv"
    newer.rename(columns={"text": "body"}).to_csv(file, index=False)
    assert model.evaluate(file, config={"data.text": "body"}) == scores


def test_a_model_that_guesses_is_promoted_by_neither(model: "unroll.Model", home: Path) -> None:
    noise = reviews(400)
    noise["label"] = np.random.default_rng(0).permutation(noise["label"])
    config = {**TINY, "train": {**TINY["train"], "epochs": 1}}
    guessing = unroll.train("sentiment", noise, name="noise", config=config, promote=None, home=home)
    assert "of always answering" in guessing.chance
    assert "and its AUC of" in guessing.chance
    assert Store(home / "store").versions("noise") == []
    assert "At chance" in guessing._repr_html_()
    assert "At chance" not in model._repr_html_()
    unroll.promote("noise", 1, home=home)
    assert Store(home / "store").versions("noise") == [1]


def test_what_is_not_registered_is_a_model_too(home: Path) -> None:
    config = {**TINY, "train": {**TINY["train"], "epochs": 1}}
    model = unroll.train("sentiment", reviews(300), name="trial", config=config, register=False, home=home)
    assert model.version is None
    assert home / "exports" in model.path.parents
    assert model.predict(["wonderful"])["label"].isin(["neg", "pos"]).all()
    assert "no model is registered as 'trial'" in error(lambda: unroll.load("trial", home=home))
    assert model.register().version == 1


def test_errors_speak_python(model: "unroll.Model", home: Path) -> None:
    few = reviews(30)
    assert error(lambda: unroll.train("sentimental", few, home=home)).startswith("no task is named 'sentimental'")
    assert error(lambda: unroll.train(int, few, home=home)).startswith("task: expected a task's name")
    told = error(lambda: unroll.train("sentiment", few, config={"model.cel": "gru"}, home=home))
    assert told == "configuration key model.cel: unknown. Did you mean model.cell?"
    told = error(lambda: unroll.train("sentiment", few, config={"data.text": "body"}, home=home))
    assert told.startswith("data (DataFrame): has no column 'body'. It has: 'text', 'label', 'source'")
    assert 'config={"data.text": "COLUMN"}' in told
    assert "no such file" in error(lambda: unroll.train("sentiment", "nowhere.csv", home=home))
    assert error(lambda: unroll.train("sentiment", 3, home=home)) == (
        "data: expected a DataFrame or a path. Received: int"
    )
    assert "no rows" in error(lambda: unroll.train("sentiment", few.head(0), home=home))
    mixed = few.assign(label=["a", 1] * 15)
    assert "column 'label'" in error(lambda: unroll.train("sentiment", mixed, home=home))
    assert "only a registered version" in error(lambda: unroll.train("sentiment", few, register=False, promote=True))
    assert error(lambda: model.predict("a text")).startswith("inputs: expected a list, a dict or a DataFrame")
    assert error(lambda: model.predict([1.5])).startswith("inputs: expected texts, bytes or paths")
    assert error(lambda: model.predict({"txt": ["a"]})) == "inputs: there is no input 'txt'. reviews takes text"
    assert "has no column 'text'" in error(lambda: model.predict(pd.DataFrame({"body": ["a"]})))
    assert "split: expected" in error(lambda: model.dataset("test"))
    assert "exists" in error(lambda: model.export(home))
    assert "only data.* keys" in error(lambda: model.evaluate(few, config={"model.units": 3}))
    assert "has no version 9" in error(lambda: unroll.promote("reviews", 9, home=home))
