"""The model server as tensorflow_model_server is started: flags say what to serve.

    python -m serving.server --port=8500 --rest_api_port=8501 --model_name=m --model_base_path=/models/m

Nothing here needs TensorFlow, so that a process that only watches over others stays small.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from errors import told_in_one_line
from serving import flags, unheeded
from serving.announcement import announce
from serving.ports import check_free, check_socket

_log = logging.getLogger("serving.server")  # whose name is __main__, where it is run


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves what the flags name, by default those of the process's own command line; then exits."""
    with told_in_one_line():
        given = flags.parse(sys.argv[1:] if arguments is None else arguments, "python -m serving.server")
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        given.model_tuning_cache = given.model_tuning_cache or caches / "unroll" / "tuning"
        start(given)


def start(given: argparse.Namespace, store: Path | None = None, request_log: Path | None = None) -> None:
    """Serves until SIGTERM or SIGINT, and ends the process.

    Args:
        given: see `serving.flags`.
        store: what is served where no flag names anything else.
        request_log: folder of the request log where `--request_log` names none; None: no log.

    Raises:
        UserError: what is asked for cannot be.
    """
    from serving.process import leave, run
    from serving.request_log import check_root
    from serving.workers import serve_together

    check_free(given.host, given.port, given.rest_api_port)
    if given.grpc_socket_path:
        check_socket(given.grpc_socket_path)
    log = (given.request_log or request_log) if given.request_log_sampling else None
    if log:
        check_root(log)
    log_to_stderr()
    for line in unheeded.lines(given):
        _log.warning("%s", line)
    serve = serve_together if given.workers > 1 else run
    serve(given, store, request_log, lambda ready: announce(ready, given.host, log, given.request_log_sampling))
    leave()


def log_to_stderr(process: str = "") -> None:
    """Has the server's log written to standard error.

    Args:
        process: which of several writes there; begins each line's message.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    logging.basicConfig(format=f"%(asctime)s %(levelname)s {process}%(message)s", stream=sys.stderr)
    logging.getLogger("serving").setLevel(logging.INFO)


if __name__ == "__main__":
    main()
