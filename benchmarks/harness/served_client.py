"""A client of our server, which serves one model in a process of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.serving_fixtures import SERVE, start_server
from unroll.serving import Client


@contextmanager
def served_client(saved_model: Path, *flags: str) -> Iterator[Client]:
    """Serves a SavedModel for as long as it is asked, and logs no requests.

    Args:
        saved_model: its directory.
        flags: further ones of `unroll serve`.
    """
    with tempfile.TemporaryDirectory() as home:
        shutil.copytree(saved_model, Path(home) / "store" / "model" / "1")
        server = start_server(*SERVE, "--home", home, "--request_log_sampling", "0", *flags)
        try:
            with Client(server.address, model="model", timeout=120) as client:
                yield client
        finally:
            server.stop()
