"""`unroll predict`."""

import io
import json
import os
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from unroll import plugins
from unroll.errors import UserError
from unroll.pipelines.cli import Import, Json
from unroll.workspace import write_atomically

app = typer.Typer()

_PICTURES = (".png", ".svg", ".pdf")
_TOKEN = re.compile("[!-9;-~]+")  # a colon is of the server's file, where a name stands before it


@app.command()
def predict(
    name: Annotated[str, typer.Argument(help="The model.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="What the model takes: a text, a JSON object, a file, - for stdin. Repeatable."),
    ] = None,
    server: Annotated[str, typer.Option(help="The server's host:port.")] = "127.0.0.1:8500",
    token_file: Annotated[Path | None, typer.Option(help="File with your token and nothing else.")] = None,
    root_certificates: Annotated[
        Path | None, typer.Option(help="PEM file of the authorities to trust; the server must speak TLS.")
    ] = None,
    client_certificate: Annotated[
        Path | None, typer.Option(help="PEM file of your certificate, if the server asks for one.")
    ] = None,
    client_key: Annotated[Path | None, typer.Option(help="PEM file of its private key.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw what there is to see into this PNG, SVG or PDF.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Score whole tables into this CSV, TSV, JSONL or Parquet file, answers beside their columns."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="data.*=value, where a table is unlike the training data; repeatable."),
    ] = None,
    import_: Import = None,
    as_json: Json = False,
) -> None:
    """Ask a model on a running server. A table is read as the training data was."""
    plugins.name_modules(import_ or [])
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")

    from unroll.pipelines.asking import CommandLineClient, ask, pieces, write
    from unroll.pipelines.asking.output import check_output, finite, json_value
    from unroll.serving.client.client import ServingError
    from unroll.serving.files.regular_files import check_writable

    if output is not None:
        check_output(output)
        if plot is not None:
            raise UserError("--plot and --output: a table is not drawn. Leave one of them out")
    if plot is not None:
        if plot.suffix not in _PICTURES:
            raise UserError(f"--plot {plot}: must end in {', '.join(_PICTURES)}")
        check_writable(plot, "--plot")
    if (client_certificate is None) != (client_key is None):
        raise UserError("--client-certificate and --client-key: one of them is of no use. Give both")
    token = _token(token_file) if token_file else None
    try:
        with CommandLineClient(
            server,
            model=name,
            token=token,
            root_certificates=root_certificates,
            client_certificate=client_certificate,
            client_key=client_key,
        ) as client:
            if output is not None:
                tally = write(client, inputs or [], output, set_ or [])
                told = {"model": name, "version": tally.version, "output": str(output), **tally.document()}
                line = f"{name} version {tally.version}: {tally.rows:,} rows written to {output}"
                print(json.dumps(told) if as_json else line)
                return
            live = None if as_json or plot is not None else pieces(client, inputs or [], set_ or [])
            if live is not None:
                for piece in live:
                    print(piece, end="", flush=True)
                print()
                return
            answer = ask(client, inputs or [], set_ or [])
            figure = answer.figure() if plot is not None and answer.figure is not None else None
    except ServingError as error:
        raise UserError(f"{name} at {server}: {error.message}.") from None
    if plot is not None:
        if figure is None:
            raise UserError(f"--plot {plot}: there is nothing to draw in the answers of {name}. Leave it out")
        drawn = io.BytesIO()
        figure.savefig(drawn, format=plot.suffix.removeprefix("."))
        write_atomically(plot, drawn.getvalue())
    if as_json:
        document = {"model": name, "version": answer.version, "predictions": finite(answer.predictions)}
        print(json.dumps(document, ensure_ascii=False, default=json_value))
    else:
        Console().print(answer.table)


def _token(file: Path) -> str:
    try:
        token = file.read_bytes().decode(errors="replace").strip()
    except OSError as error:
        raise UserError(f"--token-file {file}: cannot be read ({error.strerror}). Name another") from None
    if not _TOKEN.fullmatch(token):  # which is not shown: it may be one, with something else beside it
        raise UserError(f"--token-file {file}: must hold one token and nothing else, no name and no second line")
    return token
