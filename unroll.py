"""The front door: `unroll COMMAND`, composed from the packages' own command lines."""

from collections.abc import Sequence

import typer

import monitoring.cli
import pipelines.cli
import serving.cli
from errors import told_in_one_line

app = typer.Typer(
    help="Train, serve and watch sequence models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(pipelines.cli.app)
app.add_typer(serving.cli.app)
app.add_typer(monitoring.cli.app, name="monitor")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command line, by default the process's own, and exits."""
    with told_in_one_line():
        app(args=arguments)


if __name__ == "__main__":
    main()
