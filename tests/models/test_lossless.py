"""Texts come back from their ids character for character, whatever the units."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.models.text.lossless import REPLACEMENT, CharacterUnits, WordUnits, split_words
from unroll.models.tokens import RESERVED, UNKNOWN

SIGNS = [*"abcdé ’'.,\n\t\u00a0日本語🙂\u0301-3", " abc", "dé", " b’d"]
UNITS = {"character": CharacterUnits([sign for sign in SIGNS if len(sign) == 1]), "word": WordUnits(SIGNS)}


@pytest.mark.parametrize("kind", UNITS)
@settings(max_examples=30)
@given(texts=st.lists(st.text("".join(one for one in SIGNS if len(one) == 1), max_size=30), min_size=1, max_size=4))
def test_known_text_comes_back(kind, texts):
    units = UNITS[kind]
    ids = units(tf.constant(texts))
    assert not (ids.values.numpy() < RESERVED).any()
    assert [one.decode() for one in units.text(ids.to_tensor()).numpy()] == texts
    assert sum(units.characters[one] for one in ids.values.numpy()) == sum(map(len, texts))


@pytest.mark.parametrize("kind", UNITS)
def test_what_is_unknown_is_a_unit_a_character(kind):
    units = UNITS[kind]
    ids = units(tf.constant(["aΩΩ\r\nb\r\r", "xyz abc", ""]))
    assert units.text(ids.to_tensor()).numpy()[0].decode() == f"a{2 * REPLACEMENT}\nb\n\n"
    assert np.sum(ids[1] == UNKNOWN) == 3
    assert ids[2].shape == (0,)
    broken = units(tf.constant([b"a\xff\xc3"]))
    assert broken.values.numpy()[0] != UNKNOWN
    assert set(broken.values.numpy()[1:]) == {UNKNOWN}


def test_words_are_units_and_others_are_spelled():
    words = split_words(tf.constant(["Don’t  say 3.5, naïve\u0301 o'er!"])).to_list()[0]
    assert [one.decode() for one in words] == ["Don’t", " ", " say", " 3", ".", "5", ",", " naïve\u0301", " o'er", "!"]
    ids = UNITS["word"](tf.constant([" abc abcd b’d"]))
    assert [SIGNS[one - RESERVED] for one in ids.values.numpy()] == [" abc", " ", "a", "b", "c", "d", " b’d"]
