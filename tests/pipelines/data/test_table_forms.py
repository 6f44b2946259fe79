"""Tables of records as people have them: quotation marks, headers, lines around the table, encodings, workbooks.

Where a file is refused, the setting that the message names is tried, and must read it.
"""

import csv
import gzip
import random
import re
import shlex

import pandas as pd
import pytest
from openpyxl import Workbook

from unroll.errors import UserError
from unroll.monitoring.tables.files import csv_file, footer, text_source
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.records import find_files, read_records
from unroll.pipelines.tasks.sentiment.config import SentimentConfig
from unroll.pipelines.training.config import load_config
from unroll.python_words import python_words

LABELS = ["good", "bad"]
TEXTS = [f"the {'best' if number % 2 == 0 else 'worst'} film of {1900 + number}" for number in range(60)]


def lines(delimiter=",", header="text,label"):
    rows = [f"{text}{delimiter}{LABELS[number % 2]}" for number, text in enumerate(TEXTS)]
    return [header.replace(",", delimiter), *rows]


def read(path, *settings):
    """(records, notes) with these `--set` options."""
    section = load_config(SentimentConfig, None, settings).data
    notes = Notes()
    columns = [section.text, section.label]
    batches = read_records(find_files(str(path)), columns, table_format=section.table_format, notes=notes)
    return [record for batch in batches for record in zip(*batch.values(), strict=True)], list(notes)


def written(folder, content, name="data.csv"):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def refused(path, *settings):
    with pytest.raises(UserError) as caught:
        read(path, *settings)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def remedies(message):
    """The settings that a message names."""
    words = re.findall(r"--set ('[^']+'|\S+(?='? ))|--set (\S+)", message + " ")
    return [shlex.split((one or other).rstrip(",."))[0] for one, other in words]


def unclosed(rows, delimiter="\t", closing='"'):
    """Two lines of a table whose texts begin with a quotation mark that nothing closes."""
    rows = list(rows)
    rows[10] = f'"{rows[10]}'
    rows[40] = rows[40].replace(delimiter, f"{closing}{delimiter}") if closing != '"' else f'"{rows[40]}'
    return "\n".join([*rows, ""])


@pytest.mark.parametrize(
    ("rows", "name", "row"),
    [
        (unclosed(lines("\t")), "data.tsv", 11),
        (unclosed(lines("\t"), closing=' 5"'), "data.tsv", 11),  # the second closes the first at the end of a cell
        (unclosed(lines()), "data.csv", 11),
        ("\n".join([*lines()[:50], '"the last film,good', ""]), "data.csv", 51),
    ],
)
def test_a_quotation_mark_that_swallows_rows_is_refused_by_row_and_the_remedy_reads_all(tmp_path, rows, name, row):
    file = written(tmp_path, rows, name)
    message = refused(file)
    assert f"row {row}:" in message
    records, _ = read(file, *remedies(message))
    assert len(records) == rows.count("\n") - 1
    assert {label for _, label in records} == set(LABELS)
    assert records[row - 2][0].startswith('"')


def test_file_names_and_captions_are_not_swallowed_either(tmp_path):
    rows = [f"{number}.jpg,a bar of colour {number}" for number in range(40)]
    rows[5] = '5.jpg,"a bar'
    rows[20] = '20.jpg,a bar of 5"'
    file = written(tmp_path, "\n".join(["image,caption", *rows, ""]))
    with pytest.raises(UserError, match=r"row 7: .* only ends 15 rows further down"):
        list(read_records([file], ["image", "caption"]))


@pytest.mark.parametrize("lines_of_cell", ["one, two\nthree, four", "good\n\nbad, but\nfine", "a\r\nb"])
def test_cells_of_several_lines_are_read_whole(tmp_path, lines_of_cell):
    rows = lines()
    rows[30] = f'"{lines_of_cell}",good'
    records, notes = read(written(tmp_path, "\n".join([*rows, ""])))
    assert len(records) == 60
    assert records[29] == (lines_of_cell, "good")
    assert not notes


def test_cells_of_several_lines_may_end_in_another_block(tmp_path):
    text = "word, " * 20 + "\n" + "more, " * 20
    rows = [f'"{text} {number}",{LABELS[number % 2]}\n' for number in range(30_000)]  # blocks are of 2 MB
    records, _ = read(written(tmp_path, "text,label\n" + "".join(rows)))
    assert len(records) == 30_000
    assert records[-1] == (f"{text} 29999", "bad")


