"""`unroll tune`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from unroll import plugins
from unroll.pipelines.cli import HOME, Home, Import, Json
from unroll.pipelines.terminal import print_metrics, print_tables
from unroll.workspace import Workspace

app = typer.Typer()


@app.command()
def tune(
    task: Annotated[str, typer.Argument(help=f"Kind of problem: {', '.join(plugins.built_in())}, or one of your own.")],
    data: Annotated[str | None, typer.Option(help="File, folder or glob. [default: sample data]")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Time to search; a training of the best comes on top.")] = 60,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials after which the search ends earlier.")] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(help="key=low..high or key=[a, b, c], instead of the keys of the task; repeatable."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes. [default: one for two cores]")] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file of configuration keys, which are not searched.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key.sub=value, not searched; repeatable.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model. [default: the task's]")] = None,
    import_: Import = None,
    register: Annotated[bool, typer.Option(help="Make the best a version of the model.")] = True,
    promote: Annotated[
        bool | None,
        typer.Option("--promote/--no-promote", help="Serve it. [default: a first version that beats chance]"),
    ] = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Search settings for your data, then train, evaluate and register the best.

    Half of the validation split chooses, the other half tells how much of the gain holds; the test split is scored
    once, at the end. The same command goes on where a killed one stopped.
    """
    plugins.name_modules(import_ or [])
    from unroll.pipelines.configurations import config_schema
    from unroll.pipelines.training.config import load_config
    from unroll.pipelines.training.preflight import check_training
    from unroll.pipelines.tuning.search_space import check_space, search_space
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
    space = search_space(task, checked.config, search or [])
    check_space(space, schema, checked.config)
    import_tensorflow()
    from unroll.pipelines.training.progress import Progress
    from unroll.pipelines.tuning.tuning import tune as run

    with Progress() as progress:
        if checked.sample is not None:
            progress.line(f"No --data: searching on the sample data, {checked.sample.words} ({checked.data}).")
        given = (task, checked.config, space, checked.data, name or task, workspace, progress)
        tuned = run(*given, minutes=minutes, trials=trials, jobs=jobs, register=register, promote=promote)
    if as_json:
        print(json.dumps(tuned.document()))
        return
    console, trained = Console(), tuned.trained
    print_metrics(console, trained.title, trained.card.metrics)
    print_tables(console, trained.tables)
    lines = (*tuned.outcome.lines(), f"Configuration: {tuned.file}", f"SavedModel: {trained.path}")
    for line in (*lines, *trained.advice(home)):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
