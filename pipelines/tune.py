"""`unroll tune`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from unroll import plugins
from unroll.pipelines.cli import (
    HOME,
    Data,
    Home,
    Import,
    Json,
    Name,
    Promote,
    TaskName,
    check,
    print_trained,
)
from unroll.workspace import Workspace

app = typer.Typer()


@app.command()
def tune(
    task: TaskName,
    data: Data = None,
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
    name: Name = None,
    import_: Import = None,
    register: Annotated[bool, typer.Option(help="Make the best a version of the model.")] = True,
    promote: Promote = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Search settings for your data, then train, evaluate and register the best.

    Half of the validation split chooses, the other half tells how much of the gain holds; the test split is scored
    once, at the end. The same command goes on where a killed one stopped.
    """
    plugins.name_modules(import_ or [])
    from unroll.pipelines.tuning.search_space import check_space, search_space
    from unroll.serving.engine.quiet import import_tensorflow

    workspace = Workspace(home)
    checked = check(task, config, set_, data, name, workspace, register, promote)
    space = search_space(task, checked.config, search or [])
    check_space(space, checked.config)
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
    print_trained(tuned.trained, home, *tuned.outcome.lines(), f"Configuration: {tuned.file}")
