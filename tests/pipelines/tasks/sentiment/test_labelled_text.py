"""Preparing labelled texts: splits, vocabulary, shards, memory, and data that cannot be trained on."""

import collections
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.conftest import ROOT, reviews
from unroll.errors import UserError
from unroll.pipelines.data.splits import SPLITS, hash_split
from unroll.pipelines.data.texts.shards import read_shards
from unroll.pipelines.tasks.sentiment.labelled_text import DatasetInfo, LabelledTextSection, prepare
from unroll.pipelines.training.progress import Progress

SETTINGS = {"vocabulary_size": 1000, "min_count": 1, "max_tokens": 30, "ngram_buckets": 64}


def prepared(table, folder, **section):
    data, directory = folder / "data.csv", folder / "prepared"
    table.to_csv(data, index=False)
    directory.mkdir()
    prepare(LabelledTextSection(**section), str(data), directory, Progress(), **SETTINGS)
    return directory


def decoded(directory, split):
    """(text, label) of every record in the shards, as a multiset."""
    words = ["<pad>", "<unk>", *(directory / "vocabulary.txt").read_text().splitlines()]
    return collections.Counter(
        (" ".join(words[token] for token in row if token), int(label))
        for ids, labels in read_shards(directory, split, batch_size=4, shuffle_seed=3)
        for row, label in zip(ids.numpy(), labels.numpy(), strict=True)
    )


def test_each_part_holds_the_records_that_hash_there(tmp_path):
    table = reviews(300)
    directory = prepared(table, tmp_path)
    known = set((directory / "vocabulary.txt").read_text().splitlines())
    for split in SPLITS:
        chosen = table[[hash_split(text) == split for text in table.text]]
        expected = collections.Counter(
            (" ".join(word if word in known else "<unk>" for word in text.split()[:30]), int(label == "pos"))
            for text, label in zip(chosen.text, chosen.label, strict=True)
        )
        assert decoded(directory, split) == expected
        assert DatasetInfo.load(directory).records(split) == len(chosen)


def test_the_vocabulary_is_counted_on_the_training_part_only(tmp_path):
    table = pd.DataFrame(
        {
            "text": ["one two", "one three", "four", "five"],
            "label": list("abab"),
            "split": ["train", "train", "val", "test"],
        }
    )
    words = (prepared(table, tmp_path, split="split") / "vocabulary.txt").read_text().split()
    assert words == ["one", "three", "two"]


def test_duplicates_do_not_straddle_a_split_column(tmp_path):
    table = reviews(100)
    table["split"] = ["train"] * 80 + ["val"] * 10 + ["test"] * 10
    table = pd.concat([table, table.tail(20).assign(split="train"), table.head(5)])
    directory = prepared(table, tmp_path, split="split")
    dataset_info = DatasetInfo.load(directory)
    assert [dataset_info.records(split) for split in SPLITS] == [80, 10, 10]
    assert dataset_info.duplicates == 25


def test_batches_are_bucketed_and_the_order_depends_on_the_seed_alone(tmp_path):
    directory = prepared(reviews(400), tmp_path)

    def epoch(seed):
        return [ids.numpy() for ids, _ in read_shards(directory, "train", batch_size=16, shuffle_seed=seed)]

    first, again, other = epoch(1), epoch(1), epoch(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=False))
    padding = np.mean([np.mean(batch == 0) for batch in first])
    assert padding < 0.15, "batches of mixed lengths would be a third padding"


def test_ratios_point_to_the_class_in_which_a_word_occurs(tmp_path):
    directory = prepared(reviews(300), tmp_path)
    words = (directory / "vocabulary.txt").read_text().split()
    ratios = np.load(directory / "log_count_ratios.npy")
    assert ratios[words.index("wonderful") + 2, 1] > 1
    assert ratios[words.index("dreadful") + 2, 1] < -1


def test_untidy_labels_are_classes_as_people_mean_them(tmp_path):
    table = reviews(200)
    table.loc[::5, "label"] = [f" {label}\u00a0" for label in table.label[::5]]
    table.loc[1::7, "label"] = [label.upper() for label in table.label[1::7]]
    dataset_info = DatasetInfo.load(prepared(table, tmp_path))
    assert dataset_info.classes == ["neg", "pos"]
    assert sum(map(dataset_info.records, SPLITS)) == 200
    said = " ".join(dataset_info.notes)
    assert "differ in capitals only and are one class, 'neg'" in said
    assert "data.merge_case=false" in said


def test_capitals_keep_classes_apart_on_demand_and_it_is_said(tmp_path):
    table = reviews(300)
    table["label"] = ["m" if label == "neg" else "M" for label in table.label]
    dataset_info = DatasetInfo.load(prepared(table, tmp_path, merge_case=False))
    assert dataset_info.classes == ["M", "m"]
    assert "Warning: labels 'M'" in dataset_info.notes[0] or "Warning: labels 'm'" in dataset_info.notes[0]


