"""Pretrained vectors of the words of a vocabulary, from fastText's and GloVe's text formats."""

import gzip

import numpy as np
import pytest

from unroll.errors import UserError
from unroll.pipelines.data.texts.word_vectors import read_vectors

LINES = "film 1 2\nParis 3 4\nparis 5 6\nNASA 7 8\n. . . 9 9\n"


@pytest.mark.parametrize("header", ["", "5 2\n"])
@pytest.mark.parametrize("name", ["words.vec", "words.txt.gz"])
def test_words_of_the_vocabulary_are_read(tmp_path, header, name):
    file = tmp_path / name
    with gzip.open(file, "wt") if name.endswith(".gz") else file.open("w") as written:
        written.write(header + LINES)
    vectors, found = read_vectors(file, ["nasa", "paris", "plot", "film"])
    np.testing.assert_array_equal(vectors, [[7, 8], [5, 6], [0, 0], [1, 2]])
    assert found.tolist() == [True, True, False, True]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("film 1 2\nplot 1\n", "line 2 must be a word and its numbers, and has 1 numbers instead of 2"),
        ("film 1 2\nplot 1 x\n", "line 2 must be a word and its numbers, and has what is not a number"),
        ("film\n", "line 1 must be a word and its numbers, and has no numbers"),
        ("other 1 2\n", "has none of the 2 words"),
    ],
)
def test_what_is_wrong_is_told_by_the_line(tmp_path, text, words):
    (tmp_path / "words.vec").write_text(text)
    with pytest.raises(UserError, match=words):
        read_vectors(tmp_path / "words.vec", ["film", "plot"])


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"model.vectors: .*none.vec cannot be read .No such file"):
        read_vectors(tmp_path / "none.vec", ["film"])
