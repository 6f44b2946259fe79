"""Translators by their public doors: the command, the exported graph, the server, the client."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.conftest import unroll
from tests.serving_fixtures import SERVE, Server, start_server
from tests.untrained_models import export, prepared, untrained
from unroll.models.tokens import END, PADDING, RESERVED, START, UNKNOWN
from unroll.monitoring.profile import ReferenceProfile
from unroll.pipelines.tasks.translation.pairs.files import Pair
from unroll.pipelines.tasks.translation.scores.baselines import dictionary, translation_baselines, word_for_word
from unroll.pipelines.training.exported import Exported
from unroll.serving import Client, ServingError

ANIMALS = {"dog": "Hund", "wolf": "Wolf", "bird": "Vogel", "frog": "Frosch"}
VERBS = {"runs": "rennt", "sleeps": "schläft", "sings": "singt", "jumps": "springt"}
COLOURS = {"red": "rote", "big": "große", "old": "alte"}


def pairs(count: int = 0) -> pd.DataFrame:
    """Sentences whose words stand in another order in German; of a count, the first ones in no order."""
    rows = [
        (f"now the {c} {a} {v} and {w}", f"jetzt {VERBS[v]} und {VERBS[w]} der {COLOURS[c]} {ANIMALS[a]}")
        for c in COLOURS for a in ANIMALS for v in VERBS for w in VERBS
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["source", "target"]).sample(frac=1, random_state=0)
    return table.head(count) if count else table


TINY = {"units": 8, "embedding": 8, "layers": 1, "cell": "gru", "length_penalty": 1.0, "dropout": 0.1}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict:
    """What `unroll train translation --json` said, its `home`."""
    folder = tmp_path_factory.mktemp("pairs")
    pairs().to_csv(folder / "pairs.tsv", sep="\t", index=False)
    done = unroll(
        "train", "translation", "--data", folder / "pairs.tsv", "--home", folder / "home", "--name", "animals",
        "--json", "--promote", "--set", "train.epochs=12", "--set", "train.batch_size=8",
        "--set", "train.learning_rate=0.02", "--set", "model.cell=mingru", "--set", "model.units=32",
        "--set", "model.embedding=16", "--set", "model.dropout=0", "--set", "data.vocabulary_size=60",
    )  # fmt: skip
    return {**json.loads(done.stdout), "home": folder / "home", "said": done.stderr}


@pytest.fixture(scope="module")
def exported(trained) -> Exported:
    return Exported(Path(trained["path"]))


@pytest.fixture(scope="module")
def server(trained) -> Iterator[Server]:
    running = start_server(*SERVE, "--store", str(trained["home"] / "store"), "--home", str(trained["home"]))
    yield running
    running.process.kill()
    running.process.wait()


def texts(*several: str, name: str = "text") -> dict[str, np.ndarray]:
    return {name: np.array([one.encode() for one in several], object)}


SOURCE, TARGET = "now the red wolf sings and jumps", "jetzt singt und springt der rote Wolf"


def test_it_learns_what_no_simple_method_knows(trained):
    metrics = trained["metrics"]
    assert metrics["test/bleu"] > metrics["baseline/test/bleu/dictionary"] + 20
    assert metrics["test/bleu_lc"] >= metrics["test/bleu"] > 60
    assert metrics["test/chrf"] > 80
    assert metrics["test/nats_per_subword"] < 1
    assert {f"baseline/test/chrf/{name}" for name in ("copy", "dictionary", "nearest")} <= set(metrics)
    assert "bleu is nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" in trained["said"]
    assert "model.length_penalty=" in trained["said"]


def test_a_text_is_answered_with_its_translation_and_others(exported):
    answer = exported.predict(texts(SOURCE, f"  {SOURCE} \n", "", "字"))
    assert answer["translation"][0] == answer["translation"][1] == TARGET.encode(), "blanks are one"
    assert np.all(np.diff(answer["alternative_log_probabilities"][0]) < 1)
    assert len({answer["translation"][0], *answer["alternatives"][0]}) == 5
    assert answer["subwords"].tolist()[2:] == [0, 1 + 1]
    assert answer["unknown"].tolist() == [0, 0, 0, 0.5]


def test_scores_are_those_of_the_steps(exported):
    """Teacher forcing through `score` and a loop over `step` give the same probability."""
    told = json.loads(exported.predict({}, "describe")["json"].item())
    scored = exported.predict({**texts(SOURCE, name="source"), **texts(TARGET, name="target")}, "score")
    found = exported.predict(texts(SOURCE))
    assert scored["log_probability"][0] == pytest.approx(found["log_probability"][0], abs=0.02)
    going = exported.predict(texts(SOURCE), "read")
    memory = {name: one for name, one in going.items() if name.startswith("memory_")}
    total, said, newest = 0.0, [], told["start"]
    while newest != told["end"] and len(said) < 50:
        going = exported.predict({**memory, **going, "id": np.array([newest], np.int32)}, "step")
        logits = going.pop("logits")[0]
        logits[[PADDING, UNKNOWN, START]] = -np.inf
        newest = int(np.argmax(logits))
        said.append(newest)
        total += float(logits[newest] - np.log(np.sum(np.exp(logits - logits.max()))) - logits.max())
    assert "".join(told["pieces"][one] for one in said).replace("▁", " ").strip() == TARGET
    assert total == pytest.approx(scored["log_probability"][0], abs=0.02)
    assert scored["subwords"][0] == len(said)
    assert min(said[:-1]) >= RESERVED > END == said[-1]


def test_attention_says_what_was_looked_at(exported):
    answer = exported.predict(texts(SOURCE, "now"), "attention")
    rows, columns = answer["tokens"].shape[1], answer["source_tokens"].shape[1]
    assert answer["weights"].shape == (2, rows, columns)
    np.testing.assert_allclose(answer["weights"].sum(axis=2), 1, atol=1e-4)
    sources = [one.decode() for one in answer["source_tokens"][0]]
    assert "".join(sources) == SOURCE.replace(" ", "")


def test_the_client_translates_over_the_wire(server, exported):
    expected = exported.predict(texts(SOURCE))
    with Client(server.address, model="animals") as client:
        ((translation, log_probability),) = client.translate([SOURCE])
        assert translation == TARGET
        assert log_probability == pytest.approx(expected["log_probability"][0], abs=1e-3)
        state = client.predict(texts("a"), "read")
        with pytest.raises(ServingError, match="expected numbers from 0 to"):
            client.predict({**{name: state[name] for name in state}, "id": [10_000]}, "step")
    told = json.loads(unroll("predict", "animals", "--server", server.address, "--input", SOURCE, "--json").stdout)
    assert told["predictions"][0]["translation"] == TARGET


def test_tables_are_translated_and_scored(trained, tmp_path):
    table = pairs(20)
    table.to_csv(tmp_path / "more.csv", index=False)
    told = json.loads(
        unroll("evaluate", "animals", "--data", tmp_path / "more.csv", "--home", trained["home"], "--json").stdout
    )
    assert told["metrics"]["data/bleu"] > 60
    (tmp_path / "more.en").write_text("\n".join(table["source"]))
    (tmp_path / "more.de").write_text("\n".join(table["target"]))
    again = json.loads(
        unroll("evaluate", "animals", "--data", tmp_path / "more.en", "--home", trained["home"], "--json",
               "--set", "data.source=en", "--set", "data.target=de").stdout
    )  # fmt: skip
    assert again["metrics"] == pytest.approx(told["metrics"])


def test_the_profile_watches_lengths_unknown_and_rare_subwords_and_the_score(trained, exported):
    profile = ReferenceProfile.load(Path(trained["path"]))
    measured = {"subwords", "unknown", "rarity", "log_probability", "translation/length", "translation/tokens"}
    assert measured <= set(profile.variables)
    usual, odd = exported.predict(texts(SOURCE, "wo lf si rd"))["rarity"]
    assert odd > usual + 0.5


def test_members_and_a_transformer_are_exported(tmp_path):
    table = pairs(150)
    task = prepared("translation", table, {"model": {**TINY, "cell": "transformer", "members": 2}}, tmp_path)
    exported = export(task, untrained(task), tmp_path / "exported")
    answer = exported.predict(texts(SOURCE, "now"))
    assert np.all(np.isfinite(answer["log_probability"]))
    alone = exported.predict(texts("now"))
    assert alone["translation"][0] == answer["translation"][1], "padding changes nothing"
    greedy = exported.predict({**exported.predict(texts(SOURCE), "read"), "id": np.array([START], np.int32)}, "step")
    model_said = tf.nn.softmax(greedy["logits"][0]).numpy()
    assert model_said.sum() == pytest.approx(1, abs=1e-4)


def test_a_dictionary_is_learnt_from_pairs_alone():
    known = [Pair(*row) for row in pairs(150).itertuples(index=False)]
    words = dictionary(known)
    assert {word: words[word] for word in ANIMALS} == ANIMALS
    assert word_for_word("dog, wolf (bird).", words) == "Hund, Wolf (Vogel)."
    found = translation_baselines(known, {"test": known[:9]})
    assert found.metrics["test/exact_match/nearest"] == 1
    assert found.metrics["test/exact_match/copy"] == 0
    assert found.losses["nearest"].tolist() == pytest.approx([0] * 9)
