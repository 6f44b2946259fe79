"""MLflow's pages."""

import errno
import os
import socket
import sys

from unroll.errors import UserError
from unroll.pipelines.training.tracking import artifacts
from unroll.pipelines.training.tracking.database import database_file, ensure_database
from unroll.workspace import Workspace

_PAGE = "#/experiments?workflowType=machine_learning"  # else MLflow 3 opens with its pages on prompts and agents


def serve_ui(workspace: Workspace, port: int, host: str = "127.0.0.1") -> None:
    """Becomes MLflow's server on the workspace, until interrupted.

    Args:
        workspace: what to show.
        port: to listen on.
        host: address to listen on; `0.0.0.0` for all of this machine's. Whoever reaches it may change and delete.

    Raises:
        UserError: the port is in use, the address is not this machine's, or the runs are on a server with pages of its
            own.
    """
    database = database_file(workspace.tracking_uri)
    if database is None:
        raise UserError(f"MLFLOW_TRACKING_URI names a server already. Open {workspace.tracking_uri} in a browser")
    _check_free(host, port)
    ensure_database(database, artifacts.ROOT)
    environment = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        **os.environ,
    }
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", host, "--port", str(port)]
    command += ["--backend-store-uri", workspace.tracking_uri]
    command += ["--artifacts-destination", str(artifacts.folder(database).resolve())]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    print(f"MLflow on {workspace.home}: http://{shown}:{port}/{_PAGE} (stop with Ctrl+C)", flush=True)
    os.execve(sys.executable, command, environment)


def _check_free(host: str, port: int) -> None:
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UserError(f"--host {host}: is not an address of this machine ({error.strerror}). Name another") from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise UserError(f"--host {host}: is not an address of this machine. Name another") from None
            raise UserError(f"port {port} is in use. Choose another with --port") from None
