"""`unroll serve`, and the same for scripts written for tensorflow_model_server: `python -m serving.server`."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from errors import told_in_one_line
from serving import flags
from serving.announcement import announce
from workspace import Workspace

app = typer.Typer()
_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True}


@app.command(context_settings=_PASSED_ON, add_help_option=False)
def serve(context: typer.Context) -> None:
    """Serve the store's models over TensorFlow Serving's gRPC and REST APIs. SIGTERM drains and stops."""
    home = Path(os.environ.get("UNROLL_HOME") or "workspace")
    given = flags.parse(context.args, "unroll serve", flags.STORE, home=home, rest_api_port=8501)
    workspace = Workspace(given.home)
    _run(given, given.store or workspace.store, workspace.requests)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves as tensorflow_model_server does: what the flags name, and no store."""
    with told_in_one_line():
        given = flags.parse(sys.argv[1:] if arguments is None else arguments, "python -m serving.server")
        _run(given, None, None)


def log_to_stderr() -> None:
    """Has the server's log written to standard error."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("serving").setLevel(logging.INFO)


def _run(given: argparse.Namespace, store: Path | None, request_log: Path | None) -> None:
    from serving.process import run
    from serving.workers import serve_together

    log_to_stderr()
    log = (given.request_log or request_log) if given.request_log_sampling else None
    start = serve_together if given.workers > 1 else run
    start(given, store, request_log, lambda ready: announce(ready, given.host, log, given.request_log_sampling))
