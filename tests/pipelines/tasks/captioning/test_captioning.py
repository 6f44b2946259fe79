"""Captioning by its public interfaces: the command, the exported graph, the server."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw
from pydantic import ValidationError

from tests.conftest import ROOT, unroll
from tests.pipelines.test_input_checks import check_every_input
from tests.serving_fixtures import Server, running_server
from unroll import serving
from unroll.api import load
from unroll.errors import UserError
from unroll.models.image import decode_picture
from unroll.models.tokens import END, PADDING, RESERVED, START, UNKNOWN
from unroll.pipelines.registry import task_named
from unroll.pipelines.tasks.captioning.vocabulary import words
from unroll.pipelines.training.card import Card
from unroll.pipelines.training.exported import Exported
from unroll.serving.engine.session_engine import SessionEngine

COLOURS = {"red": (220, 30, 30), "green": (20, 160, 40), "blue": (30, 60, 220), "yellow": (240, 200, 0)}
SHAPES = ("disc", "pole", "bar")
SMALL = [
    "--set", "data.size=32", "--set", "model.filters=8", "--set", "model.blocks=1", "--set", "model.units=32",
    "--set", "model.embedding=16", "--set", "model.dropout=0", "--set", "model.grid_dropout=0",
    "--set", "train.epochs=12", "--set", "train.batch_size=8", "--set", "train.learning_rate=0.004",
    "--set", "train.label_smoothing=0", "--set", "train.colour=0",
]  # fmt: skip


def picture(colour: str, shape: str, rng: np.random.Generator, kind: str = "PNG") -> bytes:
    """A coloured shape somewhere on grey, encoded."""
    image = Image.new("RGB", (40, 40), (235, 235, 235))
    draw, (x, y) = ImageDraw.Draw(image), rng.integers(3, 15, 2)
    box = {
        "disc": (x, y, x + 20, y + 20),
        "pole": (x + 6, y - 2, x + 11, y + 24),
        "bar": (x - 2, y + 6, x + 24, y + 11),
    }
    (draw.ellipse if shape == "disc" else draw.rectangle)(tuple(map(int, box[shape])), fill=COLOURS[colour])
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def shapes(count: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        colour, shape = str(rng.choice(list(COLOURS))), str(rng.choice(SHAPES))
        split = "test" if number % 6 == 0 else "val" if number % 6 == 1 else "train"
        rows.append({
            "image": picture(colour, shape, rng), "caption": f"A {colour} {shape}.", "split": split, "shape": shape,
        })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def captioner(tmp_path_factory) -> dict:
    """What `unroll train captioning --json` said, its `home` and its `data`."""
    folder = tmp_path_factory.mktemp("captioning")
    shapes(360).to_parquet(folder / "shapes.parquet")
    done = unroll(
        "train", "captioning", "--data", folder / "shapes.parquet", "--home", folder / "home", "--name", "shapes",
        "--json", "--set", "data.split=split", "--set", "data.group=shape", *SMALL,
    )  # fmt: skip
    return {**json.loads(done.stdout), "home": folder / "home", "data": folder / "shapes.parquet", "said": done.stderr}


@pytest.fixture(scope="module")
def exported(captioner) -> Exported:
    return Exported(Path(captioner["path"]))


@pytest.fixture(scope="module")
def server(captioner) -> Iterator[Server]:
    yield from running_server(captioner["home"])


def test_split(captioner) -> pd.DataFrame:
    table = pd.read_parquet(captioner["data"])
    return table[table.split == "test"]


test_split.__test__ = False  # type: ignore[attr-defined]


def encoded(*pictures: bytes) -> dict[str, np.ndarray]:
    return {"image": np.array(pictures, object)}


def test_it_learns_what_the_pictures_show(captioner):
    metrics = captioner["metrics"]
    assert metrics["test/exact_match"] > 0.9
    assert metrics["baseline/test/exact_match/most_common"] < 0.3
    assert metrics["baseline/test/rouge_l/nearest"] > metrics["baseline/test/rouge_l/most_common"]
    assert {"test/bleu4", "test/cider", "test/rouge_l", "test/word_recall", "test/bleu4/bar"} <= metrics.keys()


def test_exact_match_is_that_of_the_served_model(captioner, exported):
    table = test_split(captioner)
    answers = exported.predict(encoded(*table.image))
    said = [caption.decode() for caption in answers["caption"]]
    right = [one == caption.lower() for one, caption in zip(said, table.caption, strict=True)]
    assert captioner["metrics"]["test/exact_match"] == pytest.approx(np.mean(right))


def test_the_export_says_what_the_training_model_says(captioner, exported):
    import tensorflow as tf

    card = Card.load(exported.directory)
    task = task_named("captioning")
    (prepared,) = (captioner["home"] / "cache" / "data").iterdir()
    model = task(task.Config.model_validate(card.config), prepared).build()
    reader = tf.train.load_checkpoint(str(exported.directory / "variables" / "variables"))
    model.set_weights([reader.get_tensor(f"weights/{i}/.ATTRIBUTES/VARIABLE_VALUE") for i in range(len(model.weights))])

    pictures = test_split(captioner).image[:8]
    answers = exported.predict(encoded(*pictures))
    tokens = (prepared / "vocabulary.txt").read_text().splitlines()
    ids = [
        [START, *(RESERVED + tokens.index(token) for token in words(caption.decode())), END]
        for caption in answers["caption"]
    ]
    pixels = np.stack([decode_picture(tf.constant(one), 32) for one in pictures]).astype(np.float32)
    logits = model({"pictures": pixels, "ids": tf.constant(ids), "rows": tf.range(8)})["logits"].numpy()
    logits[:, :, [PADDING, UNKNOWN, START]] = -np.inf  # which is never said
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = np.take_along_axis(log_p, np.array(ids)[:, 1:, None], axis=2).sum(axis=(1, 2))
    np.testing.assert_allclose(answers["log_probability"], expected, atol=1e-4)


def test_alternatives_are_other_captions_less_likely(captioner, exported):
    answers = exported.predict(encoded(*test_split(captioner).image))
    assert answers["alternatives"].shape == answers["alternative_log_probabilities"].shape == (60, 3)
    for caption, others in zip(answers["caption"], answers["alternatives"], strict=True):
        assert len({caption, *others}) == 4
    assert (answers["log_probability"] <= 0).all()
    assert answers["embedding"].shape == (60, 8)


def test_rows_do_not_depend_on_their_neighbours(captioner, exported):
    table = test_split(captioner)
    together = exported.predict(encoded(*table.image[:8]))
    for row, one in enumerate(table.image[:8]):
        alone = exported.predict(encoded(one))
        assert alone["caption"][0] == together["caption"][row]
        np.testing.assert_allclose(alone["log_probability"][0], together["log_probability"][row], atol=1e-4)


def test_samples_are_drawn_by_seed(captioner, exported):
    pictures = encoded(*list(test_split(captioner).image[:1]) * 40)

    def draw(**settings):
        given = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "seed": 0} | settings
        kinds = {"temperature": np.float32, "top_k": np.int32, "top_p": np.float32, "seed": np.int64}
        arrays = {name: np.broadcast_to(np.asarray(value, kinds[name]), [40]) for name, value in given.items()}
        return exported.predict({**pictures, **arrays}, "sample")["caption"]

    assert len(set(draw(temperature=8.0, seed=np.arange(40)))) > 10
    assert len(set(draw(temperature=8.0))) == 1
    assert len(set(draw(temperature=8.0, top_k=1, seed=np.arange(40)))) == 1
    np.testing.assert_array_equal(draw(temperature=8.0, seed=np.arange(40)), draw(temperature=8.0, seed=np.arange(40)))


def test_maps_say_where_each_word_looked(captioner, exported):
    answers = exported.predict(encoded(*test_split(captioner).image[:5]), "attention")
    tokens, maps = answers["tokens"], answers["maps"]
    assert maps.shape[:2] == tokens.shape
    assert maps.shape[2] == maps.shape[3]
    np.testing.assert_allclose(maps.sum(axis=(2, 3)), 1, atol=1e-4)
    assert [tokens[0][0], next(one for one in tokens[0][::-1] if one)] == [b"a", b"."]


def test_the_saved_model_runs_in_a_v1_session_without_keras(captioner, exported, tmp_path):
    pictures = [*test_split(captioner).image[:4], picture("red", "bar", np.random.default_rng(0), "JPEG")]
    expected = exported.predict(encoded(*pictures))
    for number, one in enumerate(pictures):
        (tmp_path / str(number)).write_bytes(one)
    code = """
