"""What a model is asked about one row, whatever the model takes: rows in, answers beside them out.

A row that the model cannot be asked about keeps its place, without an answer, and is counted.
"""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa

from unroll.errors import UserError
from unroll.pipelines.asking.output import open_output
from unroll.pipelines.asking.row_tables import RowTable, table_files
from unroll.pipelines.data.records import Batch
from unroll.pipelines.training.progress import Progress

T = TypeVar("T")
_PREFIX = "predicted_"


class UnusableRowError(Exception):
    """A row that a model cannot be asked about; the message says why."""


Answered = dict[str, Any] | UnusableRowError


@dataclass(frozen=True)
class RowQuestion(Generic[T]):
    """How a model is asked about rows.

    Args:
        columns: by input of the model, the column that training read.
        read: of a row's cells by input, and the table's folder, what is asked; raises `UnusableRowError`.
        ask: about some of these, one version of the model if a number is given: the version, and of each an answer
            or why there is none.
        shown: of what is asked, by input, values that stand for the row's cells, such as numbers for text.
        numbers: inputs of which these are numbers.
        stored: inputs whose cells are read as the file has them.
        files: the tables that inputs name.
        open: looks at a table, as `RowTable.open` does.
        empty: of what is asked, the input whose text is empty, or nothing; it is asked all the same, and said.
    """

    columns: Mapping[str, str]
    read: "Callable[[Mapping[str, Any], Path], T]"
    ask: "Callable[[Sequence[T], int | None], tuple[int, Sequence[Answered]]]"
    shown: "Callable[[T], Mapping[str, Any]]" = lambda asked: {}
    numbers: Collection[str] = ()
    stored: Collection[str] = ()
    files: "Callable[[Sequence[str]], list[Path]]" = table_files
    open: "Callable[..., RowTable]" = RowTable.open
    empty: "Callable[[T], str]" = lambda asked: ""


@dataclass
class Tally:
    """How many rows were asked about.

    Args:
        version: that answered.
        rows: all of them.
        unanswered: those without an answer.
        first: where the first of these is, and what is wrong with it.
        empty: those with an empty text, which are answered.
        first_empty: the input of the first of these, and its row.
        renamed: by output, the name of its column, where the table has one of the output's own name.
    """

    version: int = 0
    rows: int = 0
    unanswered: int = 0
    first: str = ""
    empty: int = 0
    first_empty: tuple[str, int] = ("", 0)
    renamed: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, int]:
        """What `--json` prints of it."""
        return {"rows": self.rows, "unanswered": self.unanswered, "empty": self.empty}

    def remarks(self) -> Iterator[str]:
        """What must be said of the rows, a line each."""
        for output, name in self.renamed.items():
            yield f"The table has a column {output!r} of its own: the model's {output} is in {name!r}."
        if self.unanswered:
            yield f"{self.unanswered:,} of {self.rows:,} rows have no answer, the first {self.first}."
        if self.empty:
            yield (
                f"{self.empty:,} of {self.rows:,} rows {'has' if self.empty == 1 else 'have'} an empty text, the first "
                f"row {self.first_empty[1]}: the model answers as to a text without a word."
            )


def table_rows(
    question: "RowQuestion[T]", given: str, section: Mapping[str, Any], version: int = 0
) -> tuple[int, list[dict[str, Any]]]:
    """All rows of a table with what the model answers.

    Args:
        question: how it is asked.
        given: the table's file.
        section: the keys `data.*` of its training.
        version: that is asked; 0: the one that answers first.

    Raises:
        UserError: a table that cannot be read, or none of whose rows can be asked about.
        ServingError: the server refused a request or did not answer.
    """
    tally = Tally(version)
    with Progress() as progress:
        table = question.open(given, question.columns, section, question.stored)
        rows = [row for part in answered(question, table, tally, progress, verbatim=False) for row in part]
        for line in tally.remarks():
            progress.line(line)
    return tally.version, rows


