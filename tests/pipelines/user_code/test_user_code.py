"""Models, losses, optimizers and callbacks of the user's own, through the command."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT, reviews, unroll
from tests.pipelines.tasks.captioning.test_captioning import shapes
from tests.pipelines.tasks.forecasting.test_forecasting import loads
from tests.serving_fixtures import SERVE, start_server
from unroll.api import load
from unroll.errors import UserError
from unroll.models.decoding import greedy
from unroll.models.tokens import END, SPECIAL_IDS, START
from unroll.pipelines.tasks.captioning.config import CaptionConfig
from unroll.pipelines.tasks.captioning.user_model import PictureInfo, user_captioner
from unroll.pipelines.training.config import load_config
from unroll.pipelines.training.exported import Exported
from unroll.pipelines.user_code.objects import UserObject

CODE = (
    "\n".join(re.findall("```python\n(.*?)```", (ROOT / "docs" / "own.md").read_text(), re.DOTALL))
    + """
seen = []


class Seen(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        seen.append("begin")

    def on_epoch_end(self, epoch, logs=None):
        seen.append((epoch, sorted(logs)))
        self.model.stop_training = epoch == 1

    def on_train_end(self, logs=None):
        seen.append("end")


def absolute(y_true, y_pred):
    known = ~tf.math.is_nan(y_true)
    error = tf.where(known, y_true, 0.0)[..., None] - y_pred["quantiles"]
    return tf.where(known, tf.reduce_mean(tf.abs(error), axis=-1), 0.0)


number = 3


def nothing(info, section):
    return None


def raises(info, section):
    raise KeyError("units_of_hidden")


def two_classes_more(info, section):
    ids = keras.Input([None], dtype="int32")
    hidden = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(info.vocabulary, 4, mask_zero=True)(ids))
    return keras.Model(ids, keras.layers.Dense(info.classes + 2)(hidden))


def of_all_places(info, section):
    ids = keras.Input([None], dtype="int32")
    hidden = keras.layers.GlobalMaxPooling1D()(keras.layers.Embedding(info.vocabulary, 4, "ones")(ids))
    hidden = keras.layers.Embedding(info.vocabulary, 4, embeddings_initializer="ones")(ids)
    return keras.Model(ids, keras.layers.Dense(info.classes)(keras.ops.sum(hidden, axis=1)))


def loss_that_raises(y_true, y_pred):
    return y_pred["logits"]


def watches_nothing():
    return 5
"""
)


@pytest.fixture
def module(tmp_path, monkeypatch) -> str:
    """A module in the current folder, under a name of its own."""
    name = f"users_own_{len(sys.modules)}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A workspace that mistakes share, with the prepared data."""
    return tmp_path_factory.mktemp("mistakes")


def forget(module: str) -> None:
    """As if the module had never been: the folder is another, the interpreter as well."""
    Path(f"{module}.py").unlink()
    del sys.modules[module]


def test_a_classifier_loss_optimizer_and_callback_of_ones_own_train_and_are_not_needed_any_more(module, tmp_path):
    reviews(700).to_csv("reviews.csv", index=False)
    named = {
        "model.build": f"{module}:classifier",
        "model.units": 8,
        "model.embedding": 8,
        "train.loss": f"{module}:focal",
        "train.optimizer": "keras.optimizers:Lion",
        "train.callbacks": f"[{module}:Watch, {module}:Seen]",
        "train.epochs": 5,
        "train.batch_size": 16,
        "train.learning_rate": 0.01,
    }
    options = [one for key, value in named.items() for one in ("--set", f"{key}={value}")]
    done = unroll("train", "sentiment", "--data", "reviews.csv", "--home", "home", "--name", "own", "--json", *options)
    trained = json.loads(done.stdout)
    assert trained["metrics"]["test/accuracy"] > 0.8
    logs = ["accuracy", "log_loss", "loss", "val_accuracy", "val_log_loss", "val_loss"]
    assert sys.modules[module].seen == ["begin", (0, logs), (1, logs), "end"]
    assert "a callback of train.callbacks stopped it" in done.stderr
    forget(module)
    card = json.loads(Path(trained["path"], "assets.extra", "unroll.json").read_text())
    assert card["config"]["model"]["build"] == named["model.build"]
    assert card["config"]["train"]["callbacks"] == [f"{module}:Watch", f"{module}:Seen"]
    again = json.loads(unroll("evaluate", "own", "--data", "reviews.csv", "--home", "home", "--json").stdout)
    assert again["metrics"]["data/accuracy"] > 0.8
    server = start_server(*SERVE, "--store", str(tmp_path / "home" / "store"), "--home", str(tmp_path / "home"))
    try:
        answer = unroll(
            "predict", "own", "--server", server.address, "--input", "a superb film, moving and warm", "--json"
        )
        assert json.loads(answer.stdout)["predictions"][0]["label"] == "pos"
    finally:
        server.process.kill()
        server.process.wait()


