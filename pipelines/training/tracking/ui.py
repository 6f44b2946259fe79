"""MLflow's pages."""

import os
import socket
import sys

from unroll.errors import UserError
from unroll.pipelines.training.tracking.database import database_file, ensure_database
from unroll.pipelines.training.tracking.quiet import import_mlflow
from unroll.workspace import Workspace


def serve_ui(workspace: Workspace, port: int) -> None:
    """Becomes MLflow's server on the workspace, on this machine only, until interrupted.

    Raises:
        UserError: the port is in use, or the runs are on a server with pages of its own.
    """
    database = database_file(workspace.tracking_uri)
    if database is None:
        raise UserError(f"MLFLOW_TRACKING_URI names a server already. Open {workspace.tracking_uri} in a browser")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UserError(f"port {port} is in use. Choose another with --port") from None
    import_mlflow()
    ensure_database(database, workspace.artifacts)
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **os.environ}
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--backend-store-uri", workspace.tracking_uri]
    command += ["--artifacts-destination", str(workspace.artifacts.resolve())]
    print(f"MLflow on {workspace.home}: http://127.0.0.1:{port} (stop with Ctrl+C)", flush=True)
    os.execve(sys.executable, command, environment)