def write_rows(question: "RowQuestion[T]", inputs: Sequence[str], section: Mapping[str, Any], output: Path) -> Tally:
    """Writes the rows of tables with what the model answers, in bounded memory.

    Args:
        question: how it is asked.
        inputs: the tables' files; they have the same columns.
        section: the keys `data.*` of its training.
        output: CSV, TSV, JSONL or Parquet, which is there when it is whole.

    Raises:
        UserError: no table, one that cannot be read, one of other columns, or an output that cannot be written.
        ServingError: the server refused a request or did not answer.
    """
    tally, files = Tally(), list(map(str, question.files(inputs)))
    tables = [question.open(file, question.columns, section, question.stored) for file in files]
    first = tables[0]
    if other := next((table for table in tables if list(table.types) != list(first.types)), None):
        raise UserError(
            f"--input {other.file}: has other columns than {first.file}, and --output takes tables of the same. Score "
            "it into a file of its own"
        )
    types = dict(first.types)
    for key, column in first.columns.items():
        if key not in question.stored:
            types[column] = pa.float64() if key in question.numbers else pa.string()
    verbatim = output.suffix.lower() in (".csv", ".tsv")
    with Progress() as progress, open_output(output, types) as writer:
        for table in tables:
            for rows in answered(question, table, tally, progress, verbatim=verbatim):
                writer.write(rows)
        for line in tally.remarks():
            progress.line(line)
    return tally


def answered(
    question: "RowQuestion[T]", table: RowTable, tally: Tally, progress: Progress, *, verbatim: bool
) -> Iterator[list[dict[str, Any]]]:
    """Asks about all rows of a table; each row's cells, and the answers behind them.

    Args:
        question: how.
        table: opened with the question's columns.
        tally: counts the rows.
        progress: where to show it.
        verbatim: leaves cells as the file has them.

    Yields:
        Rows, all of the same keys, a batch at a time; None for what is not answered.

    Raises:
        UserError: no row, or none that the model can be asked about.
        ServingError: the server refused a request or did not answer.
    """
    waiting: list[tuple[dict[str, Any], dict[str, Any] | None]] = []  # until it is known what the model answers
    outputs: list[str] = []
    with progress.stage("predicting", total=table.lines()) as stage:
        for batch in table.batches():
            rows, answers = _ask(question, table, batch, tally, verbatim)
            outputs = outputs or next((list(answer) for answer in answers if answer is not None), [])
            waiting += zip(rows, answers, strict=True)
            if outputs:
                yield _joined(waiting, outputs, tally)
                waiting = []
            stage.advance(len(rows))
            stage.say(f"{tally.rows:,} rows")
    for note in table.notes:
        progress.line(note)
    if not tally.rows:
        raise UserError(f"--input {table.file}: holds no rows")
    if not outputs:
        raise UserError(
            f"--input {table.file}: none of {tally.rows:,} rows can be asked about, the first {tally.first}"
        )
    if tally.empty == tally.rows:
        key = tally.first_empty[0]
        raise UserError(
            f"--input {table.file}: none of {tally.rows:,} rows has a text in column {table.columns[key]!r}. Name the "
            f"right one: --set data.{key}=COLUMN"
        )


def _ask(
    question: "RowQuestion[T]", table: RowTable, batch: Batch, tally: Tally, verbatim: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any] | None]]:
    rows = [dict(zip(batch, cells, strict=True)) for cells in zip(*batch.values(), strict=True)]
    answers: list[Answered] = []
    asked: dict[int, T] = {}
    for number, row in enumerate(rows):
        cells = {key: row[name] for key, name in table.columns.items()}
        try:
            asked[number] = question.read(cells, table.file.parent)
        except UnusableRowError as reason:
            answers.append(reason)
        else:
            answers.append({})
            if empty := question.empty(asked[number]):
                if not tally.empty:
                    tally.first_empty = empty, table.first + tally.rows + number
                tally.empty += 1
    if asked:
        tally.version, found = question.ask(list(asked.values()), tally.version or None)
        for number, one, answer in zip(asked, asked.values(), found, strict=True):
            answers[number] = answer
            if not verbatim:
                rows[number] |= {table.columns[key]: value for key, value in question.shown(one).items()}
    for number, answer in enumerate(answers):
        if isinstance(answer, UnusableRowError):
            tally.unanswered += 1
            tally.first = tally.first or f"row {table.first + tally.rows + number}: {answer}"
    tally.rows += len(rows)
    return rows, [None if isinstance(answer, UnusableRowError) else answer for answer in answers]


def _joined(
    rows: Iterable[tuple[dict[str, Any], dict[str, Any] | None]], outputs: Sequence[str], tally: Tally
) -> list[dict[str, Any]]:
    joined = []
    for row, answer in rows:
        for output in outputs:
            if output in row and output not in tally.renamed:
                tally.renamed[output] = _free(output, {*row, *outputs})
        given = answer or {}
        joined.append(row | {tally.renamed.get(output, output): given.get(output) for output in outputs})
    return joined


def _free(output: str, taken: Collection[str]) -> str:
    """A name that no column has.

    Example:
        >>> _free("label", {"label", "predicted_label"})
        'predicted_label_2'
    """
    names = itertools.chain([_PREFIX + output], (f"{_PREFIX}{output}_{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)