def test_a_forecaster_of_ones_own_knows_neither_level_nor_missing_steps(module):
    table = loads()
    table.loc[30:60, "load"] = np.nan
    table.to_csv("loads.csv", index=False)
    options = [
        "data.series=house", "data.future_covariates=plan", "data.static_categories=kind", "model.lookback=48",
        "model.horizon=12", "train.epochs=2", "train.learning_rate=0.01", f"model.build={module}:forecaster",
        f"train.loss={module}:absolute",
    ]  # fmt: skip
    done = unroll(
        "train", "forecasting", "--data", "loads.csv", "--home", "home", "--json", "--promote",
        *(one for option in options for one in ("--set", option)),
    )  # fmt: skip
    metrics = json.loads(done.stdout)["metrics"]
    assert metrics["test/mase"] < metrics["test/mase/last_value"]
    forget(module)
    again = json.loads(unroll("evaluate", "forecasting", "--data", "loads.csv", "--home", "home", "--json").stdout)
    assert np.isfinite(again["metrics"]["data/mase"])


@pytest.mark.parametrize(
    ("key", "name", "told"),
    [
        ("model.build", "no_such_module_of_mine:build", "there is no module 'no_such_module_of_mine'"),
        ("model.build", "MODULE:clasifier", "has no 'clasifier'. Did you mean classifier?"),
        ("model.build", "MODULE:number", "is a int. Name a function or a class"),
        ("model.build", "MODULE:nothing", "returned a NoneType, not a keras.Model. A sentiment model takes int32 ids"),
        ("model.build", "MODULE:raises", "raised KeyError: 'units_of_hidden' ("),
        (
            "model.build",
            "MODULE:two_classes_more",
            "returns float32 [2, 4] for ids int32 [2, 7], not floats of the shape",
        ),
        ("model.build", "MODULE:of_all_places", "answers a text differently when more padding stands behind it"),
        ("model.build", "classifier", "must be module:name, such as my_module:build_model. Received: 'classifier'"),
        ("train.loss", "MODULE:number", "is a int. Name a function (y_true, y_pred) or a keras.losses.Loss"),
        ("train.optimizer", "MODULE:Seen", "raised TypeError"),
        ("train.optimizer", "keras.losses:BinaryCrossentropy", "raised TypeError"),
        ("train.callbacks", "MODULE:watches_nothing", "made a int. Name what makes a keras.callbacks.Callback"),
        ("train.loss", "MODULE:loss_that_raises", "raised"),
    ],
)
def test_a_mistake_is_told_in_a_line_that_names_key_and_object(module, key, name, told, reviews_csv, home):
    options = [f"{key}={name.replace('MODULE', module)}", "model.units=4", "model.members=1", "model.ngram_buckets=0"]
    set_ = [one for option in options for one in ("--set", option)]
    done = unroll("train", "sentiment", "--data", reviews_csv, "--home", home, *set_, check=2)
    error = done.stderr.strip().splitlines()[-1]
    assert f"configuration key {key}" in error
    assert told in error
    assert not list(home.glob("store/[!.]*"))


def test_a_module_that_fails_says_where(tmp_path, monkeypatch):
    (tmp_path / "broken_users_own.py").write_text("import keras\n\nimport no_such_package_at_all\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r"cannot be imported: ModuleNotFoundError: .*no_such_package.*_own.py, line 3\)"
    ):
        UserObject("train.loss", "broken_users_own:loss")


def test_a_changed_module_is_another_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("digested_users_own.py").write_text("loss = len\n")
    before = UserObject("train.loss", "digested_users_own:loss").digest()
    Path("digested_users_own.py").write_text("loss = sum\n")
    assert UserObject("train.loss", "digested_users_own:loss").digest() != before


