import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.attacks.grpc_target import ECHO
from tests.attacks.trial import ROOT, Target


@contextlib.contextmanager
def grpc_server(**limits: float) -> Iterator[Target]:
    """A gRPC server in a process of its own, with these limits (`serving.http2.GrpcLimits`)."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.attacks.grpc_target", json.dumps(limits)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield Target("grpc", int(process.stdout.readline()), ECHO, b"x" * 100)
        finally:
            process.stdin.close()
        assert process.wait(20) == 0


@pytest.fixture(scope="module")
def grpc_target() -> Iterator[Target]:
    """One with the limits that are the default."""
    with grpc_server() as target:
        yield target


@pytest.fixture
def start_grpc() -> Iterator[Callable[..., Target]]:
    """`grpc_server`, for servers that end with the test."""
    with contextlib.ExitStack() as running:
        yield lambda **limits: running.enter_context(grpc_server(**limits))
