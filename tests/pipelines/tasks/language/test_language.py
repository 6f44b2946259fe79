"""Models of text by their public doors: the command, the exported graph, the server, the clients."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.conftest import unroll
from tests.serving_fixtures import Server, running_server, suggested
from tests.untrained_models import export, untrained
from unroll.errors import UserError
from unroll.models.ensemble import averaged
from unroll.models.layers.encoder import CELLS
from unroll.models.tokens import RESERVED, START, UNKNOWN
from unroll.monitoring.profile import ReferenceProfile
from unroll.pipelines.registry import task_named
from unroll.pipelines.training.exported import Exported
from unroll.pipelines.training.fit import fit
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.training.signature import in_process
from unroll.serving import AsyncClient, Client, ServingError

WORDS = ["sun", "moon", "rain", "snow", "wind", "cloud", "river", "hill"]
TINY = {"cell": "gru", "units": 8, "embedding": 4, "dropout": 0.1}


def rhyme(lines: int, seed: int = 0) -> str:
    """Lines in which each word but the first follows from the one before it."""
    rng, text = np.random.default_rng(seed), ""
    for _ in range(lines):
        word = int(rng.integers(len(WORDS)))
        text += " ".join(WORDS[(word + 3 * i) % len(WORDS)] for i in range(int(rng.integers(3, 7)))) + "\n"
    return text


def prepared(folder: Path, model=None, train=None, lines=60, **data):
    """The task on a rhyme."""
    kind = task_named("language")
    (folder / "rhyme.txt").write_text(rhyme(lines))
    (folder / "prepared").mkdir()
    settings = {"batch_size": 4, "chunk": 10, **(train or {})}
    config = kind.Config.model_validate({"data": data, "model": {**TINY, **(model or {})}, "train": settings})
    kind.prepare(config, str(folder / "rhyme.txt"), folder / "prepared", Progress())
    return kind(config, folder / "prepared")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict:
    """What `unroll train language --json` said, its `home`, its `text`."""
    folder = tmp_path_factory.mktemp("rhymes")
    (folder / "rhymes.txt").write_text(rhyme(1000))  # enough to be mixed with n-grams
    done = unroll(
        "train", "language", "--data", folder / "rhymes.txt", "--home", folder / "home", "--name", "rhymes", "--json",
        "--promote", "--set", "train.epochs=8", "--set", "train.batch_size=16", "--set", "train.chunk=25",
        "--set", "train.learning_rate=0.02", "--set", "model.units=32", "--set", "model.embedding=16",
        "--set", "model.cell=gru", "--set", "model.dropout=0",
    )  # fmt: skip
    return {**json.loads(done.stdout), "home": folder / "home", "said": done.stderr, "data": folder / "rhymes.txt"}


@pytest.fixture(scope="module")
def exported(trained) -> Exported:
    return Exported(Path(trained["path"]))


@pytest.fixture(scope="module")
def server(trained) -> Iterator[Server]:
    yield from running_server(trained["home"])


def texts(*several: str) -> dict[str, np.ndarray]:
    return {"text": np.array([one.encode() for one in several], object)}


def test_what_is_exported_twice_learns_the_validation_split_once(tmp_path):
    task = prepared(tmp_path, lines=1000)
    model = untrained(task)
    task.compile(model, keras.optimizers.Adam())
    weights = model.get_weights()
    first, again = task.servable(model), task.servable(model)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    for servable in (first, again):
        assert any("validation split is learnt, too" in line for line in servable.said)
        assert np.any(servable.network.get_weights()[1] != weights[1])
    asked = texts("sun cloud moon")
    one, other = (servable.predict_validation(asked, "score")["log_probability"] for servable in (first, again))
    np.testing.assert_allclose(one, other, rtol=1e-5)


def looped(exported: Exported, prompt: str, length: int) -> str:
    """The likeliest characters, by a loop over `step`."""
    going = exported.predict(texts(prompt), "read")
    found = ""
    pieces = json.loads(exported.predict({}, "describe")["json"].item())["units"]
    for _ in range(length):
        answer = exported.predict(going, "step")
        logits = answer.pop("logits")
        logits[:, :RESERVED] = -np.inf
        going = {**answer, "id": logits.argmax(axis=1).astype(np.int32)}
        found += pieces[int(going["id"][0])]
    return found


def test_it_foresees_text_better_than_n_grams_that_see_too_little(trained):
    metrics = trained["metrics"]
    nats = metrics["test/nats_per_character"]
    assert nats < 1.1 < metrics["baseline/test/nats_per_character/uniform"]
    assert metrics["test/bits_per_character"] == pytest.approx(nats / np.log(2))
    assert metrics["test/perplexity"] == pytest.approx(np.exp(nats)), "a unit is a character"
    for name in ("ngram", "zlib", "lzma"):
        assert 0 < metrics[f"baseline/test/nats_per_character/{name}"] < np.log(30)
    assert trained["comparison"]["baseline"] == "ngram"
    assert "of a running text, cut in this order: train" in trained["said"]


def test_scores_are_those_of_one_long_pass(trained, exported):
    """The test split of a running text, read from its begin: what windows with their context come to."""
    text = trained["data"].read_text()
    begin = int(0.9 * len(text))
    answer = exported.predict({**texts(text[begin:]), "context": texts(text[:begin])["text"]}, "score")
    assert answer["characters"][0] == len(text) - begin
    mean = -answer["log_probability"][0] / answer["characters"][0]
    assert mean == pytest.approx(trained["metrics"]["test/nats_per_character"], rel=1e-3)
    alone = exported.predict(texts(text[begin:]), "score")
    assert b"".join(alone["units"][0]).decode() == text[begin:]
    assert alone["log_probability"][0] == pytest.approx(alone["log_probabilities"][0].sum(), rel=1e-5)
    assert alone["log_probability"][0] < answer["log_probability"][0], "a context helps"
    prompt = exported.predict({**texts(text[begin:]), "length": np.array([0], np.int32)})
    assert prompt["surprise"][0] == pytest.approx(-alone["log_probability"][0] / answer["characters"][0], rel=1e-5)


def check_parts(exported: Exported, prompt: str) -> None:
    """A text that is written in parts is that which is written at once."""
    going = exported.predict(texts(prompt), "read")
    asked = {**texts(prompt), "length": np.array([12], np.int32), "seed": np.array([4])}
    written, seed = exported.predict(asked)["continuation"][0], 4 ^ going["seed"]
    first = exported.predict(
        {**going, "position": np.array([0]), "length": np.array([5], np.int32), "seed": seed}, "write"
    )
    rest = exported.predict({**first, "length": np.array([7], np.int32), "seed": seed}, "write")
    assert first["text"][0] + rest["text"][0] == written


def test_a_text_may_be_written_in_parts(exported):
    check_parts(exported, rhyme(12)[:300])  # longer than what is read at once


def test_greedy_is_the_loop_over_steps(exported):
    asked = {
        **texts("sun ", "", "moon s"),
        "temperature": np.zeros(3, np.float32),
        "length": np.array([25, 9, 3], np.int32),
    }
    written = [one.decode() for one in exported.predict(asked)["continuation"]]
    assert written == [looped(exported, "sun ", 25), looped(exported, "", 9), looped(exported, "moon s", 3)]


def test_each_row_has_settings_of_its_own(exported):
    asked = {**texts("sun ", "sun ", "sun "), "length": np.full(3, 40, np.int32)}
    same = exported.predict({**asked, "seed": np.full(3, 5)})["continuation"]
    assert len({*same}) == 1
    seeds = exported.predict({**asked, "seed": np.array([5, 6, 7])})["continuation"]
    assert len({*seeds}) == 3
    assert seeds[0] == same[0]
    stopped = exported.predict({**asked, "seed": np.array([5, 6, 7]), "stop": np.array([[b"\n", b"zz"]] * 3, object)})
    assert [one.partition(b"\n")[0] for one in seeds] == list(stopped["continuation"])


def test_a_search_finds_what_is_likelier_than_the_likeliest_units(exported):
    prompts = texts("sun ", "wind", "moon rain")
    cold = {**prompts, "temperature": np.zeros(3, np.float32), "length": np.full(3, 12, np.int32)}
    greedy = exported.predict(cold)
    one = exported.predict({**cold, "beam": np.ones(3, np.int32)})
    assert [*one["continuation"]] == [*greedy["continuation"]]
    found = exported.predict({**cold, "beam": np.array([8, 1, 4], np.int32)})
    assert found["continuation"][1] == greedy["continuation"][1], "a row depends on itself alone"
    assert (found["log_probability"] >= greedy["log_probability"] - 1e-4).all()
    scored = exported.predict({"text": found["continuation"], "context": prompts["text"]}, "score")
    np.testing.assert_allclose(scored["log_probability"], found["log_probability"], atol=1e-3)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"beam": np.array([17], np.int32)}, "Input 'beam': expected 1 to 16 hypotheses"),
        ({"beam": np.array([2], np.int32), "length": np.array([1001], np.int32)}, "a search writes at most 1000"),
        ({"beam": np.array([2], np.int32), "stop": np.array([[b"a"]], object)}, "a search does not end at a text"),
        ({"length": np.array([-1], np.int32)}, "Input 'length': expected 0 to 100000 units"),
        ({"temperature": np.array([np.nan], np.float32)}, "Input 'temperature': expected 0 to 100"),
        ({"temperature": np.array([-1], np.float32)}, "Input 'temperature': expected 0 to 100"),
        ({"temperature": np.array([np.inf], np.float32)}, "Input 'temperature': expected 0 to 100"),
        ({"top_p": np.array([1.5], np.float32)}, "Input 'top_p': expected a share from 0 to 1"),
        ({"top_p": np.array([np.nan], np.float32)}, "Input 'top_p': expected a share from 0 to 1"),
        ({"top_k": np.array([-2], np.int32)}, "Input 'top_k': expected 0, for all"),
    ],
)
def test_what_would_be_misread_is_refused(exported, inputs, said):
    with pytest.raises(Exception, match=said):
        exported.predict({**texts("sun"), **inputs})


def test_clients_are_given_pieces_of_what_is_written_at_once(server, exported):
    asked = {**texts("sun "), "length": np.array([50], np.int32), "seed": np.array([3])}
    whole = exported.predict(asked)["continuation"][0].decode()
    with Client(server.address, model="rhymes") as client:
        pieces = list(client.generate("sun ", 50, seed=3, piece=16))
        assert [len(piece) for piece in pieces] == [16, 16, 16, 2]
        assert "".join(pieces) == whole
        stop = whole[20:23]
        assert "".join(client.generate("sun ", 50, seed=3, stop=stop)) == whole[: whole.index(stop)]
        ((total, characters),) = client.log_probability(["sun rain"])
        assert characters == 8
        assert total == pytest.approx(exported.predict(texts("sun rain"), "score")["log_probability"][0], rel=1e-4)
        assert client.log_probability(["rain"], context="sun ")[0][0] == pytest.approx(
            total - client.log_probability(["sun "])[0][0], abs=1e-4
        )
        with pytest.raises(UserError, match="context: expected a text, received int: 3"):
            client.log_probability(["rain"], context=3)
        state = client.predict(texts("a"), "read")
        state = {name: state[name] for name in state if name != "seed"}
        with pytest.raises(ServingError, match="expected numbers from 0 to"):
            client.predict({**state, "id": [10_000]}, "step")
        with pytest.raises(ServingError, match="Input 'state_0': expected the state as it was answered, received NaN"):
            client.predict({**state, "state_0": np.full_like(state["state_0"], np.nan)}, "step")
        with pytest.raises(UserError, match=r"rhymes: its answer has no 'translation', which translate\(\) reads"):
            client.translate(["sun"])

    async def gathered() -> str:
        async with AsyncClient(server.address, model="rhymes") as client:
            return "".join([piece async for piece in client.generate("sun ", 50, seed=3)])

    assert asyncio.run(gathered()) == whole


def test_other_texts_have_other_draws(exported):
    seeds = exported.predict(texts("sun ", "moon ", "sun "), "read")["seed"]
    assert seeds[0] == seeds[2] != seeds[1]
    hot = {"temperature": np.array([100] * 2, np.float32), "length": np.array([80] * 2, np.int32)}
    one, other = exported.predict({**texts("sun ", "moon "), **hot})["continuation"]
    # all is about as likely, so that the same draws would write the same
    assert sum(a == b for a, b in zip(one, other, strict=True)) < 40


def test_the_terminal_shows_the_prompt_and_what_follows(server, exported):
    with Client(server.address, model="rhymes") as client:
        expected = "sun " + "".join(client.generate("sun "))
    assert "predict rhymes --input TEXT_OR_FILE" in " ".join(suggested(server))
    done = unroll("predict", "rhymes", "--server", server.address, "--input", "sun ")
    assert done.stdout == f"{expected}\n"
    assert done.stderr == ""
    strange = unroll("predict", "rhymes", "--server", server.address, "--input", "ωω sun")
    assert "2 of 6 characters of the prompt are unknown to the model" in strange.stderr
    told = json.loads(unroll("predict", "rhymes", "--server", server.address, "--input", "sun ", "--json").stdout)
    assert "sun " + told["predictions"][0]["continuation"] == expected
    assert told["predictions"][0]["characters"] == 4


def test_the_profile_watches_surprise_unknown_characters_and_length(trained, exported):
    profile = ReferenceProfile.load(Path(trained["path"]))
    assert set(profile.variables) == {"surprise", "unknown", "characters"}
    strange = exported.predict({**texts("ωωωω" * 20), "length": np.array([0], np.int32)})
    assert strange["unknown"][0] == 1
    assert strange["characters"][0] == 80
    odd = exported.predict({**texts("nus noom" * 5), "length": np.array([0], np.int32)})
    assert odd["surprise"][0] > 2 * trained["metrics"]["test/nats_per_character"]


def test_further_data_is_scored_by_the_command(trained, tmp_path):
    (tmp_path / "more.txt").write_text(rhyme(40, seed=9))
    told = json.loads(
        unroll("evaluate", "rhymes", "--data", tmp_path / "more.txt", "--home", trained["home"], "--json").stdout
    )
    assert told["metrics"]["data/nats_per_character"] < 1.2


@pytest.mark.slow  # a GRU is asked above, and the cells' own tests export their steps
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_is_exported_and_carries_its_state(tmp_path, cell):
    settings = {"cell": cell, "window": 16, "layers": 2, "members": 2, "recurrent_dropout": 0.1}
    task = prepared(tmp_path, settings)
    model = untrained(task)
    exported = export(task, model, tmp_path / "exported")
    prompt = rhyme(9)[:300]  # longer than what is read at once
    pieces = json.loads(exported.predict({}, "describe")["json"].item())["units"]
    ids = [START, *map(pieces.index, prompt)]
    read = tf.constant([ids])
    logits = averaged([one.head(one.stack(one.embedding(read))) for one in model.networks])[0]
    found = exported.predict(texts(prompt, "sun"), "score")["log_probabilities"][0]
    expected = tf.gather(tf.nn.log_softmax(logits[:-1]), ids[1:], batch_dims=1)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    going = exported.predict(texts(prompt), "read")
    np.testing.assert_allclose(exported.predict(going, "step")["logits"][0], logits[-1], atol=2e-4)
    check_parts(exported, prompt)


def test_words_are_scored_by_the_character_and_documents_end(tmp_path):
    task = prepared(tmp_path, unit="word", min_count=2, document="line")
    assert "words" in task.summary()
    answer = in_process(task.servable(untrained(task)).signatures)
    text = "sun moon sunder rain"
    scored = answer(texts(text), "score")
    units = [one.decode() for one in scored["units"][0]]
    assert "".join(units) == text
    assert units[:3] == ["sun", " moon", " "], "what is not known is spelled"
    assert scored["characters"][0] == len(text)
    assert scored["log_probability"][0] == pytest.approx(scored["log_probabilities"].sum(), rel=1e-5)
    halves = answer({**texts("der\nrain"), "context": texts("sun moon sun")["text"]}, "score")
    assert b"".join(halves["units"][0]).decode() == "der\ufffdrain"
    known = halves["ids"][0] != UNKNOWN
    assert halves["characters"][0] == 7, "no line holds the end of one"
    assert halves["log_probability"][0] == pytest.approx(halves["log_probabilities"][0][known].sum(), rel=1e-5)
    evaluation = task.evaluate(task.dataset_info(), task.held_out("", "test"), answer, Progress())
    assert evaluation.metrics["perplexity"] > np.exp(evaluation.metrics["nats_per_character"])
    baselines = task.baselines({"validation": evaluation, "test": evaluation}, Progress())
    assert len(baselines.losses["ngram"]) == len(evaluation.losses.model)
    many = answer({**texts(*[""] * 40), "seed": np.arange(40), "length": np.full(40, 60, np.int32)})
    assert min(map(len, many["continuation"])) < 60, "a document ends"


def test_a_running_text_never_ends(exported):
    many = exported.predict({**texts(*[""] * 40), "seed": np.arange(40), "length": np.full(40, 60, np.int32)})
    assert set(map(len, many["continuation"])) == {60}


def test_pictures_show_gradients_and_features(tmp_path):
    task = prepared(tmp_path)
    model = untrained(task)
    figures = task.figures(model)
    (line,) = figures["gradient_by_timestep.png"].axes[0].lines
    assert list(line.get_xdata()) == list(range(-9, 1)), "a chunk"
    assert np.all(line.get_ydata() > 0)
    panels = figures["features.png"].axes
    assert len(panels) == 4
    shown = "".join(text.get_text() for text in panels[0].texts)
    text = (tmp_path / "rhyme.txt").read_text()
    begin, end = int(0.8 * len(text)), int(0.9 * len(text))
    assert shown == text[begin:end].replace("\n", "↵").replace(" ", "")


def train_rhyme(folder: str, checkpoint: str, on_epoch=lambda metrics, epoch: None) -> keras.Model:
    """Trains on a corpus that is prepared."""
    kind = task_named("language")
    settings = {"epochs": 3, "batch_size": 4, "chunk": 10, "learning_rate": 0.02}
    task = kind(kind.Config.model_validate({"model": TINY, "train": settings}), Path(folder))
    keras.utils.set_random_seed(5)
    model = task.build()
    fit(task, model, Path(checkpoint), Progress(), on_epoch)
    return model


def test_a_training_that_was_cut_off_ends_as_an_uninterrupted_one(tmp_path):
    prepared(tmp_path)

    def keep(metrics, epoch):
        if epoch == 1:  # what a kill would leave behind
            shutil.copy(tmp_path / "whole.npz", tmp_path / "cut.npz")

    whole = train_rhyme(str(tmp_path / "prepared"), str(tmp_path / "whole.npz"), keep)
    resumed = train_rhyme(str(tmp_path / "prepared"), str(tmp_path / "cut.npz"))
    for one, other in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_a_table_of_prompts_is_scored_into_a_file(server, tmp_path):
    pd.DataFrame({"text": ["sun ", "moon "], "who": ["a", "b"]}).to_csv(tmp_path / "asked.csv", index=False)
    asked = ("--input", tmp_path / "asked.csv", "--output", tmp_path / "o.csv")
    unroll("predict", "rhymes", "--server", server.address, *asked)
    answered = pd.read_csv(tmp_path / "o.csv")
    assert answered.who.tolist() == ["a", "b"]
    assert {"continuation", "surprise", "log_probability"} <= set(answered.columns)