@pytest.mark.parametrize("cell", [r'"she said \"fine, thanks\" to him"', r'"\"Fine\""', r'"he said \""'])
def test_quotation_marks_behind_a_backslash_are_refused_and_the_remedy_reads_them(tmp_path, cell):
    rows = lines()
    rows[3] = f"{cell},good"
    file = written(tmp_path, "\n".join([*rows, ""]))
    message = refused(file)
    assert "row 4" in message
    assert remedies(message) == ["data.escape=\\"]
    records, _ = read(file, *remedies(message))
    assert len(records) == 60
    assert records[2] == (cell[1:-1].replace('\\"', '"'), "good")


def test_a_mark_that_closes_within_a_cell_is_told(tmp_path):
    rows = lines()
    rows[3] = '"Fine" it was,good'
    records, notes = read(written(tmp_path, "\n".join([*rows, ""])))
    assert records[2] == ("Fine it was", "good")
    assert "the first in row 4" in notes[0]
    records, notes = read(written(tmp_path, "\n".join([*rows, ""])), "data.quote=null")
    assert records[2] == ('"Fine" it was', "good")
    assert not notes


def test_marks_within_cells_are_text(tmp_path):
    rows = lines("|")
    rows[3] = 'a "blue" bar of 5"|good'
    records, notes = read(written(tmp_path, "\n".join([*rows, ""])), "data.delimiter=|")
    assert records[2] == ('a "blue" bar of 5"', "good")
    assert not notes


@pytest.mark.parametrize(
    "above",
    [["Report of plant 7", "Made on 2024-05-01"], ["# made by hand"], ["Reviews", "", ""], ["a,b,c,d", ""], ["Title,"]],
)
def test_lines_above_the_header_are_left_out_and_told(tmp_path, above):
    records, notes = read(written(tmp_path, "\n".join([*above, *lines(), ""])))
    assert len(records) == 60
    assert notes[0].endswith(f"{'; '.join(one.replace(',', ' ').strip() for one in above if one)}.")


def test_lines_above_that_look_like_records_are_refused_by_the_row_that_names_the_columns(tmp_path):
    file = written(tmp_path, "\n".join(["plant,7", "made,yesterday", *lines(), ""]))
    message = refused(file)
    assert remedies(message)[0] == "data.skip_rows=2"
    assert len(read(file, "data.skip_rows=2")[0]) == 60


@pytest.mark.parametrize(
    ("delimiter", "settings", "names"),
    [(",", [], ["1", "2"]), ("\t", ["data.delimiter=\\t"], ["1", "2"])],
)
def test_a_file_without_a_header_is_refused_and_the_remedy_reads_it(tmp_path, delimiter, settings, names):
    file = written(tmp_path, "\n".join([*lines(delimiter)[1:], ""]))
    message = refused(file, *settings)
    assert "looks like a record" in message
    assert remedies(message)[0] == "data.header=false"
    columns = [f"data.text={names[0]}", f"data.label={names[1]}"]
    assert len(read(file, *settings, "data.header=false", *columns)[0]) == 60
    assert len(read(file, *settings, "data.header=[text, label]")[0]) == 60
    assert "names 3 columns" in refused(file, *settings, "data.header=[a, b, c]")


def test_a_first_line_may_say_the_delimiter(tmp_path):
    records, notes = read(written(tmp_path, "\r\n".join(["sep=;", *lines(";"), ""])))
    assert len(records) == 60
    assert "';'" in notes[0]


@pytest.mark.parametrize(
    "footer", ["Source: plant 7", "1,2,3", 'C,"END OF REPORT",602', 'note,"as ever, provisional","from plant 7"']
)
def test_lines_below_the_table_are_refused_by_row_and_can_be_left_out(tmp_path, footer):
    file = written(tmp_path, "\n".join([*lines(), footer, ""]))
    assert "data.skip_footer=1" in remedies(refused(file))
    assert len(read(file, "data.skip_footer=1")[0]) == 60


