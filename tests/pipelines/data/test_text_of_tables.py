"""Files joined, aligned by blanks, with rows of units, with names over several rows, from the file to numbers."""

import re
import shlex

import numpy as np
import pytest
from openpyxl import Workbook

from unroll.errors import UserError
from unroll.monitoring.tables.files import csv_file, footer, text_source
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.records import read_records
from unroll.pipelines.data.series.table import read_table
from unroll.pipelines.tasks.forecasting.config import ForecastConfig
from unroll.pipelines.tasks.sentiment.config import SentimentConfig
from unroll.pipelines.training.config import load_config
from unroll.pipelines.training.progress import Progress

ROWS = [f"2026-03-{1 + hour // 24:02} {hour % 24:02}:00,{20 + hour % 24}.5,{hour % 7}" for hour in range(240)]
LOAD = [20.5 + hour % 24 for hour in range(240)]


def series(path, *settings):
    section = load_config(ForecastConfig, None, settings).data
    with Progress().stage("reading") as stage:
        return read_table(section, str(path), stage)


def written(folder, lines, name="data.csv"):
    file = folder / name
    file.write_text("\n".join(lines) + "\n")
    return file


def remedy(path, *settings):
    """The settings that a refusal names, which must be read by a shell."""
    with pytest.raises(UserError) as caught:
        series(path, *settings)
    return [shlex.split(one)[0] for one in re.findall(r"--set ('[^']+'|\S+(?<!\.))", str(caught.value))]