import sys
sys.modules["keras"] = None  # whoever imports it fails
from pathlib import Path
import tensorflow as tf
pictures = [file.read_bytes() for file in sorted(Path(sys.argv[2]).iterdir())]
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    model = tf.compat.v1.saved_model.loader.load(session, ["serve"], sys.argv[1])
    signature = model.signature_def["serving_default"]
    answer = session.run(signature.outputs["caption"].name, {signature.inputs["image"].name: pictures})
print(b"|".join(answer).decode())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, captioner["path"], str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == b"|".join(expected["caption"]).decode()


def test_a_bad_picture_is_refused_alone_and_says_why(captioner, server):
    good = test_split(captioner).image.iloc[0]
    with serving.Client(server.address, model="shapes") as client:
        with pytest.raises(serving.ServingError, match=r"GIF") as refused:
            client.predict({"image": [good, b"GIF89a and so on"]})
        assert refused.value.code.name == "INVALID_ARGUMENT"
        bomb = bytearray(good)
        bomb[16:24] = (60_000).to_bytes(4, "big") * 2
        with pytest.raises(serving.ServingError, match="60000 x 60000"):
            client.predict({"image": [bytes(bomb)]})
        with pytest.raises(serving.ServingError) as refused:
            client.predict({"image": [good[: len(good) // 2]]})
        assert refused.value.code.name == "INVALID_ARGUMENT"
        assert client.predict({"image": [good]})["caption"][0].startswith("a ")


def test_a_request_of_another_shape_is_refused(captioner, exported, server):
    engine = SessionEngine(exported.directory)
    check_every_input(engine)
    good = test_split(captioner).image.iloc[0]
    with serving.Client(server.address, model="shapes") as client:
        for signature in ("serving_default", "attention", "sample"):
            with pytest.raises(serving.ServingError) as refused:
                client.predict({"image": [[good]]}, signature)
            assert refused.value.message == "Input 'image': expected shape [n], received [n, 1]."
        with pytest.raises(serving.ServingError) as refused:
            client.predict({"image": [good] * 2, "temperature": [0.5]}, "sample")
        assert refused.value.message == "Input 'temperature': expected as many rows as 'image' has, 2, received 1."
        assert len(client.predict({"image": [good] * 2}, "sample")["caption"]) == 2, "one default for all"
        with pytest.raises(serving.ServingError, match="'temperature' and 'top_p': expected numbers, received NaN"):
            client.predict({"image": [good], "temperature": [float("nan")]}, "sample")
    sample = engine.signatures["sample"]
    defaults = [encoded(good, good).get(name, sample.defaults.get(name)) for name in sample.inputs]
    assert [len(output) for output in engine.run("sample", defaults)] == [2, 2], (
        "as stock TensorFlow Serving feeds them"
    )


def test_predict_captions_files(captioner, server, tmp_path):
    table = test_split(captioner)
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(table.image.iloc[number])
    plot = tmp_path / "maps.png"
    done = unroll(
        "predict", "shapes", "--input", tmp_path / "0.png", "--input", tmp_path / "1.png", "--server", server.address,
        "--json", "--plot", plot,
    )  # fmt: skip
    first, second = json.loads(done.stdout)["predictions"]
    assert first["image"].endswith("0.png")
    assert [first["caption"], second["caption"]] == [caption.lower() for caption in table.caption[:2]]
    assert len(first["alternatives"]) == 3
    assert Image.open(plot).width > 100


def test_tables_of_pictures_are_captioned_beside_their_columns(captioner, server, tmp_path):
    (tmp_path / "pictures").mkdir()
    table = test_split(captioner).head(3).reset_index(drop=True)
    for number, content in enumerate(table["image"]):
        (tmp_path / "pictures" / f"{number}.png").write_bytes(content)
    (tmp_path / "pictures" / "bad.png").write_bytes(b"no picture")
    named = ["pictures/0.png", "pictures/none.png", "pictures/1.png", "pictures/bad.png", "", "pictures/2.png"]
    pd.DataFrame({"nr": range(6), "image": named, "caption": "?"}).to_csv(tmp_path / "named.csv", index=False)
    table.assign(caption=None).to_parquet(tmp_path / "held.parquet")
    outputs = {"named.csv": "out.csv", "held.parquet": "out.parquet"}
    for name, output in outputs.items():
        done = unroll(
            "predict", "shapes", "--input", tmp_path / name, "--output", tmp_path / output, "--server", server.address,
        )  # fmt: skip
        assert ("3 of 6 rows have no answer, the first row 3: " in done.stderr) == (name == "named.csv")
    found, held = pd.read_csv(tmp_path / "out.csv"), pd.read_parquet(tmp_path / "out.parquet")
    assert found["nr"].tolist() == list(range(6))
    assert found["caption"].tolist() == ["?"] * 6
    captions = held["predicted_caption"].tolist()
    assert held["image"].tolist() == table["image"].tolist()
    assert found["predicted_caption"].fillna("").tolist() == [captions[0], "", captions[1], "", "", captions[2]]
    shown = unroll("predict", "shapes", "--input", tmp_path / "named.csv", "--server", server.address, "--json")
    assert json.loads(shown.stdout)["predictions"][0]["predicted_caption"] == captions[0]


def test_evaluate_scores_further_pictures(captioner, tmp_path):
    shapes(40, seed=9).rename(columns={"caption": "said"}).to_parquet(tmp_path / "more.parquet")
    done = unroll(
        "evaluate", "shapes", "--data", tmp_path / "more.parquet", "--home", captioner["home"], "--json",
        "--set", "data.caption=said",
    )  # fmt: skip
    assert json.loads(done.stdout)["metrics"]["data/exact_match"] > 0.8


def test_plots_and_words_are_kept_with_the_run(captioner):
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{captioner['home']}/mlflow.db")
    plots = {Path(file.path).name for file in client.list_artifacts(captioner["run_id"], "plots")}
    assert {"learning_curve.png", "contact_sheet.png", "attention.png"} <= plots
    tables = [Path(file.path).name for file in client.list_artifacts(captioner["run_id"], "tables")]
    assert tables == ["words,_most_frequent_first.csv"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"backbone": "mobilenetv3small"}, "is not a network of keras.applications. Did you mean MobileNetV3Small?"),
        ({"backbone": "xyz"}, "is not a network of keras.applications. Known: ConvNeXtBase, "),
        ({"weights": "imagenet"}, "weights='imagenet' are those of a backbone, and none is named. Add model.backbone"),
    ],
)
def test_a_wrong_backbone_is_refused_before_pictures_are_read(given, said):
    with pytest.raises(ValidationError) as caught:
        task_named("captioning").Config.model_validate({"model": given})
    assert said in str(caught.value)


def test_the_list_of_skipped_pictures_is_named(captioner):
    (prepared,) = (captioner["home"] / "cache" / "data").iterdir()
    kind = task_named("captioning")
    task = kind(kind.Config(), prepared)
    assert task.summary().splitlines()[0].endswith("skipped none")
    task._data.dataset_info["skipped"] = {"is empty": 2}
    assert task.summary().splitlines()[0].endswith(f"skipped 2 are empty (listed in {prepared / 'skipped.csv'})")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["--set", "model.backbone=ResNet999"], "model.backbone"),
        (["--set", "model.backbone=MobileNetV2", "--set", "model.weights=nowhere.h5"], "model.weights"),
        (["--set", "model.conditioning=magic"], "model.conditioning"),
        (["--set", "data.caption=nothing"], "nothing"),
    ],
)
def test_a_bad_setting_is_one_line(captioner, tmp_path, settings, said):
    done = unroll(
        "train", "captioning", "--data", captioner["data"], "--home", tmp_path, "--set", "data.split=split", *SMALL,
        *settings, check=2,
    )  # fmt: skip
    assert said in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "settings",
    [
        ["model.conditioning=show_and_tell", "model.cell=gru", "data.vocabulary=character"],
        ["model.conditioning=karpathy", "model.cell=rnn", "data.vocabulary=subword", "train.scheduled_sampling=0.2"],
        ["model.cell=tcn", "train.flip=all"],
        pytest.param(["model.cell=mingru", "model.layers=2"], marks=pytest.mark.slow),
        pytest.param(["model.cell=transformer", "data.vocabulary=character"], marks=pytest.mark.slow),
        pytest.param(["model.backbone=MobileNetV2", "train.flip=horizontal"], marks=pytest.mark.slow),
    ],
)
def test_every_kind_trains_and_is_exported(captioner, tmp_path, settings):
    options = [part for setting in settings for part in ("--set", setting)]
    done = unroll(
        "train", "captioning", "--data", captioner["data"], "--home", tmp_path, "--json", "--set", "data.split=split",
        *SMALL, "--set", "train.epochs=1", "--set", "train.batch_size=64", *options,
    )  # fmt: skip
    trained = json.loads(done.stdout)
    assert np.isfinite(list(trained["metrics"].values())).all()
    answers = Exported(Path(trained["path"])).predict(encoded(test_split(captioner).image.iloc[0]))
    assert answers["caption"].shape == (1,)
    attends = "conditioning" not in settings[0]
    assert Card.load(Path(trained["path"])).dataset_info["attention"] == attends


