"""Captions to tokens and back."""

import re

import pytest

from unroll.errors import UserError
from unroll.models.tokens import RESERVED, SPACE, UNKNOWN, Detokenizer
from unroll.pipelines.tasks.captioning.vocabulary import Vocabulary, characters, normalise, words

CAPTIONS = ["a man's red-brown dog", "the dog: running", "a cat, 3 dogs & 1 naïve bird (प्रिय)", "two cats"] * 3


@pytest.mark.parametrize(
    ("caption", "normal"),
    [
        ("  A\tDog \n runs ", "a dog runs"),
        ("cafe\u0301", "caf\u00e9"),
        ("a\u2581b\u3000c\x85d", "a b c d"),
        ("half \ud83d", "half ?"),
        (" ", ""),
    ],
)
def test_normalising(caption, normal):
    assert normalise(caption, lowercase=True) == normal
    assert normalise(normal, lowercase=True) == normal


def test_capitals_stay_where_they_are_wanted():
    assert normalise("A Dog", lowercase=False) == "A Dog"


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        ("medium-dark skin", ["▁medium", "-", "dark", "▁skin"]),
        ("man's 'hat'", ["▁man's", "▁'", "hat", "'"]),
        ("dogs’ o’clock", ["▁dogs", "’", "▁o’clock"]),
        ("10,5 km_h", ["▁10", ",", "5", "▁km", "_", "h"]),
        ("प्रिय 😀!", ["▁प्रिय", "▁😀", "!"]),
        ("", []),
    ],
)
def test_words(caption, tokens):
    assert words(caption) == tokens


def test_characters():
    assert characters("a dog") == ["a", SPACE, "d", "o", "g"]


@pytest.mark.parametrize("kind", ["word", "subword", "character"])
def test_pieces_give_the_caption_back(kind):
    vocabulary = Vocabulary.build(CAPTIONS, kind, size=200)
    back = Detokenizer(vocabulary.tokens)
    for caption in CAPTIONS:
        ids = vocabulary.encode(caption)
        assert min(ids) >= RESERVED
        assert back([ids]).numpy()[0].decode() == caption
    assert len(set(vocabulary.tokens)) == len(vocabulary.tokens)


@pytest.mark.parametrize("kind", ["word", "subword", "character"])
def test_what_the_vocabulary_lacks_is_unknown(kind):
    vocabulary = Vocabulary.build(CAPTIONS, kind, size=200)
    ids = vocabulary.encode("a dog 字")
    assert ids[-1] == UNKNOWN
    assert UNKNOWN not in vocabulary.encode("a dog")


def test_the_most_frequent_words_are_kept():
    captions = ["a b c", "a b", "a"]
    assert Vocabulary.build(captions, "word", size=2).tokens == ["▁a", "▁b"]
    assert Vocabulary.build(captions, "word", size=9, min_count=2).tokens == ["▁a", "▁b"]


def test_subwords_are_the_same_every_time_and_made_in_silence(capfd):
    builds = [Vocabulary.build(iter(CAPTIONS), "subword", size=60).tokens for _ in range(2)]
    assert builds[0] == builds[1]
    assert len(builds[0]) <= 60
    assert capfd.readouterr() == ("", "")


def test_too_few_subwords_for_the_letters_are_refused():
    with pytest.raises(UserError, match=r"they have (\d+) characters, .*Received: 5. Raise it") as caught:
        Vocabulary.build(CAPTIONS, "subword", size=5)
    needed = int(re.search(r"(\d+) characters", str(caught.value))[1])
    assert Vocabulary.build(CAPTIONS, "subword", size=needed).tokens, "as many are enough"
    with pytest.raises(UserError, match=r"data.vocabulary_size"):
        Vocabulary.build(CAPTIONS, "subword", size=needed - 1)
    with pytest.raises(UserError, match="nothing but blanks"):
        Vocabulary.build(["  ", " "], "subword", size=50)