def records(path, *settings):
    section = load_config(SentimentConfig, None, settings).data
    batches = read_records([path], [section.text, section.label], table_format=section.table_format)
    return [record for batch in batches for record in zip(*batch.values(), strict=True)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_header_that_comes_again_is_no_record_and_is_told(tmp_path, monkeypatch, end, encoding, times):
    monkeypatch.setattr(text_source, "_BLOCK_BYTES", 64)  # so that blocks end within it
    monkeypatch.setattr(csv_file, "_HEAD_BYTES", 64)
    monkeypatch.setattr(footer, "_TAIL_BYTES", 20)
    header = "time,load,count"
    parts = np.array_split(ROWS, times + 1)
    lines = [line for part in parts for line in (header, *part)]
    file = tmp_path / "data.csv"
    file.write_bytes("".join(line + end for line in lines).encode(encoding))
    table = series(file, f"data.encoding={encoding}")
    assert table.values[:, 0].tolist() == LOAD
    (note,) = table.dataset_info["notes"]
    assert "the header" in note
    assert str(times) in note or times == 1


def test_a_header_comes_again_at_the_very_end_and_in_tables_of_texts(tmp_path):
    file = tmp_path / "data.csv"
    header = "text,label"
    file.write_text("\n".join([header, "fine,good", header, '"dull, ""text,label""",bad', "text,labels", header]))
    assert records(file) == [("fine", "good"), ('dull, "text,label"', "bad"), ("text", "labels")]


@pytest.mark.parametrize("again", ['"text","label"', "\ufefftext,label", 'text,"label"'])
def test_a_header_that_is_written_otherwise_is_no_record_either(tmp_path, again):
    file = written(tmp_path, ["text,label", "fine,good", again, "dull,bad", "text,bad"])
    assert records(file) == [("fine", "good"), ("dull", "bad"), ("text", "bad")]


UNITS = {
    "units": ",kWh,1/h",
    "units and a format": "YYYY-MM-DD hh:mm,[kWh],[-]",
    "a line of a page": "---,---:,:---",
}


@pytest.mark.parametrize("row", UNITS.values(), ids=UNITS.keys())
def test_a_row_of_units_is_left_out_and_said(tmp_path, row):
    table = series(written(tmp_path, ["time,load,count", row, *ROWS]))
    assert table.values[:, 0].tolist() == LOAD
    assert table.roles.targets == ["load", "count"]
    assert any("Row 2 is left out" in note for note in table.dataset_info["notes"])


@pytest.mark.parametrize("row", ["NA,NA,NA", "2026-02-28 23:00,-,1", "2026-02-28 23:00,7,n/a"])
def test_a_first_record_with_missing_values_stays(tmp_path, row):
    table = series(written(tmp_path, ["time,load,count", row, *ROWS]))
    assert table.dataset_info["rows"] == 241


def test_names_over_several_rows_are_joined(tmp_path):
    pivot = ["time,north,north", ",load,count", *ROWS]
    merged = ["time,north,", ",load,count", *ROWS]
    for lines in (pivot, merged):
        table = series(written(tmp_path, lines))
        assert table.roles.targets == ["north load", "north count"]
    prices = ["Price,Close,Volume", "Ticker,ACME,ACME", "Date,,", *ROWS]
    table = series(written(tmp_path, prices), "data.time=Date")
    assert table.roles.targets == ["Close", "Volume"]
    assert table.values[:, 0].tolist() == LOAD


def test_a_row_of_units_in_a_workbook(tmp_path):
    book = Workbook()
    for cells in (["Plant 7"], ["time", "load"], [None, "MW"], *([row.split(",")[0], LOAD[0]] for row in ROWS)):
        book.active.append(cells)
    book.save(tmp_path / "data.xlsx")
    assert len(series(tmp_path / "data.xlsx").times) == 240


def test_columns_aligned_by_blanks_are_refused_naming_the_setting_which_reads_them(tmp_path):
    day = [row.replace(" ", "T").split(",") for row in ROWS]
    lines = [f"{'time':<18}{'load':>8}  count", *(f"  {time:<18}{load:>8}\t{count} " for time, load, count in day)]
    file = written(tmp_path, lines, "data.txt.csv")
    (setting,) = remedy(file)
    assert setting == 'data.delimiter=" "'
    table = series(file, setting)
    assert table.values[:, 0].tolist() == LOAD
    buoy = [f"{row[:4]} {row[5:7]} {row[8:10]} {row[11:13]}  {row.split(',')[1]}" for row in ROWS]
    file = written(tmp_path, ["#YY  MM DD hh  WSPD", "#yr  mo dy hr   m/s", *buoy])
    columns = "data.time=['#YY', MM, DD, hh]"
    table = series(file, *remedy(file, columns), columns)
    assert table.values[:, 0].tolist() == LOAD


@pytest.mark.parametrize("other", ["~", "^", "\x01"])
def test_other_delimiters_are_named(tmp_path, other):
    file = written(tmp_path, [line.replace(",", other) for line in ["time,load,count", *ROWS]])
    assert series(file, *remedy(file)).values[:, 0].tolist() == LOAD


def test_blanks_around_quotation_marks_are_none_of_the_cell(tmp_path):
    lines = ["text, label", '"fine, really" , "good"', 'as "they" say, "bad"', '"two\nlines, and more", "bad"']
    file = written(tmp_path, lines)
    assert records(file) == [("fine, really", "good"), ('as "they" say', "bad"), ("two\nlines, and more", "bad")]


def test_lines_of_a_cell_that_look_like_records_can_be_stated_to_be_text(tmp_path):
    table = ['"a quotation:\nso it was,good\nas they say",bad', *(f"film {number},good" for number in range(40))]
    table += [f"play {number},bad" for number in range(40)]
    file = written(tmp_path, ["text,label", *table])
    with pytest.raises(UserError, match=r"--set data.multiline=true"):
        records(file)
    found = records(file, "data.multiline=true")
    assert len(found) == 81
    assert found[0] == ("a quotation:\nso it was,good\nas they say", "bad")


def test_lines_in_marks_as_a_whole_are_told(tmp_path):
    with pytest.raises(UserError, match="quotation marks as a whole"):
        series(written(tmp_path, [f'"{line}"' for line in ["time,load,count", *ROWS]]))


@pytest.mark.parametrize("name", ["index", "id", "Nr", "#"])
def test_a_column_that_counts_the_rows_is_no_target_unless_it_is_named(tmp_path, name):
    lines = [f"{name},time,load,count", *(f"{number},{row}" for number, row in enumerate(ROWS))]
    table = series(written(tmp_path, lines))
    assert table.roles.targets == ["load", "count"]
    assert any(f"{name!r} counts the rows" in note for note in table.dataset_info["notes"])
    assert series(tmp_path / "data.csv", f"data.targets=['{name}']").roles.targets == [name]


def test_numbers_of_rows_that_the_header_lacks_are_left_out(tmp_path):
    lines = ['"time","load","count"', *(f'"{number}",{row}' for number, row in enumerate(ROWS, 1))]  # as R writes them
    table = series(written(tmp_path, lines))
    assert table.roles.targets == ["load", "count"]
    assert table.values[:, 0].tolist() == LOAD


def test_columns_of_one_name_can_be_named_by_the_line_that_the_refusal_gives(tmp_path):
    file = written(tmp_path, ["time,load,load", *ROWS])
    assert series(file, *remedy(file)).roles.targets == ["load", "load_2"]


@pytest.mark.parametrize("times", [[row[:10] for row in ROWS[::24]] * 3, [str(year) for year in range(1960, 2020)]])
def test_a_table_on_its_side_is_refused(tmp_path, times):
    file = written(tmp_path, [f"page,{','.join(times)}", *(f"p{row}{',7' * len(times)}" for row in range(5))])
    with pytest.raises(UserError, match=r"lies on its side.*DataFrame\.melt"):
        series(file, "data.time=page")


def test_formulas_without_values_are_refused_by_their_column(tmp_path):
    book = Workbook()
    book.active.append(["time", "load", "double"])
    for number, row in enumerate(ROWS, 2):
        time, load, _ = row.split(",")
        book.active.append([time, float(load), f"=B{number}*2"])
    book.save(tmp_path / "book.xlsx")
    with pytest.raises(
        UserError, match=r"column 'double': holds formulas without their values, such as '=B2\*2'.*save it"
    ):
        series(tmp_path / "book.xlsx")
    for row in book.active.iter_rows(min_row=2, min_col=3):
        row[0].value = row[0].row / 2  # as a program that works them out writes values
    book.save(tmp_path / "book.xlsx")
    assert series(tmp_path / "book.xlsx").roles.targets == ["load", "double"]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_utf_8_that_is_read_as_another_encoding_is_refused_in_lines_of_json_too(tmp_path, kind):
    lines = {"csv": ["text,label", "un café,pos", "été,neg"],
             "jsonl": ['{"text": "un café", "label": "pos"}', '{"text": "été", "label": "neg"}']}[kind]  # fmt: skip
    file = written(tmp_path, lines, f"data.{kind}")
    with pytest.raises(
        UserError, match=r"is utf-8 text, of which latin-1 makes two letters.*--set data\.encoding=utf-8"
    ):
        records(file, "data.encoding=latin-1")
    file.write_bytes("\n".join([*lines, lines[-1].replace("été", "“été”")]).encode("cp1252"))
    with pytest.raises(UserError, match=r"control characters.*--set data\.encoding=cp1252"):
        records(file, "data.encoding=latin-1")
    assert records(file, "data.encoding=cp1252")[0] == ("un café", "pos")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_letters_that_were_encoded_twice_are_a_hint(tmp_path, kind):
    text = "un café – “bon”".encode().decode("cp1252", "ignore")
    lines = {"csv": ["text,label", f"{text},pos"], "jsonl": [f'{{"text": "{text}", "label": "pos"}}']}[kind]
    notes = Notes()
    assert list(read_records([written(tmp_path, lines, f"data.{kind}")], ["text", "label"], notes=notes))
    assert "letters such as 'Ã©' where 'é' was meant" in " ".join(notes)
    notes = Notes()
    clean = [line.replace(text, "un café â la crème; São Paulo; Ångström") for line in lines]
    assert list(read_records([written(tmp_path, clean, f"clean.{kind}")], ["text", "label"], notes=notes))
    assert not list(notes)
