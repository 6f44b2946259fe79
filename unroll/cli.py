"""The command line: `unroll COMMAND`, composed from the packages' own command lines."""

import sys
from collections.abc import Sequence
from typing import Any

import typer

from unroll.errors import UserError, told_in_one_line
from unroll.monitoring.cli import app as monitor
from unroll.pipelines.cli import app as train
from unroll.pipelines.discovery import app as discover
from unroll.pipelines.predict import app as predict
from unroll.pipelines.tune import app as tune
from unroll.serving.cli import app as serve

app = typer.Typer(
    help="Train, serve and watch sequence models.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # by default what is in brackets, such as [default: 1], would be markup
    pretty_exceptions_enable=False,
)

app.add_typer(train)
app.add_typer(tune)
app.add_typer(predict)
app.add_typer(discover)
app.add_typer(serve)
app.add_typer(monitor, name="monitor")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command line, by default the process's own, and exits."""
    with told_in_one_line():
        try:
            code = app(args=arguments, prog_name="unroll", standalone_mode=False)
        except typer.TyperException as misuse:
            if told := misuse.format_message():
                raise UserError(_in_one_line(misuse, told)) from None
            code = misuse.exit_code  # no command, of which the help is printed already
        sys.exit(code)


def _in_one_line(misuse: typer.TyperException, told: str) -> str:
    """What is wrong with a command line, in whose command, and where to read how it is right."""
    context = getattr(misuse, "ctx", None)
    command = context.command_path if context else "unroll"
    cause: Any = misuse.__cause__
    invalid = cause.errors()[0] if hasattr(cause, "errors") else {}
    received = f" (received {invalid['input']!r})" if "input" in invalid else ""
    end = "" if told.endswith("?") else "."
    return f"{command}: {told[:1].lower()}{told[1:].rstrip('.')}{received}{end} See `{command} --help`"
