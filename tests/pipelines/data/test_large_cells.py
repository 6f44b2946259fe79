"""Records of any length, sheets of a workbook of which the first is not the table, and encodings that take anything."""

import pytest
from openpyxl import Workbook

from unroll.errors import UserError
from unroll.monitoring.tables.format import TableFormat
from unroll.pipelines.data.records import read_records

ADVICE = {"text": "--set data.text=COLUMN"}


def read(file, **written):
    batches = read_records([file], ["text", "label"], table_format=TableFormat(**written), advice=ADVICE)
    return [row for batch in batches for row in zip(batch["text"], batch["label"], strict=True)]


@pytest.mark.parametrize("sizes", [[2_000_000, 3_000_000], [5_000_000], [100, 2_500_000, 2_500_000, 7]])
def test_cells_of_megabytes_are_read_once_and_in_their_order(tmp_path, sizes):
    rows = [(f"text {number}", "a") for number in range(50)]
    rows += [("x" * size, "b") for size in sizes] + [(f"more {number}", "a") for number in range(50)]
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows))
    assert read(tmp_path / "a.csv") == rows


def workbook(file, **sheets):
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name.replace("_", " "))
        for row in rows:
            sheet.append(row)
    book.save(file)


def test_the_sheet_that_has_the_column_is_named_and_can_be(tmp_path):
    cover, table = [["Export of reviews"], ["by Ana"]], [["As of May"], [], ["text", "label"], ["fine", "pos"]]
    workbook(tmp_path / "a.xlsx", Cover=cover, All_reviews=table)
    with pytest.raises(UserError, match=r"Sheet 'All reviews' has it: --set 'data.sheet=All reviews'"):
        read(tmp_path / "a.xlsx")
    assert read(tmp_path / "a.xlsx", sheet="All reviews") == [("fine", "pos")]


def test_sheets_are_named_where_none_has_the_column(tmp_path):
    workbook(tmp_path / "a.xlsx", Cover=[["Export"], ["by Ana"]], Data=[["body", "stars"], ["fine", 5]])
    with pytest.raises(UserError, match=r"one sheet of 'Cover', 'Data'; --set data.sheet=... names another"):
        read(tmp_path / "a.xlsx")


@pytest.mark.parametrize("text", ["she said \u201cno\u201d", "a film \u2013 a long one", "10 \u20ac"])
def test_what_windows_wrote_is_not_read_as_latin_1(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(f"text,label\nfein f\u00fcr alle,x\n{text},y\n".encode("cp1252"))
    with pytest.raises(UserError, match=r"a.csv, row 3: holds control characters.* --set data.encoding=cp1252"):
        read(tmp_path / "a.csv", encoding="latin-1")
    assert read(tmp_path / "a.csv", encoding="cp1252")[1] == (text, "y")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "iso-8859-15"])
def test_utf_8_is_not_read_as_an_encoding_that_takes_anything(tmp_path, encoding):
    (tmp_path / "a.csv").write_text("text,label\nf\u00fcr alle,x\nsch\u00f6n,y\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"is utf-8 text.* --set data.encoding=utf-8"):
        read(tmp_path / "a.csv", encoding=encoding)
    (tmp_path / "a.csv").write_text("text,label\nf\u00fcr alle,x\n", encoding=encoding)
    assert read(tmp_path / "a.csv", encoding=encoding) == [("f\u00fcr alle", "x")]
