"""Records to requests, and answers to rows of a table."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Group, RenderableType
from rich.text import Text

from unroll.errors import UserError
from unroll.pipelines.terminal import FigureTable, rounded
from unroll.serving.client.client import Client, Prediction

if TYPE_CHECKING:
    import pandas as pd

REQUEST_BYTES = 4 << 20
REQUEST_ROWS = 64
_SHOWN = 40  # characters of a text on the terminal; --json has them all
_SHOWN_ROWS = 20  # of more than
_MAX_ROWS = 100
T = TypeVar("T")


def requests(records: Iterable[T], size: Callable[[T], int], rows: int = REQUEST_ROWS) -> Iterator[list[T]]:
    """Records in requests that a server with default limits takes.

    Args:
        records: at least one.
        size: bytes of one.
        rows: of a request at most.

    Example:
        >>> list(requests("abcde", size=lambda record: 1, rows=2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    part: list[T] = []
    total = 0
    for record in records:
        length = size(record)
        if part and (len(part) == rows or total + length > REQUEST_BYTES):
            yield part
            part, total = [], 0
        part.append(record)
        total += length
    yield part


def column_of(frame: "pd.DataFrame", column: str) -> "pd.Series":
    """A column of what a model is asked about.

    Raises:
        UserError: it has no such column.
    """
    if column not in frame:
        raise UserError(f"inputs: the DataFrame has no column {column!r}. It has: {', '.join(map(str, frame.columns))}")
    return frame[column]


def _with_outputs(records: Sequence[Mapping[str, Any]], answer: Prediction) -> list[dict[str, Any]]:
    """Each record's inputs and outputs, as JSON has them."""
    return [
        {
            **record,
            **{
                output: values[row].tolist() if hasattr(values[row], "tolist") else values[row]
                for output, values in answer.items()
            },
        }
        for row, record in enumerate(records)
    ]


def ask_in_requests(
    client: Client,
    parts: Iterable[Sequence[T]],
    inputs: Callable[[Sequence[T]], Mapping[str, Any]],
    shown: Callable[[Sequence[T]], Sequence[Mapping[str, Any]]],
    version: int | None = None,
) -> tuple[int, list[dict[str, Any]]]:
    """Asks `serving_default` of one and the same version about all records.

    Args:
        client: of the model.
        parts: the records of each request, see `requests`.
        inputs: of some records, as they are sent.
        shown: of each of some records, what stands before the outputs.
        version: that is asked; None: the one that answers first.

    Returns:
        The version, 0 where nothing was asked; and a row a record.
    """
    rows: list[dict[str, Any]] = []
    for part in parts:
        answer = client.predict(inputs(part), version=version)
        version = answer.version  # of every answer, as it is printed once
        rows += _with_outputs(shown(part), answer)
    return version or 0, rows


def table(title: str, rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Rows of the same keys, of very many the first; long texts are cut."""
    shown = rows[:_SHOWN_ROWS] if len(rows) > _MAX_ROWS else rows
    headings = dict.fromkeys(key for row in shown for key in row)
    figures = FigureTable(title, list(headings), [[_cell(row.get(key)) for key in headings] for row in shown])
    if len(shown) == len(rows):
        return figures
    return Group(figures, Text(f"{len(rows) - len(shown):,} more rows: --output FILE.csv writes them all."))


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _SHOWN else f"{value[: _SHOWN - 1]}…"
    if value is None:
        return ""
    if isinstance(value, bytes | dict):
        return f"{len(value):,} bytes" if isinstance(value, bytes) else _cell(json.dumps(value, ensure_ascii=False))
    if not isinstance(value, list):
        return value
    return ", ".join(rounded(one) if isinstance(one, float) else str(_cell(one)) for one in value)
