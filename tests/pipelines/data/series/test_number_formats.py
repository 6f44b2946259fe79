"""Numbers of series as people write them: marks, signs, words, values that stand for a missing one."""

import re
import shlex

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unroll.errors import UserError
from unroll.pipelines.data.series.data import SeriesData, prepare, read_further
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.table import read_table
from unroll.pipelines.tasks.forecasting.config import ForecastConfig
from unroll.pipelines.training.config import load_config
from unroll.pipelines.training.progress import Progress

HOURS = pd.date_range("2024-03-01", periods=60, freq="h").strftime("%Y-%m-%d %H:%M")
VALUES = np.round(980 + 7.3 * np.arange(60), 2)  # from hundreds to thousands


def table_of(path, *settings):
    section = load_config(ForecastConfig, None, settings).data
    with Progress().stage("reading") as stage:
        return read_table(section, str(path), stage)


def csv(folder, columns, delimiter=","):
    file = folder / "data.csv"
    rows = len(next(iter(columns.values())))
    pd.DataFrame({"time": HOURS[:rows], **columns}).to_csv(file, index=False, sep=delimiter)
    return file


def english(value, digits=2):
    return f"{value:,.{digits}f}"


def german(value, digits=2):
    return english(value, digits).translate(str.maketrans(",.", ".,"))


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([f"{value:.2f}".replace(".", ",") for value in VALUES], "a decimal comma"),
        ([english(value) for value in VALUES], "commas between thousands"),
        ([german(value) for value in VALUES], "a decimal comma, points between thousands"),
        ([english(value).replace(",", " ").replace(".", ",") for value in VALUES], "blanks between thousands"),
        ([english(value).replace(",", "\u202f") for value in VALUES], "blanks between thousands"),
        ([english(value).replace(",", "’") for value in VALUES], "apostrophes between thousands"),
        ([f"€ {english(value)}" for value in VALUES], "the sign €, which is taken off"),
        ([f"{value:.2f} %" for value in VALUES], "the sign %"),
        ([f"({english(value)})" if value > 1300 else english(value) for value in VALUES], "negative ones"),
    ],
)
def test_a_format_is_found_said_and_read(tmp_path, texts, said):
    table = table_of(csv(tmp_path, {"v": texts, "other": range(60)}, ";"), "data.delimiter=;")
    assert table.roles.targets == ["v", "other"]
    signs = np.where(["(" in text for text in texts], -1, 1)
    np.testing.assert_allclose(table.values[:, 0], VALUES * signs, rtol=1e-6)
    (note,) = table.dataset_info["notes"]
    assert "'v'" in note
    assert said in note


@pytest.mark.parametrize("mark", [",", "."])
def test_whole_numbers_with_marks_between_thousands(tmp_path, mark):
    texts = [english(value, 0).replace(",", mark) for value in VALUES]
    table = table_of(csv(tmp_path, {"v": texts}))
    np.testing.assert_array_equal(table.values[:, 0], [float(english(value, 0).replace(",", "")) for value in VALUES])


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["20.125", "1.250", "3.500", "20.125"], [20.125, 1.25, 3.5, 20.125]),
        (["0.512", "1.049", "3", "2.000"], [0.512, 1.049, 3, 2]),
        (["1.5", "2.25", "1.049", "-.5"], [1.5, 2.25, 1.049, -0.5]),
        (["1e3", "2.5E-3", "inf", "+4"], [1000, 0.0025, np.nan, 4]),
        (["1,00,000", "2,50,000.5", "99", "3,000"], [100000, 250000.5, 99, 3000]),
    ],
)
def test_points_are_decimal_where_nothing_speaks_against_it(tmp_path, texts, expected):
    np.testing.assert_allclose(table_of(csv(tmp_path, {"v": texts})).values[:, 0], expected, rtol=1e-6)


def test_another_column_says_what_a_mark_is(tmp_path):
    doubtful = [f"{1 + number % 9},{number:03}" for number in range(60)]
    english_table = table_of(csv(tmp_path, {"v": doubtful, "w": VALUES}))
    assert english_table.values[1, 0] == 2001
    german_table = table_of(csv(tmp_path, {"v": doubtful, "w": [german(value) for value in VALUES]}))
    assert german_table.values[1, 0] == np.float32(2.001)


