"""`unroll serve`."""

import os
from pathlib import Path

import typer

from unroll.workspace import Workspace

app = typer.Typer()


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, add_help_option=False)
def serve(context: typer.Context) -> None:
    """Serve the store's models over TensorFlow Serving's gRPC and REST APIs. SIGTERM drains and stops."""
    from unroll.serving.server import flags
    from unroll.serving.server.start import start

    home = Path(os.environ.get("UNROLL_HOME") or "workspace")
    defaults = {"home": home, "rest_api_port": 8501, "max_message_bytes": 32 << 20}
    given = flags.parse(context.args, "unroll serve", flags.STORE, **defaults)
    workspace = Workspace(given.home)
    given.store = given.store or workspace.store
    given.request_log = given.request_log or workspace.requests
    given.model_tuning_cache = given.model_tuning_cache or workspace.cache / "tuning"
    start(given)