@pytest.mark.parametrize("footer", ["Source: the office, Crown copyright", '"Provisional figures","see notes"'])
def test_words_below_numbers_are_refused_and_can_be_left_out(tmp_path, footer):
    rows = [f"film {1900 + number},{number % 2}" for number in range(60)]
    file = written(tmp_path, "\n".join(["text,label", *rows, "", footer, ""]))
    assert "data.skip_footer=1" in remedies(refused(file))
    assert len(read(file, "data.skip_footer=1")[0]) == 60


@pytest.mark.parametrize("title", ["Activities\n", "", "Second part\nof two\n"])
def test_another_table_below_can_be_left_out_however_long_it_is(tmp_path, title):
    other = title + "name,calories,steps\n" + "a long walk around the lake,310,4200\n" * 2000
    file = written(tmp_path, "\n".join([*lines(), "", other]))
    setting = f"data.skip_footer={other.count(chr(10))}"
    assert setting in remedies(refused(file))
    assert len(read(file, setting)[0]) == 60


@pytest.mark.parametrize(("row", "cells"), [("fine", 1), ("fine,good,9", 3)])
def test_a_row_of_another_width_is_named(tmp_path, row, cells):
    rows = lines()
    rows[20] = row
    message = refused(written(tmp_path, "\n".join([*rows, ""])))
    assert f"row 21: has {cells} cell" in message
    assert "2" in message


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("text,label\nCafé für alle,good\n".encode("latin-1"), "latin-1"),
        ("text,label\n“Quoted” – café,good\n".encode("cp1252"), "cp1252"),
        ("text,label\n这部电影很好看 我喜欢,good\n".encode("gb18030"), "gb18030"),
        ("text,label\nОчень хороший фильм,good\n".encode("cp1251"), "cp1251"),
        ("text,label\nfine,good\n".encode("utf-16"), "utf-16"),
        ("text,label\nfine,good\n".encode("utf-16-le"), "utf-16-le"),
    ],
)
def test_another_encoding_is_refused_and_the_remedy_reads_it(tmp_path, content, encoding):
    file = written(tmp_path, content)
    message = refused(file)
    assert remedies(message) == [f"data.encoding={encoding}"]
    assert read(file, *remedies(message))[0] == [(content.decode(encoding).split("\n")[1].split(",")[0], "good")]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("\ufeff" + "\n".join(lines()), "bom.csv"),
        ("\r".join(lines()), "returns.csv"),
        ("\r\n\r\n".join(lines()), "blank.csv"),
        (gzip.compress("\r\n".join(lines()).encode()), "packed.csv.gz"),
        ("\n".join(line + ",," for line in lines()), "trailing.csv"),
        ("\n".join([lines()[0], *(line + "," for line in lines()[1:])]), "trailing_below.csv"),
        ("\n".join(lines(header=" text , label")), "blanks.csv"),
    ],
)
def test_harmless_differences_are_read(tmp_path, content, name):
    records, notes = read(written(tmp_path, content, name))
    assert [text for text, _ in records] == TEXTS
    assert not notes


def test_zeros_that_a_crash_left_are_refused_by_row(tmp_path):
    content = "\n".join(lines()[:31]).encode() + b"\n" + bytes(4096)
    assert "row 32: holds NUL bytes" in refused(written(tmp_path, content))


def test_json_lines_may_begin_with_a_byte_order_mark(tmp_path):
    file = written(tmp_path, '\ufeff{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n', "data.jsonl")
    assert read(file)[0] == [("a", "1"), ("b", "0")]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_words_for_missing_values(tmp_path, kind):
    frame = pd.DataFrame({"text": ["k.A.", "fine"], "label": ["good", "k.A."]})
    file = tmp_path / f"data.{kind}"
    write = {"csv": frame.to_csv, "parquet": frame.to_parquet}.get(kind)
    if write:
        write(file, index=False)
    else:
        frame.to_json(file, orient="records", lines=True)
    assert read(file, "data.missing=[k.A.]")[0] == [(None, "good"), ("fine", None)]


@pytest.mark.parametrize("name", ["Review Text", "a: b", "No", "12:30", "#text", "a, b", "[x]", "Größe (cm) §"])
def test_columns_of_any_name_can_be_named(tmp_path, name):
    pd.DataFrame({name: ["fine"], "label": ["good"]}).to_csv(tmp_path / "data.csv", index=False)
    stated = f'"{name}"' if name.startswith("[") else name
    assert read(tmp_path / "data.csv", f"data.text={stated}")[0] == [("fine", "good")]


