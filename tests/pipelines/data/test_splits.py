import hashlib

import pytest

from unroll.errors import UserError
from unroll.pipelines.data.splits import SPLITS, RecordIndex, digest_split, hash_split, named_split


def test_the_hash_puts_eight_in_ten_in_training():
    splits = [hash_split(f"review {number}") for number in range(20_000)]
    shares = [splits.count(split) / len(splits) for split in SPLITS]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.01)


@pytest.mark.parametrize(
    ("text", "split"),
    # worked out apart: echo "ibase=16; $(printf %s TEXT | md5sum | cut -c1-32 | tr a-f A-F) % A" | bc
    [("0", "test"), ("x5", "validation"), ("a", "train"), (" x5\n", "validation")],
)
def test_the_hash_is_md5_of_the_stripped_text_modulo_ten(text, split):
    assert hash_split(text) == split


def test_the_part_of_a_digest_is_that_of_its_text():
    digests = [hashlib.md5(str(number).encode()).digest() for number in range(100)]
    assert [digest_split(digest) for digest in digests] == [hash_split(str(number)) for number in range(100)]


@pytest.mark.parametrize(
    ("value", "split"),
    [
        ("Train", "train"),
        (" dev ", "validation"),
        ("TEST", "test"),
        ("test_comp", "test"),
        ("val_other_2", "validation"),
    ],
)
def test_spellings_of_parts(value, split):
    assert named_split(value) == split


@pytest.mark.parametrize("value", ["tset", "testing", "_test", "", None])
def test_an_unknown_part_is_refused(value):
    with pytest.raises(UserError, match=rf"data.split: the column may hold train.*Received: {value!r}"):
        named_split(value)


def test_duplicates_keep_one_copy_in_the_most_held_out_part(tmp_path):
    with RecordIndex.create(tmp_path / "index") as index:
        index.add(0, ["a", "b", " a ", "c"], ["1", "0", "1", "1"], ["train", "train", "test", "train"])
        index.add(4, ["a", "c", "d"], ["1", "1", "1"], ["validation", "train", "train"])
        index.settle()
        assert list(index.kept()) == [
            (1, "train", "0"), (2, "test", "1"), (3, "train", "1"), (6, "train", "1"),
        ]  # fmt: skip
        assert index.counts() == {
            "0": {"train": 1, "validation": 0, "test": 0},
            "1": {"train": 2, "validation": 0, "test": 1},
        }


@pytest.mark.parametrize(
    ("conflicts", "kept", "dropped"),
    [
        ("drop", [(1, "train", "0")], 2),
        ("majority", [(0, "test", "1"), (1, "train", "0")], 1),
        (
            "keep",
            [(0, "test", "1"), (1, "train", "0"), (2, "test", "0"), (4, "validation", "1"), (5, "validation", "0")],
            0,
        ),
    ],
)
def test_a_text_with_two_labels_is_dropped_unless_most_copies_or_the_setting_decide(tmp_path, conflicts, kept, dropped):
    with RecordIndex.create(tmp_path / "index") as index:
        splits = ["train", "train", "test", "train", "train", "validation"]
        index.add(0, ["a", "b", "a", "a", "tie", "tie"], ["1", "0", "0", "1", "1", "0"], splits)
        assert index.settle(conflicts) == (2, dropped)
        assert list(index.kept()) == kept


def test_labels_of_one_class_do_not_conflict(tmp_path):
    with RecordIndex.create(tmp_path / "index") as index:
        index.add(0, ["a", "a", "b"], ["Yes", "yes", "YES"], ["train"] * 3)
        assert index.labels() == {"YES": 1, "Yes": 1, "yes": 1}
        assert index.settle("drop", {"Yes": "yes", "YES": "yes"}).texts == 0
        assert list(index.kept()) == [(0, "train", "yes"), (2, "train", "yes")]


@pytest.mark.parametrize(
    ("text", "twin"),
    [
        ("cr\u00e8me br\u00fbl\u00e9e", "cre\u0300me bru\u0302le\u0301e"),
        ("it&#39;s fine &amp; dandy", "it's fine & dandy"),
        ("\uff11\uff10 of \uff11\uff10", "10 of 10"),
        ("soft\u00adly does it", "softly does it"),
        ("it\u2019s fine", "it's fine"),
    ],
)
def test_texts_that_read_alike_are_duplicates_of_one_split(tmp_path, text, twin):
    assert hash_split(text) == hash_split(twin)
    with RecordIndex.create(tmp_path / "index") as index:
        index.add(0, [text, twin, f"{twin} ", twin.replace(" ", "\u00a0 ")], ["1"] * 4, ["train"] * 4)
        index.settle()
        assert list(index.kept()) == [(0, "train", "1")]


def test_records_without_text_or_label_are_passed_over(tmp_path):
    with RecordIndex.create(tmp_path / "index") as index:
        index.add(0, [None, " ", "a", "b"], ["1", "1", None, "1"], ["train"] * 4)
        index.settle()
        assert list(index.kept()) == [(3, "train", "1")]
