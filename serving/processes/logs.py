"""Where the server's log goes."""

import logging
import os
import sys


def log_to_stderr(process: str = "") -> None:
    """Has the server's log written to standard error.

    Args:
        process: which of several writes there; begins each line's message.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    logging.basicConfig(format=f"%(asctime)s %(levelname)s {process}%(message)s", stream=sys.stderr)
    logging.getLogger("unroll").setLevel(logging.INFO)
