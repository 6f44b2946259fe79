"""How `unroll predict` asks.

A model says what it takes in its signature `describe`, whose output `json` has the key `input`; a model without
that signature takes text. For each kind of input there is a module with `INPUT`, its name, and a function
`ask(client, description, inputs) -> Answer`: of any task's here, of one task's own in its folder's module `asking`.
Such a module may also say how tables are scored into files: by `question(client, description) -> RowQuestion` where an
answer belongs to a row, else by `write(client, description, inputs, output) -> Tally`; and how an answer is shown as it
comes, by `pieces(client, description, inputs) -> Iterator[str]`, or None where these inputs are not answered so.
"""

import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from unroll import plugins
from unroll.errors import UserError
from unroll.pipelines.data.sections import TableSection
from unroll.pipelines.training.config import with_overrides
from unroll.serving.client.client import Client
from unroll.serving.client.connection import Names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from unroll.pipelines.asking.row_question import Tally


class CommandLineClient(Client):
    """A client whose errors name the options of `unroll predict`."""

    names = Names(
        address="--server",
        model="NAME",
        token="--token-file",
        tls="--root-certificates",
        root_certificates="--root-certificates",
        client_certificate="--client-certificate",
        client_key="--client-key",
        max_message_bytes=None,
    )


_FORM = TableSection.model_fields
DESCRIBE = "describe"
"""Name of the signature by which a model says what it takes."""


@dataclass(frozen=True)
class Answer:
    """What a model on a server answered.

    Args:
        version: of the model that answered.
        predictions: one dictionary a record, as JSON has it.
        table: the same for a terminal.
        figure: draws it while the client is open, or None where there is nothing to draw.
    """

    version: int
    predictions: list[dict[str, Any]]
    table: RenderableType
    figure: "Callable[[], Figure] | None" = None


def ask(client: Client, inputs: Sequence[str], overrides: Sequence[str] = ()) -> Answer:
    """Asks a model what it wants to know, and then for its predictions.

    Args:
        client: of the model.
        inputs: texts, files or `-` for standard input; what the model takes decides.
        overrides: `data.key=value` where a table is written differently from the training data.

    Raises:
        UserError: inputs that the model does not take.
        ServingError: the server refused the request or did not answer.
    """
    signatures = client.metadata()
    if DESCRIBE not in signatures:
        from unroll.pipelines.asking import tensors

        default = signatures.get("serving_default")
        if default and [one.dtype.kind for one in default.inputs.values()] != ["O"] and tensors.is_json(inputs):
            return tensors.ask(client, inputs)
    module, description = asked(client, overrides)
    return module.ask(client, description, inputs)


def pieces(client: Client, inputs: Sequence[str], overrides: Sequence[str] = ()) -> Iterator[str] | None:
    """What a model answers, bit by bit; None where it is answered all at once.

    Args:
        client, inputs, overrides: as of `ask`, which tells what it raises, too.
    """
    if DESCRIBE not in client.metadata():
        return None
    module, description = asked(client, overrides)
    return module.pieces(client, description, inputs) if hasattr(module, "pieces") else None


def write(client: Client, inputs: Sequence[str], output: Path, overrides: Sequence[str] = ()) -> "Tally":
    """Writes tables with what a model answers, in bounded memory.

    Args:
        client: of the model.
        inputs: files of tables.
        output: CSV, TSV, JSONL or Parquet, which is there when it is whole.
        overrides: as of `ask`.

    Raises:
        UserError: tables that the model does not take, or an output that cannot be written.
        ServingError: the server refused a request or did not answer.
    """
    from unroll.pipelines.asking.row_question import write_rows

    module, description = asked(client, overrides)
    if hasattr(module, "write"):
        return module.write(client, description, inputs, output)
    if not hasattr(module, "question"):
        raise UserError(f"--output {output}: the module {module.__name__} scores no tables. Leave it out")
    return write_rows(module.question(client, description), inputs, description.get("data", {}), output)


def asked(client: Client, overrides: Sequence[str] = ()) -> tuple[Any, Mapping[str, Any]]:
    """The module that asks a model, and what the model says of itself.

    Args:
        client: of the model.
        overrides: `data.key=value`, which win over what the model says of its training data.

    Raises:
        UserError: there is no module for what it takes.
        ServingError: the server refused the request or did not answer.
    """
    description: Mapping[str, Any] = {}
    if DESCRIBE in client.metadata():
        description = json.loads(client.predict({}, DESCRIBE)["json"].item())
    kind = description.get("input", "text")
    shared = [importlib.import_module(f"{__name__}.{name}") for name in ("text", "records")]
    kinds = {module.INPUT: module for module in (*shared, *plugins.beside("asking"))}
    if kind not in kinds:
        raise UserError(
            f"{client.model}: takes {kind!r}, and `unroll predict` can send {', '.join(kinds)}. Name the module of "
            "its task with --import, or ask it with unroll.Client"
        )
    return kinds[kind], {**description, "data": _overridden(description.get("data", {}), overrides)}


def _overridden(section: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The keys `data.*` of the model's training, some of which are set anew."""
    from unroll.pipelines.asking.row_tables import written

    if foreign := [one for one in overrides if not one.startswith("data.")]:
        raise UserError(f"--set: only data.* keys apply to a prediction. Received: {foreign[0]!r}")
    changed = with_overrides(
        {"data": section}, overrides, lambda path: path[-1] not in _FORM and isinstance(section.get(path[-1], ""), str)
    )["data"]
    if section and (unknown := [key for key in changed if key not in section and key not in _FORM]):
        raise UserError(f"configuration key data.{unknown[0]}: unknown. Known keys: data.{', data.'.join(section)}")
    form = written(changed).model_dump(mode="json")
    return changed | {key: value for key, value in form.items() if key in changed}
