"""Reading data files: formats, streaming, and what is said of files that cannot be read."""

import gzip
import json
import subprocess
import sys

import pandas as pd
import pytest

from unroll.errors import UserError
from unroll.monitoring.tables.format import TableFormat
from unroll.pipelines.data.records import find_files, read_records

ROWS = pd.DataFrame(
    {
        "text": ['He said "no",\nand left.', "Äpfel \U0001f600", "third"],
        "label": [1, 0, 1],
        "other": [0.5, 1.5, 2.5],
    }
)


def write(folder, kind):
    file = folder / f"reviews.{kind}"
    if kind in ("csv", "csv.gz"):
        ROWS.to_csv(file, index=False)
    elif kind == "tsv":
        ROWS.to_csv(file, index=False, sep="\t")
    elif kind == "parquet":
        ROWS.to_parquet(file, index=False)
    else:
        lines = "".join(json.dumps(row) + "\n" for row in ROWS.to_dict("records"))
        file.write_bytes(gzip.compress(lines.encode()) if kind.endswith("gz") else lines.encode())
    return file


def read(path, columns=("text", "label"), as_stored=(), **written):
    table = {column: [] for column in columns}
    table_format = TableFormat(**written)
    for batch in read_records(find_files(str(path)), columns, table_format=table_format, as_stored=as_stored):
        for column in columns:
            table[column] += batch[column]
    return table


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "tsv", "jsonl", "jsonl.gz", "parquet"])
def test_every_format_gives_the_same_records(tmp_path, kind):
    table = read(write(tmp_path, kind))
    assert table == {"text": ROWS.text.tolist(), "label": ["1", "0", "1"]}


def test_a_folder_and_a_glob_are_read_in_order_of_name(tmp_path):
    for name in ("b", "a"):
        pd.DataFrame({"text": [name], "label": ["x"]}).to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "notes.md").write_text("not data")
    assert read(tmp_path)["text"] == ["a", "b"]
    assert read(tmp_path / "*.csv")["text"] == ["a", "b"]