def test_workbooks_are_read_as_other_tables(tmp_path):
    frame = pd.DataFrame({"text": TEXTS, "label": [1, 0] * 30})
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    book = Workbook()
    book.active.title = "empty"
    sheet = book.create_sheet("reviews")
    for row in (["Reviews of May"], [], ["text", "label", None], ['"a", b\nc', 1.0], ["d", 0], [None, None]):
        sheet.append(row)
    book.save(tmp_path / "b.xlsx")
    records, notes = read(tmp_path)
    assert records == [*zip(TEXTS, ["1", "0"] * 30, strict=True), ('"a", b\nc', "1"), ("d", "0")]
    assert len(notes) == 2
    assert "'reviews' is read" in notes[0]
    assert "Reviews of May" in notes[1]
    assert "'empty', 'reviews'" in refused(tmp_path / "b.xlsx", "data.sheet=Reviews")
    assert len(read(tmp_path / "b.xlsx", "data.sheet=2")[0]) == 2


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xls", b"\xd0\xcf\x11\xe0", "Save it as .xlsx"),
        ("a.csv", b"\xd0\xcf\x11\xe0" + bytes(99), "Save it as .xlsx"),
        ("a.csv", b"PK\x03\x04" + bytes(99), "Rename it to a.xlsx"),
        ("a.xlsx", b"PK\x03\x04" + bytes(99), "is not an Excel workbook"),
        ("a.csv", b"\x1f\x8b\x08" + bytes(99), "Rename it to a.csv.gz"),
        ("a.csv", b"<!DOCTYPE html><html>404</html>\n", "Download it again"),
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        ("a.csv", b'[{"text": "fine", "label": "good"}]', "rename it to a.jsonl"),
        ("a.xlsx", b"text,label\n", "is not an Excel workbook"),
    ],
)
def test_files_that_are_not_what_they_are_called(tmp_path, name, content, words):
    assert words in refused(written(tmp_path, content, name))


@pytest.mark.parametrize("seed", range(12))
def test_what_a_program_writes_is_read_back(tmp_path, seed):
    """Any cells with marks, delimiters and line ends in them, between columns of numbers and names of files."""
    rng = random.Random(seed)
    delimiter = rng.choice(",;\t|")
    pieces = ["word", "two words", '"', '""', delimiter, "\n", "\r\n", " ", "1", "good", f"7{delimiter}x", "it's", "\\"]
    rows = [("text", "label", "count")]
    for number in range(400):
        text = "".join(rng.choices(pieces, k=rng.randrange(6))).replace('\\"', "") or "x"
        rows.append((text, rng.choice([*LABELS, f"{number}.jpg"]), str(number)))
    file = tmp_path / ("data.tsv" if delimiter == "\t" else "data.csv")
    with file.open("w", newline="") as stream:
        quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
        ends = rng.choice(["\n", "\r\n"])
        csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator=ends).writerows(rows)
    stated = {"\t": "\\t"}.get(delimiter, delimiter)
    records, _ = read(file, f"data.delimiter={stated}", "data.label=count")
    assert records == [(text, count) for text, _, count in rows[1:]]


@pytest.mark.parametrize(
    ("message", "python"),
    [
        ("Say so: --set 'data.escape=\\'.", r'config={"data.escape": "\\"}'),
        ("--set 'data.missing=[k.A., -999]'", 'config={"data.missing": ["k.A.", "-999"]}'),
        ("--set data.quote=null. Else", 'config={"data.quote": None}. Else'),
        ("--set data.delimiter=';'", 'config={"data.delimiter": ";"}'),
    ],
)
def test_remedies_are_told_in_python_where_python_asked(message, python):
    with pytest.raises(UserError) as caught, python_words():
        raise UserError(message)
    assert python in str(caught.value)


def test_a_line_end_that_two_blocks_share_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(text_source, "_BLOCK_BYTES", 50)
    monkeypatch.setattr(csv_file, "_HEAD_BYTES", 50)
    monkeypatch.setattr(footer, "_TAIL_BYTES", 20)
    rows = [(f"{'x' * (number % 7)}a\r\nb", "good") for number in range(200)]
    file = written(tmp_path, "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows))
    assert read(file)[0] == rows