@pytest.mark.parametrize(
    ("texts", "readings"),
    [
        (["1,049", "2,512", "9,000"], {"data.thousands=,": 1049, "data.decimal=,": 1.049}),
        (["7", "1.125", "30"], {"data.thousands=.": 7, "data.decimal=.": 7}),
        (["1", "1,5", "3"], {"data.decimal=,": 1}),
        (["1,5", "n/k", "2,5"], {"data.missing=[n/k]": 1.5}),
    ],
)
def test_what_could_mean_two_things_is_refused_and_each_remedy_works(tmp_path, texts, readings):
    file = csv(tmp_path, {"v": texts, "other": [1, 2, 3]})
    with pytest.raises(UserError, match=r"row \d, column 'v'") as caught:
        table_of(file)
    settings = [shlex.split(one)[0] for one in re.findall(r"--set ('[^']+')", str(caught.value))]
    assert dict.fromkeys(settings) == dict.fromkeys(readings)
    for setting, first in readings.items():
        assert table_of(file, setting).values[0, 0] == np.float32(first)
    assert table_of(file, "data.targets=other").roles.targets == ["other"], "it may be left out on purpose"


@pytest.mark.parametrize(
    "texts",
    [
        ["1.5", "1,5", "2,5"],
        ["$1.50", "2.50", "3.50"],
        ["0.5K", "1.2M", "3K"],
        ["1,5 kg", "2 g", "3 kg"],
        [f"1{number}.50 USD" if number % 2 else f"EUR 1{number}.50" for number in range(30)],
        [f"{number}.5{'*' * (number % 9 == 0)}" for number in range(60)],
        [f"{number}.5{' p' * (number > 40)}" for number in range(60)],
        [f"'{number}.5'" for number in range(60)],
        [f"1.{number}D+03" for number in range(10, 60)],
    ],
)
def test_a_column_that_is_written_in_two_ways_or_with_units_is_refused(tmp_path, texts):
    with pytest.raises(UserError, match=r"column 'v'.*Write all as plain numbers"):
        table_of(csv(tmp_path, {"v": texts, "other": range(len(texts))}))


def test_whole_numbers_that_turn_out_to_have_points_between_thousands_are_refused(tmp_path):
    small = [str(number % 1000) for number in range(160_000)]  # the types are found in the first two megabytes
    values = [*small, "1.049", "1.112", "1.159"]
    rows = "".join(f"{1_700_000_000 + 3600 * number},{value}\n" for number, value in enumerate(values))
    (tmp_path / "data.csv").write_text("time,v\n" + rows)
    with pytest.raises(UserError, match=r"column 'v'.*data.thousands=\."):
        table_of(tmp_path / "data.csv")
    assert table_of(tmp_path / "data.csv", "data.thousands=.").values.max() == 1159


@pytest.mark.parametrize("word", ["#DIV/0!", "offline"])
def test_a_column_of_numbers_does_not_drop_out_for_a_word(tmp_path, word):
    file = csv(tmp_path, {"v": [word if number in (7, 9) else number for number in range(60)], "other": range(60)})
    with pytest.raises(UserError, match=f"row 9, column 'v': holds '{word}' beside numbers") as caught:
        table_of(file)
    table = table_of(file, shlex.split(re.search("'data.missing=[^']*'", str(caught.value))[0])[0])
    assert np.flatnonzero(np.isnan(table.values[:, 0])).tolist() == [7, 9]


@pytest.mark.parametrize(
    "texts", [["10.0.0.1", "10.0.0.2"], ["18.00.00", "19.00.00"], ["2024-01", "2024-02"], ["3 to 4", "5"], ["A1", "B2"]]
)
def test_texts_with_digits_are_left_out_and_named(tmp_path, texts):
    table = table_of(csv(tmp_path, {"v": texts, "other": [1, 2]}))
    assert table.roles.targets == ["other"]
    assert table.dataset_info["ignored_columns"] == [f"v (row 2: {texts[0]!r})"]


@pytest.mark.parametrize("words", [("True", "False"), ("yes", "no"), ("T", "F"), ("WAHR", "FALSCH"), ("y", "n")])
def test_words_for_true_and_false_are_covariates(tmp_path, words):
    texts = [words[number % 2] for number in range(5)] + [""]
    file = csv(tmp_path, {"promo": texts, "v": range(6)})
    table = table_of(file, "data.future_covariates=promo")
    np.testing.assert_array_equal(table.values[:, 1], [1, 0, 1, 0, 1, np.nan])
    assert table_of(file).roles.targets == ["v"], "without a role it is left out"


