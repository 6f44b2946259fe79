"""`unroll predict` on whole tables: read as training read them, answered in place, written whole or not at all."""

import csv
import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import unroll
from tests.serving_fixtures import Server
from unroll.errors import UserError
from unroll.pipelines.asking import asked, write
from unroll.pipelines.asking.output import open_output
from unroll.pipelines.asking.row_tables import RowTable
from unroll.pipelines.in_process import InProcessClient
from unroll.pipelines.training.exported import Exported
from unroll.serving.protocol.messages import Prediction


def score(server: Server, table: Path, output: Path, *options: str) -> dict[str, Any]:
    done = unroll(
        "predict", "sample", "--input", table, "--output", output, "--server", server.address, "--json", *options
    )
    return {**json.loads(done.stdout), "said": done.stderr}


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_table_is_answered_beside_its_own_columns(server: Server, tmp_path: Path) -> None:
    texts = ["good", 'a "quoted", long\nreview', "", "bad", "   "]
    frame = pd.DataFrame({"id": ["007", "NA", "0x1", "1e5", "9"], "text": texts, "label": list("abcde")})
    frame.to_csv(tmp_path / "table.csv", index=False)
    done = score(server, tmp_path / "table.csv", tmp_path / "out.csv")
    found = rows(tmp_path / "out.csv")
    assert [row["id"] for row in found] == ["007", "NA", "0x1", "1e5", "9"], "as they were written"
    assert [row["text"] for row in found] == texts
    assert [row["label"] for row in found] == list("abcde")
    assert [row["predicted_label"] for row in found] == ["positive", "unknown", "unknown", "negative", "unknown"]
    assert [row["score"] for row in found] == ["4.0", str(float(len(texts[1]))), "0.0", "3.0", "3.0"]
    assert (done["rows"], done["unanswered"], done["empty"], done["output"]) == (5, 0, 2, str(tmp_path / "out.csv"))
    assert (
        "2 of 5 rows have an empty text, the first row 4: the model answers as to a text without a word."
        in (done["said"])
    )
    assert "a column 'label' of its own: the model's label is in 'predicted_label'" in done["said"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.csv", "table.csv"], "nothing else is left"


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".jsonl.gz"])
def test_every_kind_of_table_is_answered_in_every_kind_of_file(server: Server, tmp_path: Path, suffix: str) -> None:
    table = tmp_path / f"table{suffix}"
    frame = pd.DataFrame({"number": range(200), "text": ["x" * (1 + n % 7) for n in range(200)]})
    if "csv" in suffix or suffix == ".tsv":
        frame.to_csv(table, index=False, sep="\t" if suffix == ".tsv" else ",")
    elif suffix == ".parquet":
        frame.to_parquet(table)
    else:
        frame.to_json(table, orient="records", lines=True)
    for output in ("out.csv", "out.jsonl", "out.parquet", "out.tsv"):
        file = tmp_path / output
        assert score(server, table, file)["rows"] == 200
        read = {".csv": pd.read_csv, ".tsv": pd.read_table, ".parquet": pd.read_parquet}.get(file.suffix)
        found = read(file) if read else pd.read_json(file, lines=True)
        assert found["number"].astype(int).tolist() == list(range(200))
        assert found["score"].tolist() == [1.0 + n % 7 for n in range(200)]
        if file.suffix in (".jsonl", ".parquet"):
            assert [list(pair) for pair in found["probabilities"][:2]] == [[1.0, -1.0], [2.0, -2.0]]


