"""The exported classifier answers as the one that was trained."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.conftest import reviews
from tests.untrained_models import export, prepared, untrained
from unroll.models.text.bag_of_words import BagOfWords
from unroll.models.text.classifier import total
from unroll.models.text.tokenizer import RESERVED, Tokenizer, joined, tokenize
from unroll.pipelines.data.vocabulary import read_vocabulary, vocabulary_table
from unroll.pipelines.tasks.sentiment import simple_path


@pytest.mark.parametrize(
    "cell", ["gru", "tcn", *(pytest.param(cell, marks=pytest.mark.slow) for cell in ("mingru", "transformer"))]
)
def test_the_export_answers_as_the_training_model(tmp_path, cell):
    section = {"cell": cell, "units": 8, "embedding": 8, "layers": 1, "members": 1, "bidirectional": True}
    task = prepared("sentiment", reviews(200), {"model": {**section, "ngram_buckets": 64}}, tmp_path)
    model = untrained(task)
    exported = export(task, model, tmp_path / "export")
    texts = np.array([text.encode() for text in [*reviews(20, seed=1).text, "", "word " * 3000, "\U0001f600"]], object)
    tokenizer = Tokenizer(vocabulary_table(tmp_path / "prepared"), task.config.model.max_tokens)
    ids, words = tokenizer(tf.constant(texts)), joined(tokenize(tf.constant(texts), tokenizer.max_tokens))
    answer = task.answer(model)
    simple = BagOfWords(answer.simple, len(read_vocabulary(tmp_path / "prepared")) + RESERVED)(ids, words)
    expected = tf.nn.softmax(total(model(ids), answer.network) + answer.weight * simple).numpy()
    answers = exported.predict({"text": texts})
    np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-5)
    alike = ["caf\u00e9 wonderful &amp; \ufb01ne", "cafe\u0301 wonderful &#x26; fine"]
    twins = exported.predict({"text": np.array([one.encode() for one in alike], object)})
    np.testing.assert_array_equal(*twins["probabilities"])
    alone = [exported.predict({"text": texts[:1]})["probabilities"][0]]
    np.testing.assert_allclose(alone, expected[:1], atol=1e-5)


def test_words_that_were_never_seen_are_answered_by_their_characters(tmp_path):
    """English and Thai ones, of which no two are alike."""
    rng = np.random.default_rng(0)
    latin = list("bcdfgklmnprstz"), ("ung", "ier")
    thai = [chr(code) for code in range(0x0E01, 0x0E2F)], ("\u0e01\u0e32\u0e23", "\u0e04\u0e27\u0e32\u0e21")

    def texts(count: int) -> pd.DataFrame:
        labels = rng.integers(0, 2, count)
        scripts = [(latin, thai)[number % 2] for number in range(count)]
        words = [
            "".join(rng.choice(letters, 7)) + endings[label]
            for label, (letters, endings) in zip(labels, scripts, strict=True)
        ]
        return pd.DataFrame({"text": words, "label": labels})

    section = {"units": 4, "layers": 1, "members": 1, "ngram_buckets": 64}
    task = prepared("sentiment", texts(300), {"model": section}, tmp_path)
    exported, further = export(task, task.build(), tmp_path / "export"), texts(60)
    asked = np.array([text.encode() for text in further.text], object)
    answers = exported.predict({"text": asked})["probabilities"]
    assert np.mean(answers.argmax(axis=1) == further.label) > 0.9
    assert "runs of two to four characters" in task.dataset_info()["answer"]
    np.testing.assert_allclose(exported.predict({"text": asked[:1]})["probabilities"], answers[:1], atol=1e-6)


def test_texts_of_too_many_characters_are_told_by_words_and_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("unroll.pipelines.data.term_counts._MAX_RUNS", 1000)
    section = {"units": 4, "layers": 1, "members": 1, "ngram_buckets": 64}
    task = prepared("sentiment", reviews(100), {"model": section}, tmp_path)
    (said,) = task.servable(task.build()).said
    assert "the TF-IDF of words and pairs (C=" in said
    assert said.endswith("Characters were not tried: the texts hold more than 4,000,000 different runs of them.")


def test_pretrained_vectors_are_what_the_embedding_begins_with(tmp_path):
    (tmp_path / "words.vec").write_text("2 3\nfilm 1 2 3\nunseen 4 5 6\n")
    section = {"units": 4, "layers": 1, "members": 2, "ngram_buckets": 16, "vectors": str(tmp_path / "words.vec")}
    task = prepared("sentiment", reviews(100), {"model": section}, tmp_path)
    row = read_vocabulary(tmp_path / "prepared").index("film") + RESERVED
    for encoder in task.build().encoders:
        embeddings = encoder.embedding.embeddings.numpy()
        assert embeddings[row].tolist() == [1, 2, 3]
        assert np.abs(embeddings[RESERVED:]).min() > 0


@pytest.mark.parametrize(("small", "how"), [(4000, "cross-validation"), (0, "the validation split")])
def test_the_validation_split_is_scored_by_weights_that_have_not_learnt_it(tmp_path, monkeypatch, small, how):
    monkeypatch.setattr(simple_path, "_SMALL", small)
    section = {"units": 4, "layers": 1, "members": 1, "ngram_buckets": 4096}
    task = prepared("sentiment", reviews(300, words=5), {"model": section}, tmp_path)
    servable = task.servable(task.build())
    batches = list(task.held_out(str(tmp_path / "data.csv"), "validation"))
    seen = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    true = np.arange(len(seen["true"])), (seen["true"] == "pos").astype(int)
    before = servable.predict_validation({"text": seen["text"]})["probabilities"][true]
    served = servable.signatures["serving_default"](text=tf.constant(seen["text"]))["probabilities"].numpy()[true]
    assert np.log(served).mean() > np.log(before).mean() + 0.01, "it is surer of texts that it has learnt"
    assert how in servable.said[0] == task.dataset_info()["answer"]


def test_without_the_linear_path_the_encoders_answer_alone(tmp_path):
    task = prepared("sentiment", reviews(100), {"model": {"units": 4, "layers": 1, "ngram_buckets": 0}}, tmp_path)
    servable = task.servable(untrained(task))
    assert servable.module.simple is None
    assert (list(servable.said), servable.predict_validation) == ([], None)
