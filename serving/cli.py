"""`unroll serve` and `unroll predict`."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from errors import UserError
from workspace import Workspace

app = typer.Typer()

_REQUEST_ROWS = 64
_REQUEST_BYTES = 4 << 20


@app.command()
def serve(
    home: Annotated[Path, typer.Option(envvar="UNROLL_HOME", help="Workspace; its store/ is served.")] = Path(
        "workspace"
    ),
    store: Annotated[Path | None, typer.Option(help="Store to serve, instead of the workspace's.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on. 0.0.0.0: every network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="gRPC port. 0: a free one.", min=0, max=65535)] = 8500,
    file_system_poll_wait_seconds: Annotated[
        float,
        typer.Option("--file_system_poll_wait_seconds", help="How often to look for versions.", min=0.01),
    ] = 1.0,
    tensorflow_intra_op_parallelism: Annotated[
        int, typer.Option("--tensorflow_intra_op_parallelism", help="Threads within one op.")
    ] = 1,
    tensorflow_inter_op_parallelism: Annotated[
        int,
        typer.Option("--tensorflow_inter_op_parallelism", help="Threads across ops. -1: the batch's own."),
    ] = -1,
    max_batch_size: Annotated[
        int, typer.Option("--max_batch_size", help="Rows in one batch, and so in one request.", min=1)
    ] = 256,
    num_batch_threads: Annotated[
        int, typer.Option("--num_batch_threads", help="Batches that run at the same time.", min=1)
    ] = 1,
    request_log: Annotated[
        Path | None,
        typer.Option("--request_log", help="Folder of the request log, instead of the workspace's requests/."),
    ] = None,
    request_log_sampling: Annotated[
        float,
        typer.Option(
            "--request_log_sampling",
            help="Share of requests, texts included, that is logged. 0: none.",
            min=0.0,
            max=1.0,
        ),
    ] = 1.0,
) -> None:
    """Serve the store's models over TensorFlow Serving's gRPC API. SIGTERM drains and stops."""
    import logging

    from serving.quiet import import_tensorflow

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import_tensorflow()
    from serving.batching import BatchingParameters
    from serving.request_log import RequestLogParameters
    from serving.server import ServerParameters
    from serving.server import serve as run
    from serving.store import Store

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("serving").setLevel(logging.INFO)
    workspace = Workspace(home)
    log = (request_log or workspace.requests) if request_log_sampling else None
    parameters = ServerParameters(
        host=host,
        port=port,
        poll_seconds=file_system_poll_wait_seconds,
        intra_op=tensorflow_intra_op_parallelism,
        inter_op=tensorflow_inter_op_parallelism,
        batching=BatchingParameters(max_batch_size=max_batch_size, num_batch_threads=num_batch_threads),
        request_log=log,
        request_log_parameters=RequestLogParameters(sampling=request_log_sampling),
    )
    run(
        Store(store or workspace.store),
        parameters,
        lambda bound, models: _announce(f"{host}:{bound}", models, log, request_log_sampling),
    )


@app.command()
def predict(
    name: Annotated[str, typer.Argument(help="The model.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="A text, a file with a text a line, or - for standard input. Repeatable."),
    ] = None,
    server: Annotated[str, typer.Option(help="The server's host:port.")] = "127.0.0.1:8500",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Ask a model on a running server."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")

    from serving.client import Client, ServingError

    texts = _texts(inputs or [])
    try:
        with Client(server, model=name) as client:
            column = _text_input(name, client.metadata())
            version: int | None = None
            rows: list[dict[str, Any]] = []
            for part in _parts(texts):
                answer = client.predict({column: part}, version=version)
                version = answer.version  # of every answer, as it is printed once
                rows += _rows(column, part, answer)
    except ServingError as error:
        raise UserError(f"{name} at {server}: {error.message}.") from None
    if as_json:
        print(json.dumps({"model": name, "version": version, "predictions": rows}, ensure_ascii=False))
    else:
        _show(f"{name}, version {version}", rows)


def _texts(inputs: list[str]) -> list[str]:
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


def _text_input(name: str, signatures: dict[str, Any]) -> str:
    """The one input of the default signature, which must be text."""
    default = signatures.get("serving_default")
    if default is None or [info.dtype.kind for info in default.inputs.values()] != ["O"]:
        taken = {alias: str(info.dtype) for alias, info in default.inputs.items()} if default else {}
        raise UserError(
            f"{name}: `unroll predict` sends text, and this model's serving_default takes {taken}. Ask it "
            "with serving.Client."
        )
    return next(iter(default.inputs))


def _show(title: str, rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title)
    for column in rows[0]:
        table.add_column(column, overflow="ellipsis", no_wrap=column == next(iter(rows[0])))
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    Console().print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return ", ".join(map(_cell, value)) if isinstance(value, list) else str(value)


def _announce(address: str, models: dict[str, int], log: Path | None, sampling: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Serving on {address}")
    table.add_column("model")
    table.add_column("version", justify="right")
    for name, version in models.items():
        table.add_row(name, str(version))
    console = Console()
    console.print(table)
    console.print(f"Request log: {f'{log} ({sampling:.0%} of requests)' if log else 'off'}", soft_wrap=True)
    console.print("Try it:", soft_wrap=True)
    console.print(
        f'  unroll predict {next(iter(models))} --input "An example." --server {address}',
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
    sys.stdout.flush()
