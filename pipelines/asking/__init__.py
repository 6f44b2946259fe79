"""How `unroll predict` asks.

A model says what it takes in its signature `describe`, whose output `json` has the key `input`; a model without
that signature takes text. For each kind of input there is a module with `INPUT`, its name, and a function
`ask(client, description, inputs) -> Answer`: of any task's here, of one task's own in its folder's module `asking`.
"""

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from unroll import plugins
from unroll.errors import UserError
from unroll.serving.client.client import Client
from unroll.serving.client.connection import Names

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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


def ask(client: Client, inputs: Sequence[str]) -> Answer:
    """Asks a model what it wants to know, and then for its predictions.

    Args:
        client: of the model.
        inputs: texts, files or `-` for standard input; what the model takes decides.

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
    module, description = asked(client)
    return module.ask(client, description, inputs)


def asked(client: Client) -> tuple[Any, Mapping[str, Any]]:
    """The module that asks a model, and what the model says of itself.

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
    return kinds[kind], description