@pytest.mark.parametrize("value", ["-999", "-200.0", "9999.00", "1e20"])
def test_a_value_that_stands_for_missing_is_hinted_at_and_can_be_named(tmp_path, value):
    texts = [value if number % 9 == 4 else f"{number % 7}.5" for number in range(60)]
    file = csv(tmp_path, {"v": texts, "w": range(60)})
    table = table_of(file)
    (hint,) = table.dataset_info["notes"]
    assert f"'v' holds {float(value):g} 7 times" in hint
    setting = shlex.split(re.search("'data.missing=.*'", hint)[0])[0]
    table = table_of(file, setting)
    assert np.isnan(table.values[:, 0]).sum() == 7
    assert table.dataset_info["notes"] == []
    assert np.nanmax(np.abs(table.values[:, 0])) == 6.5


@pytest.mark.parametrize(
    "values",
    [
        np.arange(60) % 2,
        [0] * 30 + list(range(30)),
        np.sin(np.arange(60)),
        [5.0] * 60,
        [0] * 55 + [100] * 5,
        [1, 2] * 30,
    ],
)
def test_ordinary_columns_give_no_hint(tmp_path, values):
    assert table_of(csv(tmp_path, {"v": values})).dataset_info["notes"] == []


@pytest.mark.parametrize("last", ["Total,12000.0", "Summe:,9", "GRAND TOTAL,1", "Average,3\n\n"])
def test_a_total_below_is_left_out_and_told(tmp_path, last):
    file = csv(tmp_path, {"v": range(60)})
    file.write_text(file.read_text() + last)
    table = table_of(file)
    assert len(table.times) == 60
    assert repr(last.strip()) in table.dataset_info["notes"][0]
    with pytest.raises(UserError, match="row 62, column 'time'"):
        table_of(file, "data.skip_footer=0")


def test_columns_without_a_name_are_no_targets(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text("time,v,,\n" + "".join(f"{time},{number},,\n" for number, time in enumerate(HOURS)))
    table = table_of(file)
    assert table.roles.targets == ["v"]
    assert table.dataset_info["notes"] == []
    pd.DataFrame({"time": HOURS, "v": range(60)}).to_csv(file)  # whose first column is the row's number
    table = table_of(file)
    assert table.roles.targets == ["v"]
    assert table.dataset_info["notes"] == ["Column 1 has no name in the header and is left out."]
    pd.read_csv(file).to_csv(file, index=False)  # which calls it Unnamed: 0
    assert table_of(file).roles.targets == ["v"]


def test_text_of_parquet_is_read_alike(tmp_path):
    texts = [german(value) for value in VALUES]
    table = pa.table({"time": list(HOURS), "v": texts, "id": [f"{number:03}" for number in range(60)]})
    pq.write_table(table, tmp_path / "data.parquet")
    found = table_of(tmp_path / "data.parquet")
    assert found.roles.targets == ["v"], "digits that are text are names"
    np.testing.assert_allclose(found.values[:, 0], VALUES, rtol=1e-6)


def test_further_data_is_read_as_the_training_data_was(tmp_path):
    """Three rows would not say what the comma is."""
    texts = [english(value, 0) for value in VALUES]
    with Progress() as progress:
        section = SeriesSection()
        prepare(section, str(csv(tmp_path, {"v": texts})), tmp_path, progress)
        trained = SeriesData.load(tmp_path).dataset_info
        recent = csv(tmp_path, {"v": ["1,412", "1,419", "1,426"]})
        further = read_further(section, trained, str(recent), progress)
    np.testing.assert_array_equal(further.values[:, 0], [1412, 1419, 1426])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{v:.2f} kWh", "the unit kWh"),
        ("{v:.0f}MW", "the unit MW"),
        ("USD {v:,.2f}", "the unit USD"),
        ("{g} EUR", "a decimal comma, points between thousands, the unit EUR"),
        ("R$ {g}", "a decimal comma, points between thousands, the unit R$"),
        ("CHF {s}", "apostrophes between thousands, the unit CHF"),
        ("{g} zł", "the unit zł"),
    ],
)
def test_a_unit_or_a_currency_beside_every_number_is_taken_off_and_said(tmp_path, text, said):
    texts = [text.format(v=value, g=german(value), s=english(value).replace(",", "'")) for value in VALUES]
    table = table_of(csv(tmp_path, {"v": texts, "other": range(60)}, ";"), "data.delimiter=;")
    expected = np.round(VALUES) if text == "{v:.0f}MW" else VALUES
    assert table.roles.targets == ["v", "other"]
    assert table.values[:, 0] == pytest.approx(expected)
    assert any(said in note for note in table.dataset_info["notes"])


