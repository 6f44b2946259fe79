"""Unicode's normal forms and HTML's entities in the graph are those of Python, on every character and any mixture."""

import sys
import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.models.text.alike import NORMAL
from unroll.models.text.normal_form import normal_form, unicode_form
from unroll.monitoring.features import normal_form as python

ASSIGNED = [
    chr(code) for code in range(1, sys.maxunicode + 1) if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")
]
_ENTITIES = ["&amp;", "&#39;", "&#x2019;", "&nbsp;", "&amp;eacute;", "&#0;", "&#128;", "&#xd800;", "&#9999999;", "&no;"]
_TRICKY = st.sampled_from(
    [character for character in ASSIGNED if not unicodedata.is_normalized("NFKD", character)]
    + [character for character in ASSIGNED if unicodedata.combining(character)]
    + [*map(chr, range(0x1100, 0x11C3)), *"aeo&;#", *_ENTITIES]
)


def decoded(texts: tf.Tensor) -> list[str]:
    return [text.decode() for text in texts.numpy()]


@pytest.mark.parametrize(("form", "given"), [("NFC", "NFD"), ("NFKC", "NFC"), ("NFKC", "NFKD")])
def test_every_character_in_every_form(form, given):
    texts = [f"a{unicodedata.normalize(given, character)}b" for character in ASSIGNED]
    assert decoded(unicode_form(tf.constant(texts), form)) == [unicodedata.normalize(form, text) for text in texts]


@settings(max_examples=30)
@given(st.lists(st.lists(_TRICKY, max_size=12).map("".join), min_size=1, max_size=200))
def test_any_mixture_as_python_has_it(texts):
    assert decoded(normal_form(tf.constant(texts))) == [python.normal_form(text, NORMAL) for text in texts]


def test_a_text_does_not_depend_on_those_beside_it():
    texts = ["plain", "e\u0301", "\u0301", "", "\u0301\u0323", "a"]
    together = decoded(normal_form(tf.constant(texts)))
    assert together == [decoded(normal_form(tf.constant([text])))[0] for text in texts]
    assert together[:2] == ["plain", "\u00e9"]


def test_no_texts_and_empty_texts():
    assert decoded(normal_form(tf.constant([], tf.string))) == []
    assert decoded(unicode_form(tf.constant(["", "\u0301"]), "NFC")) == ["", "\u0301"]
