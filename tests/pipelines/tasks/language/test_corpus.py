"""Text files and tables of any kind to documents, splits and ids."""

import functools
import gzip
import operator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from unroll.errors import UserError
from unroll.models.tokens import RESERVED, UNKNOWN
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.tasks.language.config import CorpusSection
from unroll.pipelines.tasks.language.corpus import corpus as corpora
from unroll.pipelines.tasks.language.corpus.corpus import Corpus
from unroll.pipelines.tasks.language.corpus.data import LanguageData, prepare
from unroll.pipelines.tasks.language.corpus.files import read_documents, text_files
from unroll.pipelines.training.progress import Progress

TALE = "".join(f"Line {i}: Æsop’s fable, größer.\n" for i in range(60))


def documents(data: Path | str, **section) -> list[str]:
    found = [""]
    for part in read_documents(CorpusSection(**section), text_files(str(data)), Notes()):
        found[-1] += part.text
        if part.ends:
            found.append("")
    return found[:-1]


def written(folder: Path, data: Path, **section) -> Corpus:
    folder.mkdir(exist_ok=True)
    return Corpus.write(CorpusSection(**section), text_files(str(data)), folder, Notes())


def texts(corpus: Corpus, split: str) -> list[str]:
    found: dict[int, str] = {}
    for piece, text in corpus.texts(corpus.pieces(split)):
        found[piece] = found.get(piece, "") + text
    return list(found.values())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_the_same_text_however_it_is_encoded(tmp_path: Path, encoding: str, line_end: str) -> None:
    file = tmp_path / "tale.txt"
    file.write_bytes(TALE.replace("\n", line_end).encode(encoding))
    named = {} if encoding.startswith("utf-8") else {"encoding": encoding}
    assert documents(file, **named) == [TALE]


def test_blocks_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unroll.monitoring.tables.files import text_source

    text = TALE[:295] + "\n \n\n" + TALE[:85]
    (tmp_path / "tale.txt.gz").write_bytes(gzip.compress(text.replace("\n", "\r\n").encode()))
    for size in (1, 2, 3, 7):
        monkeypatch.setattr(text_source, "_BLOCK_BYTES", size)
        assert documents(tmp_path / "tale.txt.gz") == [text], size
        assert documents(tmp_path / "tale.txt.gz", document="paragraph") == [TALE[:295], TALE[:85]], size
        lines = documents(tmp_path / "tale.txt.gz", document="line")
        assert [line for line in lines if line.strip()] == [*TALE[:295].split("\n"), *TALE[:85].split("\n")], size


def test_another_encoding_is_refused_with_the_one_that_it_is(tmp_path: Path) -> None:
    (tmp_path / "tale.txt").write_bytes(TALE.encode("cp1252"))
    with pytest.raises(UserError, match=r"tale.txt, row 1: is not utf-8 text. .*--set data.encoding=cp1252"):
        documents(tmp_path / "tale.txt")
    assert documents(tmp_path / "tale.txt", encoding="cp1252") == [TALE], "the remedy works"
    (tmp_path / "cut.txt").write_bytes("naïve".encode()[:3])
    with pytest.raises(UserError, match=r"cut.txt: ends within a character of utf-8, so it was cut off or has another"):
        documents(tmp_path / "cut.txt")


def test_a_last_line_end_begins_no_document(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("one\n\ntwo\n")
    assert documents(tmp_path / "lines.txt", document="line") == ["one", "", "two"]
    assert documents(tmp_path / "lines.txt", document="paragraph") == ["one", "two"]


# with a time of its own, gzip would name the tests otherwise in each worker
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("scan.txt", b"%PDF-1.7\n1 0 obj", "is a PDF, not text"),
        ("letter.txt", b"PK\x03\x04" + b"word" * 30, "is a document of Word or another archive"),
        ("packed.txt", gzip.compress(TALE.encode(), mtime=0), "is compressed by gzip. Rename it to packed.txt.gz"),
        ("plain.txt.gz", TALE.encode(), r"cannot be read \(Not a gzipped file"),
        ("cut.txt.gz", gzip.compress(TALE.encode(), mtime=0)[:99], "may have been cut off: write it again"),
        ("sound.txt", bytes(range(1, 256)) * 9, "is not text: 234 of its first 2,295 bytes are control characters"),
        ("same.txt", b"b" * 3000, "the train split holds nothing but 'b', and there is nothing to learn"),
        ("nul.txt", TALE.encode() + bytes(40), "holds NUL bytes"),
    ],
)
def test_what_is_no_text_is_refused_by_what_it_is(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "prepared").mkdir()
    with pytest.raises(UserError, match=said):
        prepare(CorpusSection(), str(tmp_path / name), tmp_path / "prepared", Progress())