@pytest.mark.parametrize(
    "text", ["{v:.2f}-", "({v:,.2f})", "$({v:,.2f})", "({v:,.2f} $)", "{g}-", "−{v:.1f}", "-${v:.2f}"]
)
def test_negative_numbers_as_ledgers_write_them(tmp_path, text):
    plain = text.replace("-", "").replace("−", "").replace("(", "").replace(")", "")
    texts = [(text if row % 2 else plain).format(v=value, g=german(value)) for row, value in enumerate(VALUES)]
    table = table_of(csv(tmp_path, {"v": texts, "other": range(60)}, ";"), "data.delimiter=;")
    signs = np.where(np.arange(60) % 2, -1, 1)
    assert table.values[:, 0] == pytest.approx(signs * VALUES, abs=0.06)


def test_blanks_behind_a_word_for_missing_do_not_drop_the_column(tmp_path):
    texts = ["NA " if row % 9 == 0 else f"{value}" for row, value in enumerate(VALUES)]
    table = table_of(csv(tmp_path, {"v": texts, "other": range(60)}))
    assert table.roles.targets == ["v", "other"]
    assert np.isnan(table.values[:, 0]).sum() == 7


@pytest.mark.parametrize("word", ["n.a.", "--", "\\N", "<NA>", "(null)", "..", "."])
def test_common_words_for_missing(tmp_path, word):
    table = table_of(csv(tmp_path, {"v": [word if row % 9 == 0 else row for row in range(60)]}))
    assert np.isnan(table.values[:, 0]).sum() == 7


def test_two_values_in_a_cell_are_not_a_decimal_comma(tmp_path):
    file = csv(tmp_path, {"TMP": [f"+00{10 + row},1" for row in range(60)], "other": range(60)})
    with pytest.raises(UserError, match=r"holds '\+0010,1', in which the comma may stand between two values"):
        table_of(file)
    assert table_of(file, "data.decimal=,").values[0, 0] == pytest.approx(10.1)


@pytest.mark.parametrize(
    "texts", [["s1", "s2", "s3"], ["item 1", "item 2", "item 3"], ["1a", "2b", "3c"], ["10am", "11am", "1pm"]]
)
def test_names_with_numbers_are_no_numbers(tmp_path, texts):
    table = table_of(csv(tmp_path, {"name": [texts[row % 3] for row in range(60)], "v": VALUES}))
    assert table.roles.targets == ["v"]


@pytest.mark.parametrize(
    ("delimiter", "days"),
    [(";", "%d.%m.%Y"), (";", "%Y-%m-%d"), (",", "%d.%m.%Y")],
)
def test_points_before_three_digits_are_refused_where_commas_may_be_decimal(tmp_path, delimiter, days):
    times = pd.date_range("2024-03-01", periods=60).strftime(days)
    file = tmp_path / "data.csv"
    values = [f"{52 + step % 7}.{100 + step}" for step in range(60)]
    pd.DataFrame({"time": times, "v": values}).to_csv(file, index=False, sep=delimiter)
    delimited = f"data.delimiter={delimiter}"
    with pytest.raises(UserError, match=r"'52\.100'.*'data\.thousands=\.' or --set 'data\.decimal=\.'"):
        table_of(file, delimited)
    table = table_of(file, delimited, "data.decimal=.")
    assert table.values[0][0] == pytest.approx(52.1)
    table = table_of(file, delimited, "data.thousands=.")
    assert table.values[0][0] == 52_100
    told = " ".join(table.dataset_info["notes"])
    assert "numbers with points between thousands" in told
    assert "decimal comma" not in told


def test_points_are_decimal_where_thousands_have_none(tmp_path):
    file = csv(tmp_path, {"v": [f"{950 + step}.{100 + step}" for step in range(60)]}, ";")
    assert table_of(file, "data.delimiter=;").values[0][0] == pytest.approx(950.1)


@pytest.mark.parametrize("empty", ["", "NA"])
def test_columns_without_a_value_are_left_out_unless_named(tmp_path, empty):
    file = csv(tmp_path, {"v": VALUES, "comment": [empty] * 60, "w": VALUES})
    table = table_of(file)
    assert table.roles.targets == ["v", "w"]
    assert table.values.shape == (60, 2)
    assert "Columns without a value, left out: comment." in table.dataset_info["notes"]
    section = load_config(ForecastConfig, None, ["data.targets=[v, comment]", "data.split_rows=[40, 10, 10]"]).data
    with pytest.raises(UserError, match=r"'comment' has no value.*--set 'data\.targets=\[\"v\"\]'"):
        prepare(section, str(file), tmp_path, Progress())
