"""From flags to a server that runs: what every start has in common.

Nothing here needs TensorFlow, so that a process that only watches over others stays small.
"""

import argparse
import logging

from unroll.serving.processes.leaving import leave
from unroll.serving.processes.logs import log_to_stderr
from unroll.serving.server import ignored_flags
from unroll.serving.server.announcement import announce
from unroll.serving.server.ports import check_free, check_socket

_log = logging.getLogger(__name__)


def start(given: argparse.Namespace) -> None:
    """Serves until SIGTERM or SIGINT, and ends the process.

    Args:
        given: see `unroll.serving.server.flags`.

    Raises:
        UserError: what is asked for cannot be.
    """
    from unroll.serving.front.request_log import check_root
    from unroll.serving.server.process import run
    from unroll.serving.server.supervisor import supervise

    check_free(given.host, given.port, given.rest_api_port)
    if given.grpc_socket_path:
        check_socket(given.grpc_socket_path)
    log = given.request_log if given.request_log_sampling else None
    if log:
        check_root(log)
    log_to_stderr()
    for line in ignored_flags.lines(given):
        _log.warning("%s", line)
    serve = supervise if (given.workers or 1) > 1 else run
    serve(given, lambda ready: announce(ready, given.host, log, given.request_log_sampling))
    leave()