def test_keys_that_say_nothing_of_such_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TALE)
    pd.DataFrame({"text": [TALE, TALE[:90]]}).to_csv(tmp_path / "b.csv", index=False)
    for name, section, said in (
        ("b.csv", {"document": "line"}, "data.document: .*b.csv is a table, of which each row is one"),
        ("b.csv", {"document": "paragraph"}, "data.document: .*Received: 'paragraph'. Leave it out"),
        ("a.txt", {"split": "part"}, r"data.split: names a column, and a.txt is a text.*--set data.split_fractions="),
    ):
        with pytest.raises(UserError, match=said):
            documents(tmp_path / name, **section)
    with pytest.raises(ValueError, match="split and split_fractions both say where the splits are"):
        CorpusSection(split="part", split_fractions=[0.8, 0.1, 0.1])


def test_windows_cut_no_word(tmp_path: Path) -> None:
    (tmp_path / "tale.txt").write_text(TALE)
    corpus = written(tmp_path / "corpus", tmp_path / "tale.txt")
    for split in ("train", "test"):
        windows = list(corpus.windows(corpus.pieces(split), 40, 20))
        assert "".join(window.text for window in windows) == texts(corpus, split)[0]
        assert all(window.text.startswith(" ") for window in windows[1:])
        assert all(20 < len(window.text) <= 40 for window in windows[:-1])
    unbroken = written(tmp_path / "corpus", _file(tmp_path / "same.txt", "ab" * 300))
    assert {len(window.text) for window in unbroken.windows([0], 40, 0)} == {40}


