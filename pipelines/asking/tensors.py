"""Rows of tensors, as JSON, to a model that does not say what it takes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from unroll.errors import UserError
from unroll.pipelines.asking import Answer
from unroll.pipelines.asking.rows import ask_in_requests, table
from unroll.serving.client.client import Client

_FIRST = ("{", "[")


def is_json(inputs: Sequence[str]) -> bool:
    """Whether all inputs are JSON, or files of it."""
    return bool(inputs) and all(one.lstrip().startswith(_FIRST) or one.endswith(".json") for one in inputs)


def ask(client: Client, inputs: Sequence[str]) -> Answer:
    """Sends rows to `serving_default`, one a request, since their sizes may differ.

    Args:
        client: of the model.
        inputs: each a row, or a file with a row or a list of rows: an object of the inputs by name, without the batch
            dimension; of a model with one input also the array alone.

    Raises:
        UserError: what is not JSON, or lacks an input.
        ServingError: the server refused the request or did not answer.
    """
    signature = client.metadata().get("serving_default")
    if signature is None:
        raise UserError(f"{client.model}: has no serving_default, which `unroll predict` asks. Use unroll.Client")
    names = list(signature.inputs)
    version, answers = ask_in_requests(
        client,
        ([_by_name(where, given, names)] for where, given in _rows(inputs)),
        lambda part: {name: [row[name] for row in part] for name in names},
        lambda part: [{}],
    )
    return Answer(version, answers, table(f"{client.model}, version {version}", answers))


def _by_name(where: str, given: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """A row's inputs, all that the model takes."""
    row = given if isinstance(given, dict) else {names[0]: given} if len(names) == 1 else {}
    if missing := [name for name in names if name not in row]:
        raise UserError(f"{where}: has no {missing[0]!r}. The model takes {', '.join(names)}")
    return row


def _rows(inputs: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for given in inputs:
        inline = given.lstrip().startswith(_FIRST)
        where = "--input" if inline else f"--input {given}"
        try:
            value = json.loads(given if inline else Path(given).read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{where}: cannot be read ({error.strerror}). Name another file") from None
        except ValueError as error:
            raise UserError(f"{where}: is not JSON ({error})") from None
        of_objects = isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
        yield from ((where, one) for one in (value if of_objects else [value]))
