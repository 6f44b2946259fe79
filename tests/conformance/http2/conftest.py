"""The server that these tests ask."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conformance.http2.wire import Wire
from tests.serving_fixtures import ROOT


@pytest.fixture(scope="session")
def echo_port() -> Iterator[int]:
    """Where `echo_server` listens."""
    command = [sys.executable, "-m", "tests.conformance.http2.echo_server"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield int(process.stdout.readline())
        assert process.poll() is None
        process.kill()


@pytest.fixture
def wire(echo_port: int) -> Iterator[Wire]:
    """A connection to it."""
    with Wire(echo_port) as connected:
        yield connected
