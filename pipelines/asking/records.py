"""Records to a model whose default signature takes some columns of them."""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.missing import MISSING
from unroll.monitoring.tables.number_format import PLAIN_NUMBERS, NumberFormat
from unroll.monitoring.tables.sentinels import masked
from unroll.pipelines.asking import Answer
from unroll.pipelines.asking.row_question import RowQuestion, UnusableRowError, table_rows
from unroll.pipelines.asking.row_tables import table_files
from unroll.pipelines.asking.rows import ask_in_requests, requests, table
from unroll.serving.client.client import Client

INPUT = "records"
Record = dict[str, str | float | None]


def ask(client: Client, description: Mapping[str, Any], inputs: Sequence[str]) -> Answer:
    """Sends records, in requests that a server with default limits takes.

    Args:
        client: of the model.
        description: `columns` is the kind of each input: `number`, or what is text; `data` the keys of its training.
        inputs: JSON objects, tables of records, or `-` for a JSON object a line on standard input.

    Raises:
        UserError: no record, or one that lacks a column or holds something else in it.
        ServingError: the server refused the request or did not answer.
    """
    kinds: Mapping[str, str] = description["columns"]
    asked, version, rows = question(client, description), 0, []
    for given in inputs:
        if given == "-" or given.lstrip().startswith("{"):
            records = [_checked(record, kinds, where) for where, record in _objects(given)]
            version, answers = _answers(client, kinds, records, version or None) if records else (version, [])
            rows += [{**record, **answer} for record, answer in zip(records, answers, strict=True)]
        else:
            for file in table_files([given]):
                version, found = table_rows(asked, str(file), description.get("data", {}), version)
                rows += found
    if not rows:
        example = json.dumps({key: 1.5 if kind == "number" else "..." for key, kind in kinds.items()})
        raise UserError(f"Nothing to ask. Give a record with --input '{example}', or a file of them")
    return Answer(version, rows, table(f"{client.model}, version {version}", rows))


def question(client: Client, description: Mapping[str, Any]) -> RowQuestion[Record]:
    """How it is asked about a row of a table."""
    kinds: Mapping[str, str] = description["columns"]
    numbers = [key for key, kind in kinds.items() if kind == "number"]
    section = description.get("data", {})
    formats, missing = _formats(description, numbers), section.get("missing", [])

    def read(cells: Mapping[str, Any], folder: Path) -> Record:
        record: Record = {}
        for key, kind in kinds.items():
            value, where = cells[key], f"column {key!r}"
            if kind == "number" and isinstance(value, str):  # written as in training
                value = _number(value, formats.get(key, PLAIN_NUMBERS), missing, where)
            elif value in missing:
                value = None
            record[key] = _cell(value, kind, where, UnusableRowError)
        return record

    def empty(record: Record) -> str:
        texts = (key for key, kind in kinds.items() if kind == "text")
        return next((key for key in texts if not str(record[key]).strip()), "")

    return RowQuestion(
        {key: section.get(key, key) for key in kinds},
        read,
        lambda records, version: _answers(client, kinds, records, version),
        shown=lambda record: {key: record[key] for key in numbers},
        numbers=numbers,
        empty=empty,
    )


def _formats(description: Mapping[str, Any], numbers: Sequence[str]) -> dict[str, NumberFormat]:
    """How a table's columns of numbers are written: as is said, else as in training."""
    section = description.get("data", {})
    if section.get("decimal") or section.get("thousands"):
        said = NumberFormat(section.get("decimal") or ".", section.get("thousands"))
        return dict.fromkeys(numbers, said)
    return {key: NumberFormat(**info) for key, info in description.get("formats", {}).items() if key in numbers}


def _answers(
    client: Client, kinds: Mapping[str, str], records: Sequence[Record], version: int | None
) -> tuple[int, list[dict[str, Any]]]:
    return ask_in_requests(
        client,
        requests(records, size=lambda record: len(json.dumps(record))),
        lambda part: {key: _tensor(part, key, kind) for key, kind in kinds.items()},
        lambda part: [{} for _ in part],
        version,
    )


def _objects(given: str) -> Iterator[tuple[str, Any]]:
    """Each record, and where it stands."""
    for line in sys.stdin.read().splitlines() if given == "-" else [given]:
        where = "--input -" if given == "-" else "--input"
        try:
            yield where, json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: is not JSON ({error.msg}). Received: {line[:60]!r}") from None


def _checked(record: Any, kinds: Mapping[str, str], where: str) -> Record:
    if not isinstance(record, dict):
        raise UserError(f"{where}: must be a JSON object. Received: {json.dumps(record)[:60]}")
    if missing := [key for key in kinds if key not in record]:
        raise UserError(f"{where}: has no {missing[0]!r}. The model takes {', '.join(kinds)}")
    return {key: _cell(record[key], kind, f"{where}, {key!r}", UserError) for key, kind in kinds.items()}


def _cell(value: Any, kind: str, where: str, error: type[Exception]) -> str | float | None:
    if kind != "number":
        return "" if value is None else value if isinstance(value, str) else json.dumps(value)
    if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise error(f"{where}: is not a number. Received: {value!r}") from None


def _number(text: str, written: NumberFormat, missing: Sequence[str], where: str) -> float | None:
    try:
        number = written.number(text, missing)
    except ValueError:
        problem = f"{where}: is not a number" if written.plain else f"a cell is not a number with {written.described()}"
        raise UnusableRowError(f"{problem}. Received: {text!r}") from None
    return None if number is None or masked(np.array(number, np.float32), missing) else number


def _tensor(part: Sequence[Record], key: str, kind: str) -> list[Any]:
    values = [record[key] for record in part]
    return [math.nan if value is None else value for value in values] if kind == "number" else values