def test_types_of_a_parquet_table_stay(server: Server, tmp_path: Path) -> None:
    when = pd.to_datetime(["2026-01-31 12:00", None, "2026-02-01 00:00"])
    table = pa.table({"at": pa.array(when, pa.timestamp("ms")), "none": pa.nulls(3), "text": [None, "bad", "good"]})
    pq.write_table(table, tmp_path / "table.parquet")
    score(server, tmp_path / "table.parquet", tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.schema.field("at").type == pa.timestamp("ms")
    assert found["at"].to_pylist() == table["at"].to_pylist()
    assert found["label"].to_pylist() == ["unknown", "negative", "positive"]


def test_json_objects_of_different_keys_make_one_table(server: Server, tmp_path: Path) -> None:
    lines = [{"text": "good", "a": 1}, {"text": "bad", "b": [1, {"c": None}]}, {"text": "x", "a": 2.5, "b": "y"}]
    (tmp_path / "table.jsonl").write_text("\n".join(map(json.dumps, lines)))
    score(server, tmp_path / "table.jsonl", tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet").to_pydict()
    assert found["a"] == [1.0, None, 2.5]
    assert found["b"] == [None, '[1, {"c": null}]', "y"]
    assert found["label"] == ["positive", "negative", "unknown"]


def test_what_is_unlike_the_training_data_is_named(server: Server, tmp_path: Path) -> None:
    table = tmp_path / "german.csv"
    table.write_bytes("Nr;Urteil\n1;sch\xf6n\n2;good\n".encode("latin-1"))
    arguments = ["predict", "sample", "--input", table, "--output", tmp_path / "out.csv", "--server", server.address]
    said = unroll(*arguments, check=2).stderr
    assert "--set data.delimiter=';'" in said
    said = unroll(*arguments, "--set", "data.delimiter=;", "--set", "data.encoding=latin-1", check=2).stderr
    assert "has no column 'text'. It has: 'Nr', 'Urteil'. Name the right one: --set data.text=COLUMN" in said
    settings = ["data.delimiter=;", "data.encoding=latin-1", "data.text=Urteil"]
    done = unroll(*arguments, *(one for setting in settings for one in ("--set", setting)))
    assert [row["score"] for row in rows(tmp_path / "out.csv")] == ["6.0", "4.0"], "bytes of UTF-8"
    assert "2 rows written to" in done.stdout
    shown = unroll(*arguments[:4], *arguments[6:], *(one for setting in settings for one in ("--set", setting)))
    assert "positive" in shown.stdout
    said = unroll(*arguments, "--set", "data.delimiter=;;", check=2).stderr
    assert said.startswith("error: configuration key data.delimiter:")
    assert "only data.* keys" in unroll(*arguments, "--set", "train.epochs=2", check=2).stderr


@pytest.mark.parametrize(
    ("content", "output", "said"),
    [
        ("text\n", "out.csv", "holds no rows"),
        (
            "text,id\n,1\n ,2\n",
            "out.csv",
            "none of 2 rows has a text in column 'text'. Name the right one: --set",
        ),
        ("text\ngood\n", "out.xml", "must end in .csv, .tsv, .jsonl, .parquet"),
        ("text\ngood\n", "none/out.csv", "there is no folder"),
        (None, "out.csv", "no such file"),
    ],
)
def test_what_cannot_be_scored_leaves_nothing(server, tmp_path, content, output, said):
    if content is not None:
        (tmp_path / "table.csv").write_text(content)
    arguments = ["--input", tmp_path / "table.csv", "--output", tmp_path / output]
    done = unroll("predict", "sample", *arguments, "--server", server.address, check=2)
    assert said in done.stderr
    assert not (tmp_path / output).exists()
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"] * (content is not None)


def test_a_table_that_breaks_off_leaves_what_was_there(server: Server, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "table.csv.gz", "wt") as file:
        file.write("text\n" + "good film\n" * 50_000)
    whole = (tmp_path / "table.csv.gz").read_bytes()
    (tmp_path / "table.csv.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "out.csv").write_text("of yesterday")
    arguments = ["--input", tmp_path / "table.csv.gz", "--output", tmp_path / "out.csv", "--server", server.address]
    assert "table.csv.gz" in unroll("predict", "sample", *arguments, check=2).stderr
    assert (tmp_path / "out.csv").read_text() == "of yesterday"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.csv", "table.csv.gz"]


def test_lines_stay_lines_and_other_files_are_neither(server: Server, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("\ufeffgood\ntext,label\n")
    (tmp_path / "texts.json").write_text('["good"]')
    done = unroll("predict", "sample", "--json", "--input", tmp_path / "lines.txt", "--server", server.address)
    assert [row["text"] for row in json.loads(done.stdout)["predictions"]] == ["good", "text,label"]
    done = unroll("predict", "sample", "--input", tmp_path / "texts.json", "--server", server.address, check=2)
    assert "is neither a table (.csv" in done.stderr


def test_a_long_table_is_shown_in_part(server: Server, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("text\n" + "good\n" * 150)
    done = unroll("predict", "sample", "--input", tmp_path / "table.csv", "--server", server.address)
    assert done.stdout.count("positive") == 20
    assert "130 more rows: --output FILE.csv writes them all." in done.stdout


def test_a_model_says_how_its_tables_are_read(trained: dict, tmp_path: Path) -> None:
    client: Any = InProcessClient(Exported(Path(trained["path"])), "small", 1)
    _, description = asked(client)
    assert description["data"]["text"] == "text"
    assert description["data"]["group"] == "source"
    assert description["labels"] == ["neg", "pos"]
    table = tmp_path / "table.csv"
    table.write_text("body|stars\na wonderful superb film|5\na dreadful boring film|1\n")
    tally = write(client, [str(table)], tmp_path / "out.csv", ["data.text=body", "data.delimiter=|"])
    assert tally.rows == 2
    assert [row["label"] for row in rows(tmp_path / "out.csv")] == ["pos", "neg"]
    assert [row["stars"] for row in rows(tmp_path / "out.csv")] == ["5", "1"]
    with pytest.raises(UserError, match=r"data\.body: unknown\. Known keys: .*data\.text"):
        asked(client, ["data.body=text"])


def test_an_output_keeps_columns_that_begin_empty(tmp_path: Path) -> None:
    with open_output(tmp_path / "out.parquet", {}) as output:
        output.write([{"a": None, "b": None}] * 3)
        output.write([{"a": 1.5, "b": None}])
    found = pq.read_table(tmp_path / "out.parquet").to_pydict()
    assert found == {"a": [None, None, None, 1.5], "b": [None] * 4}


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    """Rows are handed on a batch at a time, whatever the format."""
    frame = pd.DataFrame({"text": ["good film"] * 5000, "number": np.arange(5000)})
    frame.to_csv(tmp_path / "table.csv", index=False)
    frame.to_parquet(tmp_path / "table.parquet")
    frame.to_json(tmp_path / "table.jsonl", orient="records", lines=True)
    for name in ("table.csv", "table.parquet", "table.jsonl"):
        table = RowTable.open(str(tmp_path / name), {"text": "text"}, {})
        sizes = [len(batch["text"]) for batch in table.batches()]
        assert sum(sizes) == 5000
        assert max(sizes) <= 256


class Flats:
    """A model of records without a server: answers the rooms that it is asked about."""

    model = "flats"

    def __init__(self, **described: Any):
        columns = {"rooms": "number", "town": "category"}
        self.description = {"input": "records", "columns": columns, "data": {"rooms": "Zimmer"}, **described}

    def metadata(self) -> dict[str, Any]:
        return {"serving_default": None, "describe": None}

    def predict(self, inputs, signature="serving_default", version=None) -> Any:
        found: Any = Prediction()
        found.version = 3
        if signature == "describe":
            found["json"] = np.array(json.dumps(self.description), object)
        else:
            found["value"] = np.array(inputs["rooms"], np.float32)
        return found


@pytest.mark.parametrize(
    ("described", "settings", "cells", "values"),
    [
        ({}, [], ["2", "2.5", ""], [2, 2.5, None]),
        ({"formats": {"rooms": {"decimal": ","}}}, [], ["2", "2,5", "n/a"], [2, 2.5, None]),
        (
            {"formats": {"rooms": {"decimal": ",", "thousands": "."}}},
            [],
            ["1.049,5", "1.049", "-"],
            [1049.5, 1049, None],
        ),
        ({}, ["data.decimal=,"], ["2,5", "3", "-999"], [2.5, 3, -999]),
        ({"data": {"rooms": "Raum", "missing": ["-999"]}}, ["data.rooms=Zimmer"], ["2.5", "3", "-999"], [2.5, 3, None]),
    ],
)
def test_numbers_are_read_as_training_read_them(tmp_path, described, settings, cells, values):
    table = tmp_path / "flats.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["Nr", "Zimmer", "town"], *([n, cell, "Ulm"] for n, cell in enumerate(cells))])
    client: Any = Flats(**described)
    write(client, [str(table)], tmp_path / "out.parquet", settings)
    found = pq.read_table(tmp_path / "out.parquet").to_pydict()
    assert found["Zimmer"] == values
    assert [None if math.isnan(value) else value for value in found["value"]] == values
    assert found["Nr"] == ["0", "1", "2"]


def test_a_number_in_another_form_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "flats.csv").write_text('Zimmer,town\n"2,5",Ulm\n2.5,Ulm\n')
    client: Any = Flats(formats={"rooms": {"decimal": ","}})
    tally = write(client, [str(tmp_path / "flats.csv")], tmp_path / "out.csv")
    assert (tally.rows, tally.unanswered) == (2, 1)
    assert "row 3: a cell is not a number with a decimal comma" in tally.first


def test_a_workbook_is_a_table(tmp_path: Path) -> None:
    pd.DataFrame({"Nr": [7, 8], "Zimmer": [2.5, None], "town": ["Ulm", "Trier"]}).to_excel(
        tmp_path / "flats.xlsx", index=False
    )
    client: Any = Flats()
    write(client, [str(tmp_path / "flats.xlsx")], tmp_path / "out.csv")
    assert [(row["town"], row["value"]) for row in rows(tmp_path / "out.csv")] == [("Ulm", "2.5"), ("Trier", "")]
    write(client, [str(tmp_path / "flats.xlsx")], tmp_path / "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line, parse_constant=pytest.fail)["value"] for line in lines] == [2.5, None]


def test_what_stands_for_a_missing_value_stays_as_it_is_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("id,text\n-999,good\n8,-999\n9,n/a\n")
    done = score(server, tmp_path / "table.csv", tmp_path / "out.csv", "--set", "data.missing=[-999]")
    found = rows(tmp_path / "out.csv")
    assert [(row["id"], row["text"], row["score"]) for row in found] == [
        ("-999", "good", "4.0"), ("8", "-999", "0.0"), ("9", "n/a", "3.0"),
    ]  # fmt: skip
    assert done["empty"] == 1, "it is asked about as no text"
