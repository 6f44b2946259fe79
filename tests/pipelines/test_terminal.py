"""Tables of metrics as a pipe and narrow or wide terminals get them."""

import io
import re
from collections.abc import Mapping

import pytest
from rich.console import Console

from unroll.pipelines.terminal import FigureTable, aligned, print_metrics, print_tables, rounded

FORECASTING = [
    f"{metric}{system}"
    for metric in ("mse", "mae", "mse_z", "mae_z", "mase", "smape", "wql")
    for system in ("", "/last_value", "/seasonal_naive", "/ridge")
]
SENTIMENT = [f"{metric}{group}" for metric in ("accuracy", "macro_f1", "log_loss") for group in ("", "/imdb", "/rt")]
CAPTIONING = [
    f"{metric}{group}"
    for metric in ("bleu4", "cider", "rouge_l", "exact_match", "distinct_2")
    for group in ("", *(f"/a_group_with_a_long_name_{number}" for number in range(20)))
]


def printed(metrics: Mapping[str, float], width: int) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    print_metrics(console, "loads version 1", metrics)
    return console.export_text()


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("keys", [FORECASTING, SENTIMENT, CAPTIONING], ids=["forecasting", "sentiment", "captioning"])
def test_no_number_and_no_name_is_cut(keys, width):
    metrics = {f"{split}/{key}": 1.0001e-05 * number for split in ("validation", "test") for number, key in
               enumerate(keys, 1)}  # fmt: skip
    text = printed(metrics, width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    numbers = re.findall(r"\d\.\d{3}e-0\d|0\.\d{4,}", text)
    assert sorted(map(float, numbers)) == pytest.approx(sorted(metrics.values()), rel=1e-3)
    for name in {part.replace("_", " ") for key in keys for part in key.split("/")}:
        assert re.search(rf"\b{name}\b", text), name


def test_a_metric_a_row_and_a_system_a_column():
    metrics = {"test/mase": 0.71564, "test/mase/ridge": 0.65, "test/mse": 12345.6, "test/mse/ridge": 9.8671e-05}
    lines = printed(metrics | {"test/coverage_80": 0.8}, 80).splitlines()
    cells = [re.split(r" {2,}", line.strip()) for line in lines if line.strip(" ─")]
    assert cells == [
        ["loads version 1"],
        ["test", "model", "ridge"],
        ["mase", "0.7156", "0.6500"],
        ["mse", "12,346", "9.867e-05"],
        ["coverage 80", "0.8000"],
    ]


def test_what_does_not_fit_follows_below_beside_the_first_column():
    console = Console(width=24, file=io.StringIO(), record=True)
    console.print(FigureTable("", ["step", "first", "second", "third"], [["one", 1.0, 2.0, 3.0]]))
    lines = [line.split() for line in console.export_text().splitlines() if line.strip(" ─")]
    assert lines == [["step", "first", "second"], ["one", "1.000", "2.000"], ["step", "third"], ["one", "3.000"]]


def test_of_a_long_table_an_even_choice_of_rows_is_shown():
    console = Console(width=80, file=io.StringIO(), record=True)
    print_tables(console, {"by step": [{"step": step, "the_model": step / 7} for step in range(1, 97)]})
    lines = console.export_text().splitlines()
    steps = [int(line.split()[0]) for line in lines if re.match(r" *\d", line)]
    assert (steps[0], steps[-1], len(steps)) == (1, 96, 12)
    assert any("the model" in line for line in lines)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.75, "0.7500"),
        (999.96, "1,000"),
        (1e6, "1.000e+06"),
        (-1234.5, "-1,234"),
        (0.0, "0.000"),
        (float("nan"), "nan"),
    ],
)
def test_four_significant_digits(value, text):
    assert rounded(value) == text


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([353.5, 346.49, None, 1.0], ["353.50", "346.49", "     -", "  1.00"]),
        ([-0.5, 1234567.8], ["     -0", "1234568"]),
        ([0.0, 0.0], ["0.0000", "0.0000"]),
        ([2e-7, -1.5e-8], [" 2.0000e-07", "-1.5000e-08"]),
        ([None], ["-"]),
    ],
)
def test_numbers_line_up_at_their_points(values, texts):
    assert aligned(values) == texts
