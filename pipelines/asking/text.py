"""Texts to a model whose default signature takes one string a record."""

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.errors import UserError
from unroll.pipelines.asking import Answer
from unroll.pipelines.asking.rows import ask_in_requests, requests, table
from unroll.serving.client.client import Client, TensorInfo

if TYPE_CHECKING:
    import pandas as pd

INPUT = "text"
_SUFFIXES = (
    ".txt", ".text", ".md", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".gz", ".zip", ".html", ".xml",
    ".pdf", ".docx", ".xlsx", ".jpg", ".jpeg", ".png",
)  # fmt: skip
_AS_A_TEXT = "if it is a text, pipe it to --input -"


def ask(client: Client, description: Mapping[str, Any], inputs: Sequence[str]) -> Answer:
    """Sends texts, in requests that a server with default limits takes.

    Args:
        client: of the model.
        description: what the model says of itself; nothing of it is needed.
        inputs: a text, a file with a text a line, or `-` for standard input.

    Raises:
        UserError: no text, what looks like a file and is not one, a file that is empty or not UTF-8, or a model that
            takes no text.
        ServingError: the server refused the request or did not answer.
    """
    version, rows = _asked(client, _text_input(client), _texts(inputs))
    return Answer(version, rows, table(f"{client.model}, version {version}", rows))


def ask_frame(
    client: Client, description: Mapping[str, Any], section: Mapping[str, Any], frame: "pd.DataFrame"
) -> list[dict[str, Any]]:
    """Sends the texts in a DataFrame's column, an empty one where a cell is missing.

    Args:
        client, description: as in `ask`.
        section: the keys `data.*` of the model, which name the column.
        frame: a text a row.

    Raises:
        UserError: it has no such column.
    """
    key = _text_input(client)
    column = section.get(key, key)
    if column not in frame:
        raise UserError(f"inputs: the DataFrame has no column {column!r}. It has: {', '.join(map(str, frame.columns))}")
    return _asked(client, key, frame[column].fillna("").astype(str).tolist())[1]


def _asked(client: Client, key: str, texts: Sequence[str]) -> tuple[int, list[dict[str, Any]]]:
    """The version that answered all, and a row a text."""
    parts = requests(texts, size=lambda text: len(text.encode(errors="replace")))
    return ask_in_requests(client, parts, lambda part: {key: part}, lambda part: [{key: text} for text in part])


def _texts(inputs: Sequence[str]) -> list[str]:
    texts: list[str] = []
    for given in inputs:
        if given == "-":
            lines = sys.stdin.buffer.read().decode(errors="replace").splitlines()
            if not lines:
                raise UserError("--input -: standard input is empty. Send it a text a line")
            texts += lines
        elif _is_file(given):
            texts += _lines(given)
        elif _like_a_path(given):
            raise UserError(f"--input {given}: no such file. Check its path; {_AS_A_TEXT}")
        else:
            texts.append(given.encode(errors="surrogateescape").decode(errors="replace"))  # the shell passes any bytes
    if not texts:
        raise UserError("Nothing to ask. Give a text, a file or - with --input.")
    return texts


def _is_file(given: str) -> bool:
    """Whether a regular file is given; refuses what else stands under the name."""
    if not given:
        return False
    path = Path(given)
    try:
        if path.is_dir():
            raise UserError(f"--input {given}: is a folder. Name a file in it; {_AS_A_TEXT}")
        if path.exists() and not path.is_file():
            raise UserError(f"--input {given}: is not a regular file. Name one, or pipe it to --input -")
        return path.exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # so a text
            return False
        raise UserError(f"--input {given}: cannot be read ({error.strerror}). Name another file") from None


def _like_a_path(given: str) -> bool:
    """Whether this is the name of a file rather than a text: `reviews/new`, `my reviews.txt`; not `good/bad film`."""
    name = given.lower()
    one_word = not any(character.isspace() for character in given)
    return name.endswith(_SUFFIXES) or (one_word and os.sep in given and any(map(str.isalpha, given)))


def _lines(file: str) -> list[str]:
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"--input {file}: not UTF-8 at byte {error.start}. Convert it first.") from None
    except OSError as error:
        raise UserError(f"--input {file}: cannot be read ({error.strerror}). Name another file") from None
    if not lines:
        raise UserError(f"--input {file}: is empty. Give a file with a text a line")
    return lines


def _text_input(client: Client) -> str:
    """The one input of the default signature, which must be text."""
    signatures = client.metadata()
    default = signatures.get("serving_default")
    if default is None:
        raise UserError(
            f"{client.model}: has no serving_default, which `unroll predict` asks; it has: "
            f"{', '.join(signatures) or 'nothing'}. Ask it with unroll.Client."
        )
    if [info.dtype.kind for info in default.inputs.values()] != ["O"]:
        taken = (f"{alias} ({_type_name(info)})" for alias, info in default.inputs.items())
        raise UserError(
            f"{client.model}: `unroll predict` sends one input of text, and this model's serving_default takes "
            f"{', '.join(taken) or 'nothing'}. Ask it with unroll.Client."
        )
    return next(iter(default.inputs))


def _type_name(info: TensorInfo) -> str:
    return "string" if info.dtype == object else str(info.dtype)
