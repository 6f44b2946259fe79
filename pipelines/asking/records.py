"""Records to a model whose default signature takes some columns of them."""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unroll.errors import UserError
from unroll.monitoring.missing import MISSING
from unroll.pipelines.asking import Answer
from unroll.pipelines.asking.rows import ask_in_requests, requests, table
from unroll.pipelines.data.records import find_files, read_records
from unroll.serving.client.client import Client

INPUT = "records"


def ask(client: Client, description: Mapping[str, Any], inputs: Sequence[str]) -> Answer:
    """Sends records, in requests that a server with default limits takes.

    Args:
        client: of the model.
        description: `columns` is the kind of each input: `number`, or what is text.
        inputs: JSON objects, files of records, or `-` for a JSON object a line on standard input.

    Raises:
        UserError: no record, or one that lacks a column or holds something else in it.
        ServingError: the server refused the request or did not answer.
    """
    columns: Mapping[str, str] = description["columns"]
    records = [_checked(record, columns, where) for where, record in _records(inputs, columns)]
    if not records:
        example = json.dumps({key: 1.5 if kind == "number" else "..." for key, kind in columns.items()})
        raise UserError(f"Nothing to ask. Give a record with --input '{example}', or a file of them")
    version, rows = ask_in_requests(
        client,
        requests(records, size=lambda record: len(json.dumps(record))),
        lambda part: {key: _tensor(part, key, kind) for key, kind in columns.items()},
        lambda part: part,
    )
    return Answer(version, rows, table(f"{client.model}, version {version}", rows))


def _records(inputs: Sequence[str], columns: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Each record, and where it stands."""
    for given in inputs:
        if given == "-":
            for line in sys.stdin.read().splitlines():
                yield "--input -", _json(line, "--input -")
        elif given.lstrip().startswith("{"):
            yield "--input", _json(given, "--input")
        else:
            try:
                batches = read_records(find_files(given), list(columns))
                for batch in batches:
                    for cells in zip(*batch.values(), strict=True):
                        yield f"--input {given}", dict(zip(batch, cells, strict=True))
            except UserError as error:
                raise UserError(str(error).replace("--data ", "--input ", 1)) from None


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: is not JSON ({error.msg}). Received: {text[:60]!r}") from None


def _checked(record: Any, columns: Mapping[str, str], where: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise UserError(f"{where}: must be a JSON object. Received: {json.dumps(record)[:60]}")
    if missing := [key for key in columns if key not in record]:
        raise UserError(f"{where}: has no {missing[0]!r}. The model takes {', '.join(columns)}")
    return {key: _cell(record[key], kind, f"{where}, {key!r}") for key, kind in columns.items()}


def _cell(value: Any, kind: str, where: str) -> str | float | None:
    if kind != "number":
        return "" if value is None else value if isinstance(value, str) else json.dumps(value)
    if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UserError(f"{where}: is not a number. Received: {value!r}") from None


def _tensor(part: Sequence[Mapping[str, Any]], key: str, kind: str) -> list[Any]:
    values = [record[key] for record in part]
    return [math.nan if value is None else value for value in values] if kind == "number" else values