@pytest.mark.parametrize("text", ["x5", "0"])  # which the hash puts into validation and test
def test_a_rare_class_is_learnt_and_it_is_said_that_it_is_not_scored(tmp_path, text):
    table = pd.concat([reviews(300), pd.DataFrame({"text": [text], "label": ["odd"]})])
    dataset_info = DatasetInfo.load(prepared(table, tmp_path))
    assert dataset_info.counts["odd"] == {"train": 1, "validation": 0, "test": 0}
    assert "too few records to be in every split" in dataset_info.notes[0]
    assert "'odd' (1)" in dataset_info.notes[0]


def test_the_kind_of_file_does_not_name_the_classes(tmp_path):
    from openpyxl import Workbook

    table = reviews(100)[["text"]].assign(label=[True, False] * 50)
    book = Workbook()
    for row in [("text", "label"), *table.itertuples(index=False)]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_parquet(tmp_path / "a.parquet", index=False)
    lines = [*table.head(50).to_dict("records"), *({"text": t, "label": 1} for t in table.text[50:])]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for kind in ("xlsx", "csv", "parquet", "jsonl"):
        directory = tmp_path / kind
        directory.mkdir()
        prepare(LabelledTextSection(), str(tmp_path / f"a.{kind}"), directory, Progress(), **SETTINGS)
        assert DatasetInfo.load(directory).classes == ["false", "true"], kind


def test_texts_that_read_alike_are_one_record(tmp_path):
    table = reviews(100)
    twins = table.assign(text=[f"{text} caf\u00e9 &amp; bar" for text in table.text])
    others = table.assign(text=[f"{text} cafe\u0301 &#38; bar" for text in table.text])
    dataset_info = DatasetInfo.load(prepared(pd.concat([twins, others]), tmp_path))
    assert dataset_info.duplicates == 100


def test_a_text_with_different_labels_has_that_of_most_copies(tmp_path):
    table = reviews(100)
    wrong = table.head(10).assign(label=["pos" if label == "neg" else "neg" for label in table.label.head(10)])
    dataset_info = DatasetInfo.load(prepared(pd.concat([table, table, wrong, wrong.head(4)]), tmp_path))
    assert (dataset_info.settled, dataset_info.conflicting, dataset_info.duplicates) == (6, 4, 114)


@pytest.mark.parametrize(
    ("table", "section", "words"),
    [
        (reviews(50).assign(label="pos"), {}, "holds one class only, 'pos'"),
        (reviews(50).head(0), {}, "holds no records, only a header"),
        (reviews(50).assign(label=None), {}, "none of 50 records has both a text"),
        (reviews(50).assign(label='["good", "urgent"]'), {}, """holds lists of labels, such as ["good", "urgent"]"""),
        (reviews(50).assign(label="['good']"), {}, "holds lists of labels"),
        (reviews(50).assign(label=range(50)), {}, "holds 50 different values in 50 records, such as '0'"),
        (reviews(50).assign(label=["a|b", "b|a"] * 25), {}, "are the same list in another order"),
        (reviews(1200).assign(label=range(1200)), {}, "holds 1200 different values, too many for classes"),
        (reviews(4, seed=3), {}, "no record is in the"),
        (reviews(50).assign(split="train"), {"split": "split"}, "column 'split' names none"),
        (reviews(50).assign(split="x"), {"split": "split"}, "data.split: the column may hold train"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_trained_on_is_explained(tmp_path, table, section, words):
    with pytest.raises(UserError) as caught:
        prepared(table, tmp_path, **section)
    assert words in str(caught.value)


def test_memory_stays_flat_as_the_file_grows(tmp_path):
    code = """
import resource, sys
from pathlib import Path
from unroll.pipelines.tasks.sentiment.labelled_text import LabelledTextSection, prepare
from unroll.pipelines.training.progress import Progress
prepare(LabelledTextSection(), sys.argv[1], Path(sys.argv[2]), Progress(),
        vocabulary_size=1000, min_count=1, max_tokens=200, ngram_buckets=64)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    peaks = []
    for copies in (1, 6):
        data, directory = tmp_path / f"{copies}.csv", tmp_path / str(copies)
        directory.mkdir()
        table = reviews(3000, words=150)
        with data.open("w") as file:
            for copy in range(copies):
                numbered = table.assign(text=table.text + f" {copy}")
                numbered.to_csv(file, index=False, header=copy == 0)
        done = subprocess.run(
            [sys.executable, "-c", code, data, directory],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        )
        peaks.append(int(done.stdout) / 1024)
    grown = (tmp_path / "6.csv").stat().st_size - (tmp_path / "1.csv").stat().st_size
    assert peaks[1] - peaks[0] < 0.5 * grown / 2**20 + 40, f"{peaks} MiB for {grown >> 20} MiB more of data"


def test_shards_hold_what_was_written_as_standard_examples(tmp_path):
    directory = prepared(reviews(60), tmp_path)
    records = [r.numpy() for r in tf.data.TFRecordDataset(str(directory / "train-00000.tfrecord"))]
    example = tf.train.Example.FromString(records[0])
    assert set(example.features.feature) == {"tokens", "label", "words"}
