"""Pairs of texts from any files to splits, subwords and batches; what is left out, and why."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unroll.errors import UserError
from unroll.models.tokens import END, START
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.tasks.translation.config import PairSection
from unroll.pipelines.tasks.translation.pairs.cleaning import clean, source_split, tidy
from unroll.pipelines.tasks.translation.pairs.data import TranslationData, further_pairs, prepare
from unroll.pipelines.tasks.translation.pairs.files import Pair, all_files, read_pairs
from unroll.pipelines.training.progress import Progress

EN = "the quick dog jumps over a small fence near the old house while it rains"
DE = "der schnelle Hund springt über einen kleinen Zaun beim alten Haus während es regnet"


def sentences(words: str, count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(words.split(), rng.integers(5, 9))) for _ in range(count)]


def many(count: int = 300) -> list[Pair]:
    return [Pair(*both) for both in zip(sentences(EN, count, 0), sentences(DE, count, 1), strict=True)]


def read(data: Path, notes: Notes | None = None, **section) -> list[Pair]:
    return list(read_pairs(PairSection(**{"source": "en", "target": "de", **section}), str(data), notes or Notes()))


def aligned(folder: Path, name: str = "train", **texts: str) -> Path:
    folder.mkdir(exist_ok=True)
    for ending, text in (texts or {"en": "One.\nTwo.\n", "de": "Eins.\nZwei.\n"}).items():
        (folder / f"{name}.{ending}").write_text(text, newline="")
    return folder / f"{name}.en"


def test_lines_of_two_files_belong_together(tmp_path):
    file = aligned(tmp_path, en="One.\r\nTwo\u2028words.\n\nFour", de="Eins.\nZwei Worte.\nDrei.\nVier")
    found = [(tidy(pair.source), tidy(pair.target)) for pair in read(file)]
    assert found == [("One.", "Eins."), ("Two words.", "Zwei Worte."), ("", "Drei."), ("Four", "Vier")]
    with gzip.open(tmp_path / "more.en.gz", "wt") as packed:
        packed.write("Five\n")
    (tmp_path / "more.de").write_text("Fünf\n")
    assert [pair.target for pair in read(tmp_path / "*.en*")][-1] == "Vier"
    assert {file.name for file in all_files(PairSection(source="en", target="de"), str(tmp_path))} == {
        "train.en", "train.de", "more.en.gz", "more.de",
    }  # fmt: skip


def test_names_of_files_tell_the_splits(tmp_path):
    for name in ("train", "val", "test_2016_flickr"):
        aligned(tmp_path, name)
    notes = Notes()
    assert [pair.split for pair in read(tmp_path, notes)] == ["test"] * 2 + ["train"] * 2 + ["validation"] * 2
    assert "test_2016_flickr.en: test" in "\n".join(notes)
    assert {pair.split for pair in read(tmp_path / "train.en")} == {None}, "a single file says nothing"


@pytest.mark.parametrize(
    ("texts", "section", "said"),
    [
        ({"en": "a\nb\nc\n", "de": "a\nb\n"}, {}, "train.en: has more lines than the 2 of train.de"),
        ({"en": "a\n", "de": "a\nb\n"}, {}, "train.de: has more lines than the 1 of train.en"),
        ({"en": "a\n", "de": "b\n"}, {"source": "source", "target": "target"},
         "Say what their names end in: --set data.source=en --set data.target=de"),
        ({"en": "a\n", "fr": "b\n"}, {}, "no file train.de stands beside it.* data.source=en --set data.target=fr"),
        ({"en": "a\n"}, {}, "Give a table with both, or put the other file beside it"),
        ({"en": "", "de": ""}, {}, "is empty"),
        ({"en": "a\n", "de": "b\n"}, {"source": "xx"}, r"is neither a table \(.csv, .* by its ending, .xx. Say what"),
    ],
)  # fmt: skip
def test_files_that_do_not_belong_together_are_refused(tmp_path, texts, section, said):
    file = aligned(tmp_path / "data", **texts)
    with pytest.raises(UserError, match=said):
        read(file, **section)


def test_tables_and_other_files_are_not_mixed(tmp_path):
    aligned(tmp_path)
    pd.DataFrame({"en": ["a"], "de": ["b"]}).to_csv(tmp_path / "more.tsv", sep="\t", index=False)
    with pytest.raises(UserError, match=r"Name the files, as in --data '.*\*.tsv'"):
        read(tmp_path)
    assert read(tmp_path / "more.tsv") == [Pair("a", "b")]
    with pytest.raises(UserError, match=r"--set data\.source=COLUMN"):
        read(tmp_path / "more.tsv", source="english")


def test_what_would_teach_wrong_is_left_out_of_training_and_counted():
    pairs = many()
    odd = {
        "empty": Pair("the dog", ""),
        "copies": pairs[0],
        "equal": Pair("the old house near it", "the old house near it"),
        "swapped": Pair("der kleine Hund springt über den Zaun", "es regnet während der Hund springt"),
        "lengths": Pair("a dog", "Hund " * 40),
    }
    kept = clean([*pairs, *odd.values(), Pair("Ulm", "Ulm")], ["train"] * (len(pairs) + len(odd) + 1))
    assert kept.left_out == dict.fromkeys(odd, 1)
    assert kept.pairs["train"] == [*pairs, Pair("Ulm", "Ulm")], "names are the same in both"


def test_held_out_pairs_are_not_learnt_but_scored_whatever_they_are():
    pairs = many()
    odd = Pair("der kleine Hund springt über den Zaun", "es regnet während der Hund springt")
    kept = clean([*pairs, odd, pairs[3], odd], ["train"] * len(pairs) + ["test", "test", "train"])
    assert kept.pairs["test"] == [odd, pairs[3]]
    assert kept.left_out == {"held_out": 2}
    assert kept.suspicious == {"swapped": 1}


def test_two_spellings_of_one_language_are_not_taken_for_two():
    pairs = [Pair(text, text.replace("t", "th")) for text in sentences(EN, 200, 3)]
    assert not clean(pairs, ["train"] * 200).left_out.keys() & {"swapped"}


def test_translations_of_one_source_stay_together():
    assert source_split("The dog.") == source_split(" The dog. ")


def test_batches_hold_each_pair_once_and_about_as_much(tmp_path):
    pd.DataFrame({"source": sentences(EN, 600, 0), "target": sentences(DE, 600, 1)}).to_csv(tmp_path / "p.csv")
    (tmp_path / "prepared").mkdir()
    prepare(PairSection(vocabulary_size=120), str(tmp_path / "p.csv"), tmp_path / "prepared", Progress())
    data = TranslationData.load(tmp_path / "prepared")
    known = {pair.target for pair in data.pairs("train")}
    pieces = ["", "", "", "", *data.pieces]
    found, cells = [], []
    for inputs, targets in data.batches("train", 32, (0, 1)).as_numpy_iterator():
        source, before = inputs["source"], inputs["target"]
        assert np.all(before[:, 0] == START)
        assert np.all((targets == END).sum(axis=1) == 1)
        assert np.all((source == END).sum(axis=1) == 1)
        assert np.all(np.where(before[:, 1:] > END, before[:, 1:] == targets[:, :-1], True))
        assert END not in before
        found += ["".join(pieces[one] for one in row).replace("▁", " ").strip() for row in targets]
        cells.append(targets.size)
    assert sorted(found) == sorted(pair.target for pair in data.pairs("train"))
    assert set(found) == known
    assert abs(len(cells) - data.steps("train", 32)) <= 2
    assert np.median(cells) < 1.1 * max(cells)
    orders = [
        [batch[1].shape for batch in data.batches("train", 32, (0, epoch)).as_numpy_iterator()] for epoch in (1, 1, 2)
    ]
    assert orders[0] == orders[1] != orders[2]


def test_further_pairs_need_no_groups(tmp_path: Path, capsys) -> None:
    (tmp_path / "pairs.tsv").write_text("source\ttarget\none\teins\n")
    section = PairSection(group="kind")
    assert further_pairs(section, str(tmp_path / "pairs.tsv"), Progress()) == [Pair("one", "eins")]
    assert "No record has a group in column 'kind'" in capsys.readouterr().err
    with pytest.raises(UserError, match="kind"):
        list(read_pairs(section, str(tmp_path / "pairs.tsv"), Notes()))


def test_a_limit_that_no_pair_keeps_is_named(tmp_path: Path) -> None:
    rows = "".join(f"red house {i}\trotes Haus {i}\n" for i in range(300))
    (tmp_path / "pairs.tsv").write_text(f"source\ttarget\n{rows}")
    with pytest.raises(UserError, match=r"data.max_tokens: no training pair is so short. Received: 1. Raise it to \d"):
        prepare(PairSection(max_tokens=1), str(tmp_path / "pairs.tsv"), tmp_path, Progress())


def test_why_no_pair_is_left_is_told(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("source\ttarget\n" + "one\teins\n" * 50)
    with pytest.raises(UserError, match=r"no pair is in the \w+ split: 50 pairs .*\(left out: 49 there before"):
        prepare(PairSection(), str(tmp_path / "pairs.tsv"), tmp_path, Progress())