def test_an_image_encoder_of_ones_own_is_what_the_captioner_reads(module):
    shapes(90).to_parquet("shapes.parquet")
    options = ["data.split=split", "data.size=32", f"model.encoder={module}:encoder", "model.units=8", "train.epochs=1"]
    set_ = [one for option in options for one in ("--set", option)]
    done = unroll("train", "captioning", "--data", "shapes.parquet", "--home", "home", "--name", "own", "--json", *set_)
    forget(module)
    pictures = np.array(list(shapes(3, seed=1).image), object)
    maps = Exported(Path(json.loads(done.stdout)["path"])).predict({"image": pictures}, "attention")["maps"]
    assert maps.shape[0] == 3
    assert maps.shape[2:] == (4, 4), "three convolutions of stride 2 over 32 pixels"


def test_a_captioner_of_ones_own_is_searched_as_ours(module):
    shapes(90).to_parquet("shapes.parquet")
    options = ["data.split=split", "data.size=32", f"model.build={module}:captioner", "train.epochs=1", "model.beams=2"]
    set_ = [one for option in options for one in ("--set", option)]
    done = unroll("train", "captioning", "--data", "shapes.parquet", "--home", "home", "--name", "own", "--json", *set_)
    forget(module)
    document = json.loads(done.stdout)
    assert document["metrics"]["test/bleu1"] >= 0
    exported = Exported(Path(document["path"]))
    pictures = np.array(list(shapes(3, seed=1).image), object)
    answer = exported.predict({"image": pictures})
    assert answer["alternatives"].shape == (3, 1)
    assert (answer["log_probability"] < 0).all()
    assert json.loads(exported.predict({}, "describe")["json"].item())["attention"] is False
    again = load("own", home="home")
    assert again.predict(list(pictures))["caption"].tolist() == [caption.decode() for caption in answer["caption"]]
    given = {"pictures": np.zeros([1, 32, 32, 3], np.float32), "ids": np.array([[2, 4, 3]]), "rows": np.array([0])}
    assert again.keras(given)["logits"].shape[:2] == (1, 2)


WHOLE = """
import keras


def reads(info, direction, vocabulary=None):
    pictures, ids = keras.Input([info.size, info.size, 3], name="pictures"), keras.Input([None], name="ids")
    seen = keras.layers.Dense(8)(keras.layers.GlobalAveragePooling2D()(pictures))
    said = keras.layers.Embedding(info.vocabulary, 8)(ids)
    said = direction(keras.layers.GRU(8, return_sequences=True))(said)
    said = keras.layers.Add()([said, keras.layers.Dense(said.shape[-1])(keras.layers.Reshape([1, 8])(seen))])
    return keras.Model([pictures, ids], keras.layers.Dense(vocabulary or info.vocabulary)(said))


def whole(info, section):
    return reads(info, lambda layer: layer)


def ahead(info, section):
    return reads(info, keras.layers.Bidirectional)


def few(info, section):
    return reads(info, lambda layer: layer, 7)


def half(info, section):
    return whole(info, section), None
"""


def test_a_captioner_of_one_model_is_tried_before_the_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("whole_captioners.py").write_text(WHOLE)
    info = PictureInfo(size=16, vocabulary=12, max_length=6)
    captioner = user_captioner("whole_captioners:whole", None, info, 0.1)
    pictures = tf.random.uniform([2, 16, 16, 3], maxval=255)
    memory, state = captioner.start(captioner.encode(pictures))
    said = greedy(captioner.step, state, memory, tf.fill([2, 1], START), 5, SPECIAL_IDS).ids.numpy()
    ids = np.full([2, 1], START, np.int32)
    for _ in range(said.shape[1]):
        logits = captioner.decode(pictures, tf.constant(ids))[:, -1].numpy()
        logits[:, [0, 1, START]] = -np.inf
        ids = np.concatenate([ids, logits.argmax(axis=1)[:, None].astype(np.int32)], axis=1)
    ended = np.cumsum(np.cumsum(ids[:, 1:] == END, axis=1), axis=1) > 1
    np.testing.assert_array_equal(said, np.where(ended, 0, ids[:, 1:]))
    for name, words in {
        "ahead": "whose logits of a token depend on those behind it",
        "few": "returns float32 [2, 5, 7] for pictures float32 [2, 16, 16, 3], ids int32 [2, 5]",
        "half": "returned a tuple, not a keras.Model",
    }.items():
        with pytest.raises(UserError) as caught:
            user_captioner(f"whole_captioners:{name}", None, info, 0.0)
        assert words in str(caught.value)
        assert str(caught.value).endswith("docs/own.md")
    with pytest.raises(UserError, match=r"build='a:b' and backbone='MobileNet' name two encoders"):
        load_config(CaptionConfig, overrides=["model.build=a:b", "model.backbone=MobileNet"])
