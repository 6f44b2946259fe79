import contextlib
import json
from collections.abc import Callable, Iterator

import pytest

from tests.attacks.grpc_target import ECHO
from tests.attacks.trial import Target, line, process


@contextlib.contextmanager
def grpc_server(**limits: float) -> Iterator[Target]:
    """A gRPC server in a process of its own, with these limits (`unroll.serving.http2.GrpcLimits`)."""
    with process("tests.attacks.grpc_target", json.dumps(limits)) as running:
        yield Target("grpc", int(line(running)), ECHO, b"x" * 100)
    assert running.returncode == 0


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
