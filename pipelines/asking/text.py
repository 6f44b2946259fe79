"""Texts to a model whose default signature takes one string a record."""

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.errors import UserError
from unroll.monitoring.tables.kinds import SUFFIXES
from unroll.pipelines.asking import Answer
from unroll.pipelines.asking.row_question import RowQuestion, table_rows
from unroll.pipelines.asking.row_tables import is_table
from unroll.pipelines.asking.rows import ask_in_requests, column_of, requests, table
from unroll.pipelines.training.progress import Progress
from unroll.serving.client.client import Client, TensorInfo

if TYPE_CHECKING:
    import pandas as pd

INPUT = "text"
_OF_LINES = (".txt", ".text", ".md")
_OF_OTHERS = (
    ".json",
    ".gz",
    ".zip",
    ".html",
    ".xml",
    ".pdf",
    ".docx",
    ".xls",
    ".xlsx",
    ".ods",
    ".jpg",
    ".jpeg",
    ".png",
)
_AS_A_TEXT = "if it is a text, pipe it to --input -"


def ask(client: Client, description: Mapping[str, Any], inputs: Sequence[str]) -> Answer:
    """Sends texts, in requests that a server with default limits takes.

    Args:
        client: of the model.
        description: what the model says of itself; the keys `data.*` of its training say how a table is read.
        inputs: a text, a table of texts, another file with a text a line, or `-` for standard input.

    Raises:
        UserError: no text, what looks like a file and is not one, a file that is empty or cannot be read, or a model
            that takes no text.
        ServingError: the server refused the request or did not answer.
    """
    asked = question(client, description)
    (key,) = asked.columns
    version, rows = 0, []
    for given in _sources(inputs):
        if isinstance(given, str):
            version, found = table_rows(asked, given, description.get("data", {}), version)
        else:
            version, answers = _answers(client, key, given, version or None)
            if empty := sum(not text.strip() for text in given):
                with Progress() as progress:
                    progress.line(
                        f"{empty:,} of {len(given):,} texts {'is' if empty == 1 else 'are'} empty: the model answers "
                        "as to a text without a word."
                    )
            found = [{key: text, **answer} for text, answer in zip(given, answers, strict=True)]
        rows += found
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
    asked = question(client, {**description, "data": section})
    ((key, column),) = asked.columns.items()
    texts = column_of(frame, column).fillna("").astype(str).tolist()
    return [{key: text, **answer} for text, answer in zip(texts, _answers(client, key, texts, None)[1], strict=True)]


def question(client: Client, description: Mapping[str, Any]) -> RowQuestion[str]:
    """How it is asked about a row of a table.

    Raises:
        UserError: a model that takes no text.
    """
    key, missing = _text_input(client), description.get("data", {}).get("missing", [])

    def read(cells: Mapping[str, Any], folder: Path) -> str:
        text = cells[key] or ""
        return "" if text.strip() in missing else text

    return RowQuestion(
        {key: description.get("data", {}).get(key, key)},
        read,
        lambda texts, version: _answers(client, key, texts, version),
        empty=lambda text: "" if text.strip() else key,
    )


def _answers(client: Client, key: str, texts: Sequence[str], version: int | None) -> tuple[int, list[dict[str, Any]]]:
    parts = requests(texts, size=lambda text: len(text.encode(errors="replace")))
    return ask_in_requests(client, parts, lambda part: {key: part}, lambda part: [{} for _ in part], version)


def _sources(inputs: Sequence[str]) -> list[str | list[str]]:
    """The path of each table, and texts between them."""
    sources: list[str | list[str]] = []
    for given in inputs:
        if _is_file(given) and is_table(given):
            sources.append(given)
        elif sources and isinstance(sources[-1], list):
            sources[-1] += _texts(given)
        else:
            sources.append(_texts(given))
    if not sources:
        raise UserError("Nothing to ask. Give a text, a file or - with --input.")
    return sources


def names_texts(given: str) -> bool:
    """Whether an input names where texts are, and is none itself.

    Raises:
        UserError: it is a folder, or not a regular file.
    """
    return given == "-" or _is_file(given) or _like_a_path(given)


def _texts(given: str) -> list[str]:
    if given == "-":
        if lines := sys.stdin.buffer.read().decode(errors="replace").splitlines():
            return lines
        raise UserError("--input -: standard input is empty. Send it a text a line")
    if _is_file(given):
        return _lines(given)
    if _like_a_path(given):
        raise UserError(f"--input {given}: no such file. Check its path; {_AS_A_TEXT}")
    return [given.encode(errors="surrogateescape").decode(errors="replace")]  # the shell passes any bytes


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
    return name.endswith((*SUFFIXES, *_OF_LINES, *_OF_OTHERS)) or (
        one_word and os.sep in given and any(map(str.isalpha, given))
    )


def _lines(file: str) -> list[str]:
    if file.lower().endswith(_OF_OTHERS):
        raise UserError(
            f"--input {file}: is neither a table ({', '.join(SUFFIXES)}) nor a file with a text a line "
            f"({', '.join(_OF_LINES)}). Convert it"
        )
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"--input {file}: not UTF-8 at byte {error.start}. Convert it first.") from None
    except OSError as error:
        raise UserError(f"--input {file}: cannot be read ({error.strerror}). Name another file") from None
    if not lines:
        raise UserError(f"--input {file}: is empty. Give a file with a text a line")
    return lines


def _text_input(client: Client) -> str:
    """The one input that the default signature needs, which must be text."""
    signatures = client.metadata()
    default = signatures.get("serving_default")
    if default is None:
        raise UserError(
            f"{client.model}: has no serving_default, which `unroll predict` asks; it has: "
            f"{', '.join(signatures) or 'nothing'}. Ask it with unroll.Client."
        )
    needed = {alias: info for alias, info in default.inputs.items() if not info.optional}
    if [info.dtype.kind for info in needed.values()] != ["O"]:
        taken = (f"{alias} ({_type_name(info)})" for alias, info in default.inputs.items())
        raise UserError(
            f"{client.model}: `unroll predict` sends one input of text, and this model's serving_default takes "
            f"{', '.join(taken) or 'nothing'}. Ask it with unroll.Client."
        )
    return next(iter(needed))


def _type_name(info: TensorInfo) -> str:
    return "string" if info.dtype == object else str(info.dtype)
