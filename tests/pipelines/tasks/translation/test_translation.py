"""Translators by their public doors: the command, the exported graph, the server, the client."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.conftest import unroll
from tests.serving_fixtures import Server, running_server
from tests.untrained_models import prepared, untrained
from unroll.models.text.subwords import SubwordVocabulary
from unroll.models.tokens import PADDING, RESERVED, START, UNKNOWN
from unroll.monitoring.profile import ReferenceProfile
from unroll.pipelines.tasks.translation.config import PairSection
from unroll.pipelines.tasks.translation.pairs.files import Pair
from unroll.pipelines.tasks.translation.scores.baselines import dictionary, translation_baselines, word_for_word
from unroll.pipelines.training.exported import Exported
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.training.signature import in_process
from unroll.serving import Client, ServingError

ANIMALS = {"dog": "Hund", "wolf": "Wolf", "bird": "Vogel", "frog": "Frosch", "cat": "Kater", "horse": "Hengst"}
VERBS = {"runs": "rennt", "sleeps": "ruht", "sings": "singt", "jumps": "springt", "eats": "isst", "barks": "bellt"}
COLOURS = {"red": "rote", "big": "dicke", "old": "alte", "small": "kleine", "tired": "matte"}


def pairs(count: int = 0) -> pd.DataFrame:
    """Sentences whose words stand in another order in German; of a count, the first ones in no order."""
    rows = [
        (f"the {colour} {animal} {verb}", f"nun {VERBS[verb]} der {COLOURS[colour]} {ANIMALS[animal]}")
        for colour in COLOURS for animal in ANIMALS for verb in VERBS
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["source", "target"]).sample(frac=1, random_state=0)
    return table.head(count) if count else table


TINY = {"units": 8, "embedding": 8, "layers": 1, "cell": "gru", "length_penalty": 1.0, "dropout": 0.1}


def whole(test):
    """Asks what the command trains, which takes a while: what is asked in process below is the smoke test."""
    return pytest.mark.slow(pytest.mark.timeout(900)(test))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict:
    """What `unroll train translation --json` said, its `home`."""
    folder = tmp_path_factory.mktemp("pairs")
    pairs().to_csv(folder / "pairs.tsv", sep="\t", index=False)
    done = unroll(
        "train", "translation", "--data", folder / "pairs.tsv", "--home", folder / "home", "--name", "animals",
        "--json", "--promote", "--set", "train.epochs=16", "--set", "train.batch_size=8",
        "--set", "train.learning_rate=0.01", "--set", "model.cell=mingru", "--set", "model.units=48",
        "--set", "model.embedding=24", "--set", "model.dropout=0", "--set", "data.vocabulary_size=150",
        "--set", "model.length_penalty=1",
    )  # fmt: skip
    return {**json.loads(done.stdout), "home": folder / "home", "said": done.stderr}


@pytest.fixture(scope="module")
def exported(trained) -> Exported:
    return Exported(Path(trained["path"]))


@pytest.fixture(scope="module")
def server(trained) -> Iterator[Server]:
    yield from running_server(trained["home"])


def texts(*several: str, name: str = "text") -> dict[str, np.ndarray]:
    return {name: np.array([one.encode() for one in several], object)}


SOURCE, TARGET = "the red wolf sings", "nun singt der rote Wolf"


@whole
def test_it_learns_what_no_simple_method_knows(trained):
    metrics = trained["metrics"]
    assert metrics["test/bleu"] > metrics["baseline/test/bleu/dictionary"] + 10
    assert metrics["test/bleu_lc"] >= metrics["test/bleu"]
    assert metrics["test/chrf"] > metrics["baseline/test/chrf/copy"] + 30
    assert metrics["test/nats_per_subword"] < 0.6
    assert {f"baseline/test/exact_match/{name}" for name in ("copy", "dictionary", "nearest")} <= set(metrics)
    card = (Path(trained["path"]) / "assets.extra" / "model_card.md").read_text()
    assert "bleu is nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" in card


@whole
def test_a_text_is_answered_with_its_translation_and_others(exported):
    answer = exported.predict(texts(SOURCE, f"  {SOURCE} \n", "", "字"))
    assert answer["translation"][0] == answer["translation"][1], "blanks are one"
    assert answer["translation"][0].startswith(b"nun ")
    assert len({answer["translation"][0], *answer["alternatives"][0]}) >= 4
    assert answer["subwords"].tolist()[2:] == [0, 1 + 1]
    assert answer["unknown"].tolist() == [0, 0, 0, 0.5]


@whole
def test_a_text_like_none_in_training_is_doubted(trained, exported):
    """Scrambled words have no translation; the estimate is calibrated on what has."""
    table = pairs()
    scrambled = [" ".join(reversed(one.split())) for one in table["source"]]
    usual, odd = (exported.predict(texts(*several))["quality"] for several in (table["source"], scrambled))
    assert usual.mean() > odd.mean() + 0.03
    assert usual.mean() == pytest.approx(trained["metrics"]["validation/chrf"] / 100, abs=0.15)


@whole
def test_scores_are_those_of_the_steps(trained, exported):
    """Teacher forcing through `score` and a loop over `step` give the same probability."""
    told = json.loads(exported.predict({}, "describe")["json"].item())
    learnt = json.loads(next(trained["home"].glob("cache/data/*/subwords.json")).read_text())
    assert told["pieces"][RESERVED:] == learnt["pieces"]
    ids = SubwordVocabulary(tokens=learnt["pieces"], scores=learnt["scores"]).encode(tf.constant([TARGET]), 50)[0]
    going = exported.predict(texts(SOURCE), "read")
    memory = {name: one for name, one in going.items() if name.startswith("memory_")}
    total, before = 0.0, told["start"]
    for wanted in [*ids.numpy(), told["end"]]:
        going = exported.predict({**memory, **going, "id": np.array([before], np.int32)}, "step")
        logits = going.pop("logits")[0]
        logits[[PADDING, UNKNOWN, START]] = -np.inf
        total += float(logits[wanted] - logits.max() - np.log(np.sum(np.exp(logits - logits.max()))))
        before = wanted
    scored = exported.predict({**texts(SOURCE, name="source"), **texts(TARGET, name="target")}, "score")
    assert scored["log_probability"][0] == pytest.approx(total, abs=1e-3)
    assert scored["subwords"][0] == len(ids) + 1
    found = exported.predict(texts(SOURCE))
    again = {**texts(SOURCE, name="source"), "target": found["translation"]}
    assert exported.predict(again, "score")["log_probability"][0] == pytest.approx(
        found["log_probability"][0], abs=1e-3
    )


@whole
def test_attention_says_what_was_looked_at(exported):
    answer = exported.predict(texts(SOURCE, "dog"), "attention")
    rows, columns = answer["tokens"].shape[1], answer["source_tokens"].shape[1]
    assert answer["weights"].shape == (2, rows, columns)
    np.testing.assert_allclose(answer["weights"].sum(axis=2), 1, atol=1e-4)
    sources = [one.decode() for one in answer["source_tokens"][0]]
    assert "".join(sources) == SOURCE.replace(" ", "")


@whole
def test_the_client_translates_over_the_wire(server, exported):
    expected = exported.predict(texts(SOURCE))
    with Client(server.address, model="animals") as client:
        ((translation, log_probability),) = client.translate([SOURCE])
        assert translation == expected["translation"][0].decode()
        assert log_probability == pytest.approx(expected["log_probability"][0], abs=1e-3)
        state = client.predict(texts("a"), "read")
        with pytest.raises(ServingError, match="expected numbers from 0 to"):
            client.predict({**{name: state[name] for name in state}, "id": [10_000]}, "step")
    told = json.loads(unroll("predict", "animals", "--server", server.address, "--input", SOURCE, "--json").stdout)
    assert told["predictions"][0]["translation"] == expected["translation"][0].decode()
    long = unroll("predict", "animals", "--server", server.address, "--input", "dog " * 200, "--input", SOURCE)
    assert "1 of 2 texts is longer than 128 subwords (data.max_tokens), and what comes after" in " ".join(
        long.stderr.split()
    )


@whole
def test_tables_are_translated_and_scored(trained, tmp_path):
    table = pairs(20)
    table.to_csv(tmp_path / "more.csv", index=False)
    told = json.loads(
        unroll("evaluate", "animals", "--data", tmp_path / "more.csv", "--home", trained["home"], "--json").stdout
    )
    assert told["metrics"]["data/chrf"] > 50
    (tmp_path / "more.en").write_text("\n".join(table["source"]))
    (tmp_path / "more.de").write_text("\n".join(table["target"]))
    again = json.loads(
        unroll("evaluate", "animals", "--data", tmp_path / "more.en", "--home", trained["home"], "--json",
               "--set", "data.source=en", "--set", "data.target=de").stdout
    )  # fmt: skip
    assert again["metrics"] == pytest.approx(told["metrics"])


@whole
def test_the_profile_watches_lengths_unknown_and_rare_subwords_and_the_score(trained, exported):
    profile = ReferenceProfile.load(Path(trained["path"]))
    measured = {
        "subwords",
        "unknown",
        "rarity",
        "log_probability",
        "quality",
        "translation/length",
        "translation/tokens",
    }
    assert measured <= set(profile.variables)
    usual, odd = exported.predict(texts(SOURCE, "flow sgnis"))["rarity"]
    assert odd > usual


def test_members_answer_together_and_the_validation_split_decides_on_lengths(tmp_path):
    settings = {**TINY, "cell": "transformer", "members": 2, "length_penalty": None}
    task = prepared("translation", pairs(150), {"model": settings}, tmp_path)
    servable = task.servable(untrained(task))
    (said,) = servable.said
    assert said.startswith(f"model.length_penalty={task.dataset_info()['length_penalty']}: BLEU on ")
    answer = in_process(servable.signatures)
    both, alone = answer(texts(SOURCE, "dog")), answer(texts("dog"))
    assert np.all(np.isfinite(both["log_probability"]))
    assert alone["translation"][0] == both["translation"][1], "padding changes nothing"
    odd = answer(texts("", "dog " * 300))
    assert (odd["translation"][0], odd["log_probability"][0], set(odd["alternatives"][0])) == (b"", 0, {b""})
    assert odd["quality"][0] == 1, "nothing is left to be better"
    assert 0 <= odd["quality"][1] <= 1
    assert odd["cut"].tolist() == [False, True]
    assert odd["subwords"].tolist() == [0, PairSection().max_tokens]
    evaluation = task.evaluate(task.dataset_info(), task.held_out("", "test"), answer, Progress())
    assert set(evaluation.metrics) == {
        "bleu",
        "bleu_lc",
        "chrf",
        "exact_match",
        "nats_per_subword",
        "quality_correlation",
    }
    assert "fit their own records" in evaluation.chance, "it was not trained"
    assert list(evaluation.figures) == ["alignments.png"]
    assert sum(row["pairs"] for row in evaluation.tables["by words of the source"]) == len(evaluation.losses.model)


def test_a_dictionary_is_learnt_from_pairs_alone():
    known = [Pair(*row) for row in pairs(150).itertuples(index=False)]
    words = dictionary(known)
    assert {word: words[word] for word in ANIMALS} == ANIMALS
    assert word_for_word("dog, wolf (bird).", words) == "Hund, Wolf (Vogel)."
    found = translation_baselines(known, {"test": known[:9]})
    assert found.metrics["test/exact_match/nearest"] == 1
    assert found.metrics["test/exact_match/copy"] == 0
    assert found.losses["nearest"].tolist() == pytest.approx([0] * 9)
