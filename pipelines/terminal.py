"""Tables of figures for a terminal of any width: what does not fit goes below, and no number is cut."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from unroll.pipelines.task import Row

_ROWS = 12
WORST_FIRST = "worst first"
FREQUENT_FIRST = "most frequent first"
"""Either ends the title of a table whose first rows are those to look at."""
_UNLIMITED = 1 << 20  # columns of a terminal


@dataclass(frozen=True)
class FigureTable:
    """A table whose first column names the rows. Columns that do not fit follow below, beside the first one again.

    Args:
        title: stands above it; may be empty.
        headings: of the columns.
        rows: as many cells each; texts begin at the left, anything else ends at the right.

    Example:
        >>> Console(width=40).print(FigureTable("", ["test", "model", "ridge"], [["mase", 0.81, 0.85]]))
        <BLANKLINE>
         test    model    ridge
         ──────────────────────
         mase   0.8100   0.8500
        <BLANKLINE>
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str | int | float | Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        title, first, count = self.title, 1, len(self.headings)
        while first < count or (first == 1 == count):
            end = first + 1
            while end < count and self._width(console, first, end + 1) <= options.max_width:
                end += 1
            yield self._part(title, first, end)
            title, first = "", end

    def _width(self, console: Console, first: int, end: int) -> int:
        return console.measure(self._part("", first, end), options=console.options.update_width(_UNLIMITED)).maximum

    def _part(self, title: str, first: int, end: int) -> Table:
        table = Table(title=Text(title) if title else None, title_justify="left", box=SIMPLE, pad_edge=False)
        shown = [0, *range(first, min(end, len(self.headings)))]
        for column in shown:
            text = all(isinstance(row[column], str) for row in self.rows)
            table.add_column(Text(self.headings[column]), justify="left" if text else "right", overflow="fold")
        for row in self.rows:
            table.add_row(*(_cell(row[column]) for column in shown))
        return table


def print_metrics(console: Console, title: str, metrics: Mapping[str, float]) -> None:
    """Prints one table a split: one row a metric, one column the model and each baseline or group.

    Args:
        console: where to.
        title: says whose they are.
        metrics: `{"split/metric": value}`, with `/group` appended for a group or baseline; `baseline/` before it all
            makes no difference.
    """
    splits: dict[str, dict[str, dict[str, float]]] = {}
    for key, value in metrics.items():
        split, metric, *group = key.removeprefix("baseline/").split("/", 2)
        splits.setdefault(split, {}).setdefault(metric, {})[group[0] if group else "model"] = value
    for split, scores in splits.items():
        systems = list(dict.fromkeys(system for row in scores.values() for system in row))
        rows = [[_words(metric), *(row.get(system, "") for system in systems)] for metric, row in scores.items()]
        console.print(FigureTable(title, [split, *map(_words, systems)], rows))


def print_tables(console: Console, tables: "Mapping[str, Sequence[Row]]") -> None:
    """Prints tables by title, one dictionary a row; of long ones an even choice of rows, or the first."""
    for title, rows in tables.items():
        shown = min(len(rows), _ROWS)
        if title.endswith((WORST_FIRST, FREQUENT_FIRST)):
            rows = rows[:shown]
        chosen = [rows[round(position * (len(rows) - 1) / max(1, shown - 1))] for position in range(shown)]
        console.print(FigureTable(title, list(map(_words, rows[0])), [list(row.values()) for row in chosen]))


def rounded(value: float) -> str:
    """A number with four significant digits, and all of those before the point of a number below a million.

    Example:
        >>> rounded(0.75), rounded(9.8671e-05), rounded(12345.6)
        ('0.7500', '9.867e-05', '12,346')
    """
    return f"{value:,.0f}" if 999.95 <= abs(value) < 999_999.5 else f"{value:#.4g}"


def aligned(values: Sequence[float | None]) -> list[str]:
    """Numbers that stand well in a column: one width, and the decimals that the largest has in five digits.

    Example:
        >>> aligned([353.5, 46.489, None])
        ['353.50', ' 46.49', '     -']
    """
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    digits = math.floor(math.log10(largest)) if largest else 0
    form = f".{max(0, 4 - digits)}f" if -3 <= digits < 9 else ".4e"
    texts = ["-" if value is None else format(value, form) for value in values]
    width = max(map(len, texts), default=0)
    return [text.rjust(width) for text in texts]


def _cell(value: str | int | float | Text) -> Text:
    if isinstance(value, Text):
        return value
    return Text(rounded(value) if isinstance(value, float) else str(value))


def _words(name: str) -> str:
    return name.replace("_", " ")