def _file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_folder_of_texts_a_table_and_not_both(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.\n")
    (tmp_path / "b.md").write_text("Two.\n")
    assert documents(tmp_path) == ["One.\n", "Two.\n"]
    pd.DataFrame({"body": ["First\r\nline", None, "Second"]}).to_csv(tmp_path / "c.csv", index=False)
    assert documents(tmp_path / "c.csv", text="body") == ["First\nline", "", "Second"]
    with pytest.raises(UserError, match=r"--set data.text=COLUMN"):
        documents(tmp_path / "c.csv", text="missing")
    with pytest.raises(UserError, match=r"holds tables, such as c.csv, and texts, such as a.txt.*--data '.*\*.txt'"):
        text_files(str(tmp_path))
    assert len(text_files(str(tmp_path / "*.txt"))) == 1, "the remedy works"


def test_a_running_text_is_cut_where_so_many_characters_are_read(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "tale.txt").write_text(TALE)
    for block in (5, 1 << 22):
        monkeypatch.setattr(corpora, "_BLOCK", block)
        corpus = written(tmp_path / "corpus", tmp_path / "tale.txt", split_fractions=[0.85, 0.05, 0.1])
        first, second = int(0.85 * len(TALE)), int(0.9 * len(TALE))
        assert [texts(corpus, split) for split in ("train", "validation", "test")] == [
            [TALE[:first]], [TALE[first:second]], [TALE[second:]]
        ]  # fmt: skip
        windows = list(corpus.windows(corpus.pieces("test"), 50, 20))
        assert "".join(window.text for window in windows) == TALE[second:]
        starts = np.cumsum([second, *(len(window.text) for window in windows[:-1])])
        assert [window.context for window in windows] == [TALE[start - 20 : start] for start in starts]


def test_documents_stay_whole_and_their_copies_together(tmp_path: Path) -> None:
    rows = [f"document {i % 300:03}" for i in range(600)] + ["  "]
    pd.DataFrame({"text": rows}).to_parquet(tmp_path / "rows.parquet")
    corpus = written(tmp_path / "corpus", tmp_path / "rows.parquet")
    found = {split: texts(corpus, split) for split in ("train", "validation", "test")}
    assert sorted(functools.reduce(operator.iadd, found.values(), [])) == sorted(rows[:-1])
    assert 400 < len(found["train"]) < 540
    assert not set(found["train"]) & set(found["test"])
    assert corpus.copies == 0
    window = next(corpus.windows(corpus.pieces("test"), 6, 4))
    assert (window.text, window.context) == ("docume", "")
    by_place = written(tmp_path / "corpus", tmp_path / "rows.parquet", split_fractions=[0.5, 0.25, 0.25])
    assert texts(by_place, "test") == rows[450:600]
    assert by_place.copies == 300, "which the summary tells"


def test_a_column_may_name_the_split(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": [f"document {i}" for i in range(9)], "part": ["train", "dev", "test"] * 3})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    corpus = written(tmp_path / "corpus", tmp_path / "rows.csv", split="part")
    assert texts(corpus, "validation") == ["document 1", "document 4", "document 7"]


def test_what_is_seldom_is_unknown_and_counted(tmp_path: Path) -> None:
    (tmp_path / "tale.txt").write_text(TALE + "Ω" + TALE[:400] + "ΩΩ")
    (tmp_path / "prepared").mkdir()
    section = CorpusSection(min_count=2, split_fractions=[0.9, 0.05, 0.05])
    prepare(section, str(tmp_path / "tale.txt"), tmp_path / "prepared", Progress())
    data = LanguageData.load(tmp_path / "prepared")
    assert data.dataset_info["unknown"] == {"train": 1, "validation": 0, "test": 2}
    ids = data.split("test").ids
    known = dict(enumerate(data.vocabulary.units, RESERVED))
    assert "".join(known.get(one, "?") for one in ids).endswith("??")
    assert np.count_nonzero(ids == UNKNOWN) == 2


@pytest.mark.parametrize("unit", ["subword", "word"])
def test_units_put_together_are_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str) -> None:
    from unroll.pipelines.tasks.language.corpus import vocabulary

    text = TALE + "".join(f"  The {word} of {word}s,\tno\ufffd {word}!\n\n" for word in ("naïve", "größt", "tale") * 40)
    (tmp_path / "tale.txt").write_text(text + "?")
    train = text[: int(0.9 * (len(text) + 1))]
    for part in (1 << 16, 50):
        monkeypatch.setattr(vocabulary, "_PART", part)
        folder = tmp_path / f"prepared{part}"
        folder.mkdir()
        section = CorpusSection(unit=unit, split_fractions=[0.9, 0.05, 0.05], vocabulary_size=120)
        prepare(section, str(tmp_path / "tale.txt"), folder, Progress())
        data = LanguageData.load(folder)
        ids = data.split("train").ids
        pieces = [piece.decode() for piece in data.encoder().pieces.numpy()]
        assert "".join(pieces[one] for one in ids) == train
        assert data.dataset_info["unknown"] == {"train": 0, "validation": 0, "test": 1}
        assert len(ids) < 0.6 * len(text), "units are longer than characters"
        assert np.array_equal(ids, data.encoder()(tf.constant([train])).values), "as at once"
    known = data.dataset_info["known"]
    assert known["characters"] == len(set(text))
    assert sum(known.values()) <= 2 * 120


def test_too_little_text_is_refused(tmp_path: Path) -> None:
    for content, said in (
        ("  \n ", "holds no text"),
        (TALE[:500], "50 characters are in the test split|50 of its 500"),
    ):
        (tmp_path / "tale.txt").write_text(content)
        folder = tmp_path / f"prepared{len(content)}"
        folder.mkdir()
        with pytest.raises(UserError, match=said):
            prepare(CorpusSection(), str(tmp_path / "tale.txt"), folder, Progress())