@pytest.mark.slow
def test_a_backbone_with_weights_learns_from_the_epoch_that_is_named(captioner, exported, tmp_path):
    import keras

    network = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(32, 32, 3))
    network.save_weights(tmp_path / "network.weights.h5")
    config = Card.load(exported.directory).config
    given = {"backbone": "MobileNetV2", "weights": str(tmp_path / "network.weights.h5")}
    config = {**config, "model": {**config["model"], **given}, "train": {**config["train"], "fine_tune": 1}}
    kind = task_named("captioning")
    (prepared,) = (captioner["home"] / "cache" / "data").iterdir()
    task = kind(kind.Config.model_validate(config), prepared)
    model = task.build()
    task.compile(model, keras.optimizers.Adam(0.01))
    model.optimizer.build(model.trainable_variables)

    def changed(epoch: int) -> tuple[bool, bool]:
        task.begin_epoch(model, epoch)
        before = [model.encoder.get_weights(), model.decoder.get_weights()]
        model.fit(task.train_batches(epoch).take(1), verbose=0)
        after = [model.encoder.get_weights(), model.decoder.get_weights()]
        return tuple(
            any((x != y).any() for x, y in zip(*pair, strict=True)) for pair in zip(before, after, strict=True)
        )

    expected = [one.tobytes() for one in network.get_weights()]
    assert [one.tobytes() for one in model.encoder.get_weights()] == expected, "the file's weights"
    assert changed(epoch=0) == (False, True)
    assert changed(epoch=1) == (True, True)


