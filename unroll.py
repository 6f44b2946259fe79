"""The front door: `unroll COMMAND`, composed from the packages' own command lines."""

import errno
import sys
from collections.abc import Sequence

import typer

import monitoring.cli
import pipelines.cli
import serving.cli
from errors import UserError

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
    try:
        app(args=arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.filename is None and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"error: {error.filename or 'disk'}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
