"""Texts to a model whose default signature takes one string a record."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from errors import UserError
from pipelines.inputs import Answer
from pipelines.tables import FigureTable, rounded
from serving.client import Client, TensorInfo

_REQUEST_ROWS = 64
_REQUEST_BYTES = 4 << 20
_SHOWN = 40  # characters of a text on the terminal; --json has them all


def ask(client: Client, description: Mapping[str, Any], inputs: Sequence[str]) -> Answer:
    """Sends texts, in requests that a server with default limits takes.

    Args:
        client: of the model.
        description: what the model says of itself; nothing of it is needed.
        inputs: a text, a file with a text a line, or `-` for standard input.

    Raises:
        UserError: no text, a file that is not UTF-8, or a model that takes no text.
        ServingError: the server refused the request or did not answer.
    """
    texts = _texts(inputs)
    column = _text_input(client)
    version: int | None = None
    rows: list[dict[str, Any]] = []
    for part in _parts(texts):
        answer = client.predict({column: part}, version=version)
        version = answer.version  # of every answer, as it is printed once
        rows += _rows(column, part, answer)
    return Answer(version or 0, rows, _table(f"{client.model}, version {version}", rows))


def _texts(inputs: Sequence[str]) -> list[str]:
    texts: list[str] = []
    for given in inputs:
        if given == "-":
            texts += sys.stdin.buffer.read().decode(errors="replace").splitlines()
        elif _is_file(given):
            try:
                texts += Path(given).read_text(encoding="utf-8").splitlines()
            except UnicodeDecodeError as error:
                raise UserError(f"--input {given}: not UTF-8 at byte {error.start}. Convert it first.") from None
        else:
            texts.append(given.encode(errors="surrogateescape").decode(errors="replace"))  # the shell passes any bytes
    if not texts:
        raise UserError("Nothing to ask. Give a text, a file or - with --input.")
    return texts


def _is_file(given: str) -> bool:
    try:
        return Path(given).is_file()
    except OSError:  # longer than a path may be, so a text
        return False


def _parts(texts: list[str]) -> Iterator[list[str]]:
    """Texts in requests that a server with default limits takes."""
    part: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode())
        if part and (len(part) == _REQUEST_ROWS or size + length > _REQUEST_BYTES):
            yield part
            part, size = [], 0
        part.append(text)
        size += length
    yield part


def _rows(column: str, texts: list[str], answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A text and its outputs, one dictionary a text."""
    return [
        {
            column: text,
            **{
                output: values[row].tolist() if hasattr(values[row], "tolist") else values[row]
                for output, values in answer.items()
            },
        }
        for row, text in enumerate(texts)
    ]


def _text_input(client: Client) -> str:
    """The one input of the default signature, which must be text."""
    signatures = client.metadata()
    default = signatures.get("serving_default")
    if default is None:
        raise UserError(
            f"{client.model}: has no serving_default, which `unroll predict` asks; it has: "
            f"{', '.join(signatures) or 'nothing'}. Ask it with serving.Client."
        )
    if [info.dtype.kind for info in default.inputs.values()] != ["O"]:
        taken = (f"{alias} ({_type_name(info)})" for alias, info in default.inputs.items())
        raise UserError(
            f"{client.model}: `unroll predict` sends one input of text, and this model's serving_default takes "
            f"{', '.join(taken) or 'nothing'}. Ask it with serving.Client."
        )
    return next(iter(default.inputs))


def _type_name(info: TensorInfo) -> str:
    return "string" if info.dtype == object else str(info.dtype)


def _table(title: str, rows: list[dict[str, Any]]) -> FigureTable:
    cells = []
    for row in rows:
        text, *outputs = row.values()
        shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
        cells.append([shown, *map(_cell, outputs)])
    return FigureTable(title, list(rows[0]), cells)


def _cell(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return ", ".join(rounded(one) if isinstance(one, float) else str(_cell(one)) for one in value)
