"""`unroll tasks` and `unroll config`: what can be trained, and what can be set of it."""

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from unroll import plugins
from unroll.errors import UserError
from unroll.pipelines.cli import Import, Json

app = typer.Typer()


@app.command()
def tasks(import_: Import = None, as_json: Json = False) -> None:
    """List the tasks: what each makes of what, and the sample data that it is tried on."""
    plugins.name_modules(import_ or [])
    from unroll.pipelines.configurations import summaries

    found = list(summaries())
    if as_json:
        print(json.dumps([dataclasses.asdict(task) for task in found], ensure_ascii=False))
        return
    table = Table(*(Column(heading, overflow="fold") for heading in ("task", "what it does", "sample data")))
    for task in found:
        table.add_row(task.name, task.summary, task.sample)
    console = Console()
    console.print(table)
    console.print("Try one: unroll train TASK. What can be set of it: unroll config TASK", highlight=False)


@app.command()
def config(
    task: Annotated[str, typer.Argument(help="The task; `unroll tasks` lists them.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table instead.")] = False,
    import_: Import = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print its JSON schema, for editors, instead.")] = False,
) -> None:
    """Print every key of a task's configuration with its default, as YAML that `unroll train --config` takes."""
    if markdown and as_json:
        raise UserError("--markdown and --json: only one of them can be printed. Leave one out")
    plugins.name_modules(import_ or [])
    from unroll.pipelines.configurations import config_schema
    from unroll.pipelines.training import config_reference

    schema = config_schema(task)
    if as_json:
        print(json.dumps(schema.model_json_schema(), ensure_ascii=False))
    elif markdown:
        print(config_reference.as_markdown(schema), end="")
    else:
        title = (
            f"Every key of `unroll train {task}`, at its default. Keep the lines that you change, and name the file:\n"
            f"unroll train {task} --config FILE.yaml"
        )
        print(config_reference.as_yaml(schema, title), end="")
