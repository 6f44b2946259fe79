"""`unroll train`, `evaluate`, `import`, `models`, `promote`, `rollback`, `ui`, `predict` and `demo`."""

import io
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from unroll import plugins
from unroll.errors import UserError
from unroll.pipelines.terminal import print_metrics, print_tables, rounded
from unroll.workspace import Workspace, write_atomically

if TYPE_CHECKING:
    from unroll.pipelines.training.promotion import Moved, Promotion

app = typer.Typer()

Home = Annotated[Path, typer.Option("--home", envvar="UNROLL_HOME", help="Folder of everything that is written.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
VerifyPublicKey = Annotated[
    Path | None, typer.Option(help="PEM file of the keys that servers ask for: refuses what they would refuse.")
]
Unsigned = Annotated[bool, typer.Option("--unsigned", help="Let an unsigned version replace a signed one.")]
Import = Annotated[
    list[str] | None,
    typer.Option(
        "--import", envvar="UNROLL_IMPORT", help="Module with a task of your own, such as my_tasks; repeatable."
    ),
]
HOME = Path("workspace")
_PICTURES = (".png", ".svg", ".pdf")
_TOKEN = re.compile("[!-9;-~]+")  # a colon is of the server's file, where a name stands before it


@app.command()
def train(
    task: Annotated[str, typer.Argument(help=f"Kind of problem: {', '.join(plugins.built_in())}, or one of your own.")],
    data: Annotated[str | None, typer.Option(help="File, folder or glob. [default: sample data]")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of configuration keys.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key.sub=value; repeatable.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model. [default: the task's]")] = None,
    import_: Import = None,
    register: Annotated[bool, typer.Option(help="Make it a version of the model.")] = True,
    promote: Annotated[
        bool | None,
        typer.Option("--promote/--no-promote", help="Serve it. [default: a first version that beats chance]"),
    ] = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Train a model on raw records, track, evaluate, export and register it.

    The same command goes on where a killed one stopped. The first version of a model is served at once, unless it
    scores at chance; later ones when they are promoted.
    """
    plugins.name_modules(import_ or [])
    from unroll.pipelines.configurations import config_schema
    from unroll.pipelines.training.config import load_config
    from unroll.pipelines.training.preflight import check_training
    from unroll.serving.engine.quiet import import_tensorflow

    workspace, schema = Workspace(home), config_schema(task)
    checked = check_training(
        task,
        lambda base: load_config(schema, config, set_ or [], base),
        data,
        name or task,
        workspace,
        register=register,
        promote=promote,
    )
    import_tensorflow()
    from unroll.pipelines.registry import task_named
    from unroll.pipelines.training.progress import Progress
    from unroll.pipelines.training.training import train as run

    with Progress() as progress:
        if checked.sample is not None:
            progress.line(f"No --data: training on the sample data, {checked.sample.words} ({checked.data}).")
        given = (task_named(task), checked.config, checked.data, name or task, workspace)
        trained = run(*given, progress, register=register, promote=promote)
    if as_json:
        print(json.dumps(trained.document()))
        return
    console = Console()
    print_metrics(console, trained.title, trained.card.metrics)
    print_tables(console, trained.tables)
    for line in (f"SavedModel: {trained.path}", *trained.advice(home)):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


@app.command()
def evaluate(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    data: Annotated[str, typer.Option(help="File, folder or glob of labelled records.")],
    version: Annotated[int | None, typer.Option(help="Version. [default: the champion]")] = None,
    alias: Annotated[str | None, typer.Option(help="Alias instead of a version.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="data.*=value; repeatable.")] = None,
    import_: Import = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Score a registered model on labelled records, all of them."""
    plugins.name_modules(import_ or [])
    from unroll.pipelines.data.records import check_exists
    from unroll.pipelines.training.card import Card
    from unroll.pipelines.training.evaluation import check_evaluable
    from unroll.pipelines.training.evaluation import evaluate as run
    from unroll.pipelines.training.progress import Progress
    from unroll.pipelines.training.tracking import Tracking
    from unroll.serving.engine.quiet import import_tensorflow

    check_exists(data)
    tracking = Tracking(Workspace(home))
    registered = tracking.version(name, version, alias)
    directory = tracking.saved_model(registered)
    check_evaluable(Card.load(directory), set_ or [])
    import_tensorflow()
    with Progress() as progress:
        scored = run(directory, data, set_ or [], progress)
    metrics = {f"data/{key}": value for key, value in scored.metrics.items()}
    if as_json:
        print(json.dumps({"name": name, "version": registered.version, "metrics": metrics}))
        return
    console = Console()
    print_metrics(console, f"{name} version {registered.version} on {data}", metrics)
    print_tables(console, scored.tables)


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    path: Annotated[Path, typer.Argument(help="A SavedModel's folder, or a .keras file.")],
    warmup: Annotated[
        Path | None, typer.Option(help="Warmup requests, TensorFlow Serving's file. [default: the model's, or made up]")
    ] = None,
    promote: Annotated[
        bool, typer.Option("--promote/--no-promote", help="Serve it, if it is the model's first version.")
    ] = True,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Check, warm up and register a model that was trained elsewhere."""
    from unroll.serving.engine.quiet import import_tensorflow

    import_tensorflow()
    from unroll.pipelines.importing.importer import import_model
    from unroll.pipelines.training.progress import Progress

    with Progress() as progress:
        done = import_model(name, path, Workspace(home), progress, requests=warmup, promote=promote)
    if as_json:
        print(json.dumps(done.document()))
        return
    version = done.registered.version
    served = (
        "It is the champion." if done.promoted else f"Not served yet: unroll promote {name} {version} --home {home}"
    )
    signatures = f"{name} version {version}, signatures: {', '.join(done.signatures)}"
    for line in (signatures, *done.remarks, f"SavedModel: {done.path}", served):
        Console().print(line, soft_wrap=True, highlight=False, markup=False)


@app.command()
def models(home: Home = HOME, as_json: Json = False) -> None:
    """List the registered models, their versions, aliases and metrics."""
    from unroll.pipelines.training.promotion import disagreements
    from unroll.pipelines.training.tracking import Tracking

    versions = Tracking(Workspace(home)).versions()
    amiss = list(disagreements(versions, Workspace(home).store))
    if as_json:
        keys = ("name", "version", "aliases", "task", "run_id", "metrics")
        print(json.dumps([{key: getattr(one, key) for key in keys} for one in versions]))
        for line in amiss:
            print(line, file=sys.stderr)
        return
    headings = ("model", "version", "alias", "task", "test metrics")
    table = Table(*(Column(heading, overflow="fold") for heading in headings))
    for one in versions:
        scores = [
            f"{key.removeprefix('test/')} {rounded(value)}"
            for key, value in one.metrics.items()
            if key.startswith("test/") and key.count("/") == 1
        ]
        table.add_row(one.name, str(one.version), " ".join(one.aliases), one.task, "  ".join(scores))
    Console().print(table if versions else f"No model is registered in {home}. Train one: unroll train TASK")
    for line in amiss:
        Console().print(line, soft_wrap=True, highlight=False, markup=False)


@app.command()
def promote(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    version: Annotated[int, typer.Argument(help="Version to promote.")],
    alias: Annotated[str, typer.Option(help="Alias to move; only the champion is served.")] = "champion",
    verify_public_key: VerifyPublicKey = None,
    unsigned: Unsigned = False,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Move an alias to a version. The champion is put in the store, where running servers find it."""
    moved = _promotion(home, verify_public_key, unsigned).promote(name, version, alias)
    _tell(moved, f"{name} version {version} is now the {alias}: {moved.path}", as_json)


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    verify_public_key: VerifyPublicKey = None,
    unsigned: Unsigned = False,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Make the previous champion the champion again."""
    moved = _promotion(home, verify_public_key, unsigned).rollback(name)
    _tell(moved, f"{name} version {moved.registered.version} is the champion again: {moved.path}", as_json)


def _promotion(home: Path, verify_public_key: Path | None, unsigned: bool) -> "Promotion":
    from unroll.pipelines.training.promotion import promotion

    return promotion(Workspace(home), verify_public_key, unsigned)


def _tell(moved: "Moved", done: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(moved.document()))
        return
    for line in (done, *moved.remarks()):
        Console().print(line, soft_wrap=True, highlight=False, markup=False)


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
    host: Annotated[str, typer.Option(help="Address to listen on: who reaches it may delete.")] = "127.0.0.1",
    home: Home = HOME,
) -> None:
    """Serve MLflow's pages on the workspace: runs, curves, plots, versions."""
    from unroll.pipelines.training.tracking.ui import serve_ui

    serve_ui(Workspace(home), port, host)


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

    from unroll.pipelines.asking import CommandLineClient, ask, write
    from unroll.pipelines.asking.output import check_output, json_value
    from unroll.serving.client.client import ServingError
    from unroll.serving.files.regular_files import check_writable

    if output is not None:
        check_output(output)
    if output is not None and plot is not None:
        raise UserError("--plot and --output: a table is not drawn. Leave one of them out")

    if plot is not None and plot.suffix not in _PICTURES:
        raise UserError(f"--plot {plot}: must end in {', '.join(_PICTURES)}")
    if plot is not None:
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
        document = {"model": name, "version": answer.version, "predictions": answer.predictions}
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


@app.command()
def demo(home: Home = HOME) -> None:
    """Train on real data, serve, ask over gRPC and check for drift: the main job in one go."""
    from unroll.serving.engine.quiet import import_tensorflow

    import_tensorflow()
    next(plugins.beside("demo")).demo(Workspace(home))
