"""Vocabularies in the graph against those of the pipelines, in Python and sentencepiece, and in a v1 Session."""

import sys
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll import serving
from unroll.models.text.subwords import SubwordUnits, SubwordVocabulary
from unroll.models.text.vocabulary import CharacterVocabulary, TextVocabulary, WordVocabulary
from unroll.models.tokens import UNKNOWN
from unroll.pipelines.data.texts.subwords import learn_subwords
from unroll.pipelines.tasks.captioning.vocabulary import Vocabulary, normalise
from unroll.serving.engine.session_engine import SessionEngine

TEXTS = [
    "a man's red-brown dog", "the dog: running", "a cat, 3 dogs & 1 na\u00efve bird", "two  cats", "10,5 km_h",
    "\u092a\u094d\u0930\u093f\u092f \U0001f600!", "dogs\u2019 o\u2019clock 'hat'", "the dogs ran and the cats ran",
]  # fmt: skip
OTHERS = [
    "", " ", "a dog \u5b57\u5b57 x\u5b57", "\u5b57", "Unseen WORDS, '' _ a'", "tab\tand\u3000wide\u00a0blanks\x1c \x85",
    "x" * 300, "\u2581a\u2581\u2581b", "dog" * 40, "a\x00b",
]  # fmt: skip
KINDS = ["word", "character", "subword"]


def both(kind: str) -> tuple[Vocabulary, TextVocabulary]:
    """The vocabulary that made the training data, and that of the graph."""
    texts = [normalise(text, lowercase=True) for text in TEXTS] * 3
    vocabulary = Vocabulary.build(texts, kind, size=90 if kind == "subword" else 500)
    if kind == "subword":
        return vocabulary, SubwordVocabulary(vocabulary.tokens, vocabulary.scores, lowercase=True)
    make = {"word": WordVocabulary, "character": CharacterVocabulary}[kind]
    return vocabulary, make(vocabulary.tokens, lowercase=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_encodes_as_the_training_data_was(kind):
    vocabulary, graph = both(kind)
    texts = [*TEXTS, *OTHERS]
    got = graph.ragged(tf.constant(texts), max_tokens=1000).to_list()
    for text, ids in zip(texts, got, strict=True):
        assert ids == vocabulary.encode(normalise(text.replace("\x00", " "), lowercase=True)), repr(text)


@pytest.mark.parametrize("kind", KINDS)
def test_random_texts_are_encoded_alike(kind):
    vocabulary, graph = both(kind)
    rng = np.random.default_rng(0)
    letters = sorted({one for text in TEXTS for one in normalise(text, lowercase=True)} | {"\u5b57"})
    texts = ["".join(rng.choice(letters, rng.integers(1, 60))) for _ in range(200)]
    texts = [normalise(text, lowercase=True) for text in texts]
    got = graph.ragged(tf.constant(texts), max_tokens=1000).to_list()
    assert got == [vocabulary.encode(text) for text in texts]


@pytest.mark.parametrize("kind", KINDS)
def test_ids_give_the_text_back(kind):
    _, graph = both(kind)
    back = graph.decode(graph.encode(tf.constant(TEXTS), max_tokens=1000))
    assert [text.decode() for text in back.numpy()] == [normalise(text, lowercase=True) for text in TEXTS]


@pytest.mark.parametrize("kind", KINDS)
def test_no_row_is_longer_than_is_kept_and_no_texts_give_no_rows(kind):
    _, graph = both(kind)
    whole = graph.ragged(tf.constant(TEXTS), max_tokens=1000)
    np.testing.assert_array_equal(graph.encode(tf.constant(TEXTS), max_tokens=3), whole[:, :3].to_tensor())
    assert graph.encode(tf.constant([], tf.string), max_tokens=3).shape[0] == 0
    assert graph.encode(tf.constant(["dog " * 300_000]), max_tokens=5).shape == (1, 5)
    assert UNKNOWN in graph.encode(tf.constant([b"\xff\xfe dog"]), max_tokens=5).numpy()


def test_words_are_split_alike_at_every_character():
    # Unicode grows, and the two libraries do not know the same edition of it: what both know is compared
    characters = [one for one in map(chr, range(0x3000)) if unicodedata.category(one)[0] in "LNMPSZ"]
    texts = [normalise(f"a{one}b", lowercase=False) for one in characters]
    graph = WordVocabulary(["\u2581a", "\u2581b", "b"])
    vocabulary = Vocabulary.build(["a b"], "word", 9)
    vocabulary = Vocabulary(["\u2581a", "\u2581b", "b"], vocabulary._cut)
    got = graph.ragged(tf.constant(texts), max_tokens=9).to_list()
    wrong = [text for text, ids in zip(texts, got, strict=True) if ids != vocabulary.encode(text)]
    assert len(wrong) < 40, wrong
    assert sys.maxunicode > 0x3000


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_encodes_and_decodes(kind, tmp_path):
    vocabulary, graph = both(kind)
    module = tf.Module()
    module.vocabulary = graph

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def serve(text):
        ids = graph.encode(text, 50)
        return {"ids": ids, "text": graph.decode(ids)}

    directory = serving.export_saved_model(
        module, {"serving_default": serve}, tmp_path / "1", name="v",
        warmup_requests=[("serving_default", {"text": ["a dog"]})],
    )  # fmt: skip
    engine = SessionEngine(directory)
    outputs = engine.run("serving_default", [np.array([b"the dogs ran", b"two cats"], object)])
    engine.close()
    ids, texts = sorted(outputs, key=lambda one: one.dtype.kind == "O")
    assert [one.decode() for one in texts] == ["the dogs ran", "two cats"]
    assert [one for one in ids[0] if one] == vocabulary.encode("the dogs ran")


LETTERS = "\u00e4\u00f6ds the o\u2019go\u0301\u5b57\U0001f600"


@pytest.fixture(scope="module")
def subwords():
    vocabulary, _ = both("subword")
    graph = SubwordVocabulary(vocabulary.tokens, vocabulary.scores)
    return vocabulary, tf.function(lambda texts: graph.ragged(texts, 1000), [tf.TensorSpec([None], tf.string)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.one_of(st.sampled_from(LETTERS), st.characters(exclude_categories=["Cs"]))), max_size=4))
def test_any_text_is_cut_as_sentencepiece_cuts_it(subwords, texts):
    vocabulary, graph = subwords
    texts = [normalise(text.replace("\x00", " "), lowercase=False) for text in texts]
    assert graph(tf.constant(texts, tf.string)).to_list() == [vocabulary.encode(text) for text in texts]


def test_units_of_subwords_put_together_are_the_text():
    learnt = learn_subwords(["to be or not to be", "that is the question: to be", "be that"] * 9, 40, prefix=False)
    pieces = [piece.replace("\u2581", " ") for piece in learnt.pieces]
    units = SubwordUnits([*pieces, "\n"], [*learnt.scores, min(learnt.scores)])
    assert " be" in pieces
    texts = ["to be\r\nnot  to be ", "\n\nbe: that", "", " ", "be" * 200]
    assert [text.decode() for text in units.text(units(tf.constant(texts)).to_tensor()).numpy()] == [
        text.replace("\r\n", "\n") for text in texts
    ]
    unknown = units(tf.constant(["be\u5b57\u5b57 \x1e"])).to_list()[0]
    assert unknown.count(UNKNOWN) == 3, "a character each"
    assert sum(np.array(units.characters)[units(tf.constant(["to be"])).to_list()[0]]) == 5
