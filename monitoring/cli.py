"""`unroll monitor`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from unroll.workspace import Workspace

DRIFT_EXIT_CODE = 3

app = typer.Typer(help="Watch logged requests for drift.", no_args_is_help=True)


@app.callback()
def monitor() -> None:
    """Watch logged requests for drift."""


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="The model.")],
    home: Annotated[Path, typer.Option(envvar="UNROLL_HOME", help="Workspace.")] = Path("workspace"),
    store: Annotated[Path | None, typer.Option(help="Store, instead of the workspace's.")] = None,
    requests: Annotated[
        Path | None, typer.Option(help="Folder of the request log, instead of the workspace's requests/.")
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="Whose requests. Default: of the versions in the store, the one asked last.")
    ] = None,
    window: Annotated[str, typer.Option(help="The newest requests by number (1000) or age (30m, 24h, 7d).")] = "1000",
    labels: Annotated[
        Path | None,
        typer.Option(
            help="What came true, where the model tells a future: CSV or Parquet, a column of times and the targets."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="data.*=value, where --labels is unlike the training data; repeatable."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write the report, with figures, here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare a version's requests with its reference. Exit code 3: they have drifted."""
    from unroll.monitoring.report import drift_report
    from unroll.monitoring.requests import Window
    from unroll.serving.files.regular_files import check_writable

    if html is not None:
        check_writable(html, "--html")
    workspace = Workspace(home)
    result = drift_report(
        name,
        store=store or workspace.store,
        requests=requests or workspace.requests,
        window=Window.parse(window),
        version=version,
        labels=labels,
        overrides=set_ or [],
    )
    if html is not None:
        from unroll.monitoring.html import render, write

        write(html, render(result))
    if as_json:
        print(json.dumps(result.to_json(), ensure_ascii=False))
    else:
        from rich.console import Console

        from unroll.monitoring.terminal import print_report

        print_report(result, Console())
        if html is not None:
            print(f"Written: {html}")
    if result.comparison.drift:
        raise typer.Exit(DRIFT_EXIT_CODE)