def test_python_takes_paths_and_bytes(captioner, tmp_path, monkeypatch):
    model = load("shapes", home=captioner["home"])
    table = test_split(captioner).head(6)
    for number, content in enumerate(table.image):
        (tmp_path / f"{number}.png").write_bytes(content)
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    captions = list(model.predict(table).caption)
    assert captions == [one.decode() for one in Exported(model.path).predict(encoded(*table.image))["caption"]]
    assert list(model.predict(pd.DataFrame({"image": paths})).caption) == captions
    assert list(model.predict(paths).caption) == captions
    monkeypatch.chdir(tmp_path)
    relative = table.assign(image=[path.name for path in paths])
    assert list(model.predict(relative).caption) == captions
    assert model.evaluate(relative) == model.evaluate(table)
    (tmp_path / "0.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="inputs: row 0: shapes refused it"):
        model.predict(relative)
    with pytest.raises(UserError, match="no file that column 'image' of the DataFrame names can be read"):
        model.evaluate(table.assign(image="nowhere.png"))


def test_mlflow_itself_loads_a_captioner(captioner, exported, monkeypatch):
    database = f"sqlite:///{captioner['home']}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)  # which MLflow changes; put back afterwards
    mlflow.set_tracking_uri(database)
    mlflow.set_registry_uri(database)
    model = mlflow.pyfunc.load_model(f"models:/{captioner['name']}@champion")
    assert str(model.metadata.signature.inputs.inputs[0].type) == "DataType.binary"
    pictures = np.array(list(test_split(captioner).image[:5]), object)
    answered = model.predict(pd.DataFrame({"image": pictures}))
    expected = exported.predict({"image": pictures})
    assert list(answered.caption) == [caption.decode() for caption in expected["caption"]]
    np.testing.assert_allclose(answered.log_probability, expected["log_probability"], rtol=1e-4)
    assert len(model.predict(model.input_example)) == len(model.input_example)
