"""`unroll train`, `evaluate`, `import`, `models`, `promote`, `rollback`, `ui` and `demo`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from unroll import plugins
from unroll.pipelines.terminal import print_metrics, print_tables, rounded
from unroll.workspace import Workspace

if TYPE_CHECKING:
    from unroll.pipelines.training.config import TaskConfig
    from unroll.pipelines.training.preflight import Checked
    from unroll.pipelines.training.promotion import Moved, Promotion
    from unroll.pipelines.training.training import Trained

app = typer.Typer()

Home = Annotated[Path, typer.Option("--home", envvar="UNROLL_HOME", help="Folder of everything that is written.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
VerifyPublicKey = Annotated[
    Path | None, typer.Option(help="PEM file of the keys that servers ask for: refuses what they would refuse.")
]
TaskName = Annotated[str, typer.Argument(help=f"Kind of problem: {', '.join(plugins.built_in())}, or one of your own.")]
Data = Annotated[str | None, typer.Option(help="File, folder or glob. [default: sample data]")]
Name = Annotated[str | None, typer.Option(help="Name of the model. [default: the task's]")]
Promote = Annotated[
    bool | None,
    typer.Option("--promote/--no-promote", help="Serve it. [default: a first version that no baseline beats]"),
]
Unsigned = Annotated[bool, typer.Option("--unsigned", help="Let an unsigned version replace a signed one.")]
Import = Annotated[
    list[str] | None,
    typer.Option(
        "--import", envvar="UNROLL_IMPORT", help="Module with a task of your own, such as my_tasks; repeatable."
    ),
]
HOME = Path("workspace")


@app.command()
def train(
    task: TaskName,
    data: Data = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of configuration keys.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key.sub=value; repeatable.")] = None,
    name: Name = None,
    import_: Import = None,
    register: Annotated[bool, typer.Option(help="Make it a version of the model.")] = True,
    promote: Promote = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Train a model on raw records, track, evaluate, export and register it.

    The same command goes on where a killed one stopped. The first version of a model is served at once, unless it
    scores at chance or below a baseline; later ones when they are promoted.
    """
    plugins.name_modules(import_ or [])
    from unroll.serving.engine.quiet import import_tensorflow

    workspace = Workspace(home)
    checked = check(task, config, set_, data, name, workspace, register, promote)
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
    print_trained(trained, home)


def check(
    task: str,
    config: Path | None,
    set_: list[str] | None,
    data: str | None,
    name: str | None,
    workspace: Workspace,
    register: bool,
    promote: bool | None,
) -> "Checked[TaskConfig]":
    """Looks at the options of a training before TensorFlow is loaded.

    Raises:
        UserError: what is wrong with one.
    """
    from unroll.pipelines.configurations import config_schema
    from unroll.pipelines.training.config import load_config
    from unroll.pipelines.training.preflight import check_training

    schema = config_schema(task)
    return check_training(
        task,
        lambda base: load_config(schema, config, set_ or [], base),
        data,
        name or task,
        workspace,
        register=register,
        promote=promote,
    )


def print_trained(trained: "Trained", home: Path, *lines: str) -> None:
    """Prints a model's scores, further lines, and what may be done next."""
    console = Console()
    print_metrics(console, trained.title, trained.card.metrics)
    print_tables(console, trained.tables)
    for line in (*lines, f"SavedModel: {trained.path}", *trained.advice(home)):
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
    from unroll.pipelines.scoring.comparison import compare
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
    compared = compare(scored.losses) if scored.losses else None
    for line in (*scored.notes, compared.sentence("these data") if compared else ""):
        if line:
            console.print(line, soft_wrap=True, highlight=False, markup=False)


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
def demo(home: Home = HOME) -> None:
    """Train on real data, serve, ask over gRPC and check for drift: the main job in one go."""
    from unroll.serving.engine.quiet import import_tensorflow

    import_tensorflow()
    next(plugins.beside("demo")).demo(Workspace(home))