def test_missing_values_are_none(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n,1\nfine,\n")
    assert read(tmp_path / "a.csv") == {"text": [None, "fine"], "label": ["1", None]}


def test_cells_can_be_handed_on_as_stored(tmp_path):
    rows = pd.DataFrame({"bytes": [b"\xff\0", None], "list": [["a", "b"], []], "label": [1, 0]})
    rows.to_parquet(tmp_path / "a.parquet", index=False)
    (tmp_path / "b.jsonl").write_text('{"bytes": null, "list": ["a", "b"], "label": 1}\n')
    columns, stored = ("label", "bytes", "list"), ("bytes", "list")
    assert read(tmp_path / "a.parquet", columns, as_stored=stored) == {
        "label": ["1", "0"], "bytes": [b"\xff\0", None], "list": [["a", "b"], []],
    }  # fmt: skip
    assert read(tmp_path / "b.jsonl", columns, as_stored=stored) == {
        "label": ["1"], "bytes": [None], "list": [["a", "b"]],
    }  # fmt: skip


def test_further_kinds_of_files_can_be_named(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(UserError, match="unknown kind of file"):
        find_files(str(tmp_path / "a.json"))
    assert find_files(str(tmp_path), (".json",)) == [tmp_path / "a.json"]


def test_large_files_come_in_batches(tmp_path):
    pd.DataFrame({"text": ["word " * 50] * 5000, "label": ["x"] * 5000}).to_csv(tmp_path / "a.csv", index=False)
    sizes = [len(batch["text"]) for batch in read_records([tmp_path / "a.csv"], ["text", "label"])]
    assert sum(sizes) == 5000
    assert max(sizes) <= 256


def test_other_encodings_and_delimiters_can_be_named(tmp_path):
    (tmp_path / "a.csv").write_bytes("text;label\nÄpfel;1\n".encode("latin-1"))
    assert read(tmp_path / "a.csv", encoding="latin-1", delimiter=";") == {"text": ["Äpfel"], "label": ["1"]}


def truncated(folder):
    file = write(folder, "parquet")
    file.write_bytes(file.read_bytes()[:-20])
    return file


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: d / "none.csv", "no such file, folder or pattern"),
        (lambda d: d, "the folder holds no .csv"),
        (lambda d: _file(d, "a.docx", b"x"), "unknown kind of file. Known: .csv"),
        (lambda d: _file(d, "a.csv", b""), "is empty. It needs a header line"),
        (
            lambda d: _file(d, "a.csv", b"review,stars\ngood,1\n"),
            "has no columns 'text', 'label'. It has: 'review', 'stars'",
        ),
        (lambda d: _file(d, "a.csv", b"text,label\n\xc4pfel,1\n"), "is not utf-8 text. Name its encoding"),
        (lambda d: _file(d, "a.csv", "text,label\nx,1\n".encode("utf-16")), "is not utf-8 text"),
        (lambda d: _file(d, "a.csv", b"text,label\na,b,c\n"), "cannot be read as CSV with delimiter ','"),
        (
            lambda d: _file(d, "a.csv", b"text;label\n1,5;2\n1;2\n"),
            "the header has no ',' but ';'. Name it: --set data.delimiter=';'",
        ),
        (lambda d: _file(d, "a.csv.gz", gzip.compress(b"text;label\n1;2\n")), "--set data.delimiter=';'"),
        (lambda d: _file(d, "a.csv", b"text\tlabel\n1\t2\n"), """--set 'data.delimiter="\\t"'"""),
        (lambda d: write(d, "parquet").rename(d / "a.csv"), "is a Parquet file. Rename it to a.parquet"),
        (lambda d: _file(d, "a.jsonl", b'{"text": "a", "label": 1}\n{"text"\n'), "line 2: is not JSON"),
        (lambda d: _file(d, "a.jsonl", b"[1]\n"), "line 1: must be a JSON object"),
        (lambda d: _file(d, "a.jsonl", b'{"text": "\xc4"}\n'), "is not utf-8 text"),
        (
            lambda d: _file(d, "a.jsonl.gz", gzip.compress(b'{"text": "a", "label": 1}\n' * 999)[:-9]),
            "cannot be read",
        ),
        (lambda d: _file(d, "a.parquet", b"PAR1"), "is truncated or not Parquet"),
        (truncated, "is truncated or not Parquet"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, make, words):
    path = make(tmp_path)
    with pytest.raises(UserError) as caught:
        read(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def _file(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("id,Text,Sentiment", "has no columns 'text', 'label'"),
        (",Text,Sentiment", "Name the right ones: --set data.text=Text --set data.label=Sentiment"),
        ("TEXT,Label,id", "--set data.text=TEXT --set data.label=Label"),
        ("_text_,label,id", "Name the right one: --set data.text=_text_"),
        ("Text,TEXT,stars", "--set data.text=COLUMN --set data.label=COLUMN"),
    ],
)
def test_columns_of_another_spelling_are_proposed(tmp_path, header, words):
    (tmp_path / "a.csv").write_text(f"{header}\n1,b,c\n")
    advice = {"text": "--set data.text=COLUMN", "label": "--set data.label=COLUMN"}
    with pytest.raises(UserError) as caught:
        list(read_records([tmp_path / "a.csv"], ["text", "label"], advice=advice))
    assert words in str(caught.value)


def test_a_folder_a_class_and_an_array_of_json_are_made_tables_by_the_remedy(tmp_path):
    for label in ("bad", "good"):
        (tmp_path / "films" / label).mkdir(parents=True)
        (tmp_path / "films" / label / "1.txt").write_text(f"a {label} film, it was")
    (tmp_path / "a.json").write_text(json.dumps([{"text": "f\u00fcr alle", "label": 1}]))
    for data, made, rows in [
        ("films", "films.csv", {"text": ["a bad film, it was", "a good film, it was"], "label": ["bad", "good"]}),
        ("a.json", "a.jsonl", {"text": ["f\u00fcr alle"], "label": ["1"]}),
    ]:
        with pytest.raises(UserError) as caught:
            find_files(str(tmp_path / data))
        command = "python -c" + str(caught.value).partition("python -c")[2]
        subprocess.run(command.replace("python", sys.executable, 1), shell=True, check=True)
        assert read(tmp_path / made) == rows
