"""`unroll serve`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workspace import Workspace

if TYPE_CHECKING:
    from serving.versions import Servable

app = typer.Typer()


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


def _announce(address: str, models: "dict[str, Servable]", log: Path | None, sampling: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Serving on {address}")
    table.add_column("model")
    table.add_column("version", justify="right")
    for name, servable in models.items():
        table.add_row(name, str(servable.version))
    console = Console()
    console.print(table)
    console.print(f"Request log: {f'{log} ({sampling:.0%} of requests)' if log else 'off'}", soft_wrap=True)
    console.print("Try it:", soft_wrap=True)
    name, servable = next(iter(models.items()))
    asked = servable.signatures.get("serving_default")
    text = asked is None or all(spec.dtype == object for spec in asked.inputs.values())
    console.print(
        f"  unroll predict {name} --input {'TEXT_OR_FILE' if text else 'FILE'} --server {address}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
    sys.stdout.flush()
