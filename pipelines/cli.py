"""`unroll train`, `evaluate`, `models`, `promote`, `rollback`, `ui` and `demo`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from workspace import Workspace

app = typer.Typer()

Home = Annotated[Path, typer.Option("--home", envvar="UNROLL_HOME", help="Folder of everything that is written.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
HOME = Path("workspace")


@app.command()
def train(
    task: Annotated[str, typer.Argument(help="Kind of problem: sentiment.")],
    data: Annotated[str | None, typer.Option(help="File, folder or glob. [default: sample data]")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of configuration keys.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key.sub=value; repeatable.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model. [default: the task's]")] = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Train a model on raw records, track, evaluate, export and register it.

    The same command goes on where a killed one stopped. The first version of a model is served at once;
    later ones when they are promoted.
    """
    from serving.quiet import import_tensorflow

    import_tensorflow()
    from pipelines.config import load_config
    from pipelines.progress import Progress
    from pipelines.samples import sample_for
    from pipelines.task import task_named
    from pipelines.training import train as run

    kind = task_named(task)
    base = None
    if data is None:
        sample = sample_for(task)
        data, base = str(sample.path), sample.settings
    settings = load_config(kind.Config, config, set_ or [], base)
    with Progress() as progress:
        trained = run(kind, settings, data, name or task, Workspace(home), progress)
    if as_json:
        print(json.dumps(trained.document()))
        return
    registered = trained.registered
    console = Console()
    console.print(_metrics_table(f"{registered.name} version {registered.version}", trained.metrics))
    console.print(f"SavedModel: {trained.path}", soft_wrap=True)
    if trained.promoted:
        console.print(f"It is the champion. Serve it: unroll serve --home {home}", soft_wrap=True)
    else:
        console.print(
            f"Not served yet. To serve it: unroll promote {registered.name} {registered.version} --home {home}",
            soft_wrap=True,
        )


@app.command()
def evaluate(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    data: Annotated[str, typer.Option(help="File, folder or glob of labelled records.")],
    version: Annotated[int | None, typer.Option(help="Version. [default: the champion]")] = None,
    alias: Annotated[str | None, typer.Option(help="Alias instead of a version.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="data.*=value; repeatable.")] = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Score a registered model on labelled records, all of them."""
    from serving.quiet import import_tensorflow

    import_tensorflow()
    from pipelines.evaluation import evaluate as run
    from pipelines.progress import Progress
    from pipelines.tracking import Tracking

    with Progress() as progress:
        with progress.stage("opening MLflow"):
            tracking = Tracking(Workspace(home))
            registered = tracking.version(name, version, alias)
            directory = tracking.saved_model(registered)
        metrics = run(directory, data, set_ or [], progress)
    if as_json:
        print(json.dumps({"name": name, "version": registered.version, "metrics": metrics}))
    else:
        Console().print(_metrics_table(f"{name} version {registered.version} on {data}", metrics))


@app.command()
def models(home: Home = HOME, as_json: Json = False) -> None:
    """List the registered models, their versions, aliases and metrics."""
    from pipelines.tracking import Tracking

    versions = Tracking(Workspace(home)).versions()
    if as_json:
        keys = ("name", "version", "aliases", "task", "run_id", "metrics")
        print(json.dumps([{key: getattr(one, key) for key in keys} for one in versions]))
        return
    table = Table("model", "version", "alias", "task", "test metrics")
    for one in versions:
        scores = [
            f"{key.removeprefix('test/')} {value:.4f}"
            for key, value in one.metrics.items()
            if key.startswith("test/") and key.count("/") == 1
        ]
        table.add_row(one.name, str(one.version), " ".join(one.aliases), one.task, "  ".join(scores))
    Console().print(table if versions else f"No model is registered in {home}. Train one: unroll train sentiment")


@app.command()
def promote(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    version: Annotated[int, typer.Argument(help="Version to promote.")],
    alias: Annotated[str, typer.Option(help="Alias to move; only the champion is served.")] = "champion",
    home: Home = HOME,
) -> None:
    """Move an alias to a version. The champion is put in the store, where running servers find it."""
    from pipelines.promotion import promote as run
    from pipelines.tracking import Tracking

    tracking = Tracking(Workspace(home))
    path = run(tracking, Workspace(home), tracking.version(name, version), alias)
    Console().print(f"{name} version {version} is now the {alias}: {path}", soft_wrap=True)


@app.command()
def rollback(name: Annotated[str, typer.Argument(help="Name of the model.")], home: Home = HOME) -> None:
    """Make the previous champion the champion again."""
    from pipelines.promotion import rollback as run
    from pipelines.tracking import Tracking

    registered = run(Tracking(Workspace(home)), Workspace(home), name)
    Console().print(f"{name} version {registered.version} is the champion again", soft_wrap=True)


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port on this machine.")] = 5000, home: Home = HOME) -> None:
    """Open MLflow's pages on the workspace."""
    from pipelines.tracking import serve_ui

    serve_ui(Workspace(home), port)


@app.command()
def demo(home: Home = HOME) -> None:
    """Train on real reviews, serve, ask over gRPC and check for drift: the main job in one go."""
    from serving.quiet import import_tensorflow

    import_tensorflow()
    from pipelines.demo import demo as run

    run(Workspace(home))


def _metrics_table(title: str, metrics: Mapping[str, float]) -> Table:
    """One row a metric, one column a split and group."""
    columns: dict[str, dict[str, float]] = {}
    for key, value in metrics.items():
        split, metric, *group = key.split("/", 2)
        columns.setdefault("/".join([split, *group]), {})[metric] = value
    table = Table("metric", *(Column(Text(name)) for name in columns), title=Text(title), title_justify="left")
    rows: list[Any] = list(dict.fromkeys(metric for column in columns.values() for metric in column))
    for metric in rows:
        table.add_row(metric, *(f"{c[metric]:.4f}" if metric in c else "" for c in columns.values()))
    return table
