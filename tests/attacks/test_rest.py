"""Attacks on REST: what is begun and not ended, what is small to send and large to read; other calls go on."""

import contextlib
import gzip
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.attacks.trial import Target, flood, withstands
from tests.serving_fixtures import Server, start_model_server
from unroll.serving.protocol import protos
from unroll.serving.protocol.model_spec import PREDICTION
from unroll.serving.protocol.tensors import encode

PATH = "/v1/models/sample:predict"
POST = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n".encode()


@pytest.fixture(scope="module")
def server(exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real one that waits a second for its clients."""
    model = tmp_path_factory.mktemp("attacked") / "sample"
    model.mkdir()
    (model / "1").symlink_to(exports[1])
    running = start_model_server(
        "--model_name=sample", f"--model_base_path={model}", "--rest_api_client_timeout_in_ms=1000"
    )
    assert running.port, running.text
    yield running
    assert running.stop() == 0, running.text


@pytest.fixture
def rest(server: Server) -> Target:
    return Target("http", server.rest_port, PATH, b'{"instances": ["good"]}')


@pytest.fixture(params=["rest", "grpc"])
def honest(request: pytest.FixtureRequest, server: Server, rest: Target) -> Target:
    """Who must not notice."""
    if request.param == "rest":
        return rest
    message = protos.PredictRequest(model_spec=protos.ModelSpec(name="sample"))
    message.inputs["text"].MergeFromString(encode(np.array([b"good"], object)))
    return Target("grpc", server.port, f"{PREDICTION}Predict", message.SerializeToString())


def post(body: bytes, headers: bytes = b"") -> bytes:
    return POST + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("opening", "more"),
    [
        (b"", b""),
        (POST, b"a"),
        (POST + b"Content-Length: 1000000\r\n\r\n", b"1"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n1\r\n"),
    ],
    ids=["silence", "head", "body", "chunks"],
)
def test_what_is_not_ended_is_cut_off(rest: Target, opening: bytes, more: bytes) -> None:
    withstands(rest, lambda: flood(rest.port, opening, lambda: more, connections=200, bytes_per_second=2000))


def test_answers_that_are_not_taken_are_cut_off(rest: Target) -> None:
    pages = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100

    def attack() -> list[float | None]:
        return flood(rest.port, pages, lambda: pages, bytes_per_second=50_000, seconds=4, reads=False)

    withstands(rest, attack, within=3)  # from the first on, of which the system takes some megabytes


NUMBERS = b'{"instances": [%b]}' % b",".join([b"[0.125, 17, 1e5]"] * 100_000)
PACKED = gzip.compress(b'{"instances": [%b]}' % b",".join([b"1"] * 16_000_000))
DEEP = b'{"instances": %b1%b}' % (b"[" * 30_000, b"]" * 30_000)
RAGGED = b'{"instances": [%b, "a"]}' % b",".join([b"[1, 2]"] * 100_000)


@pytest.mark.parametrize(
    "request_", [post(NUMBERS), post(PACKED, b"Content-Encoding: gzip\r\n"), post(DEEP), post(RAGGED)],
    ids=["numbers", "bomb", "deep", "ragged"],
)  # fmt: skip
def test_bodies_that_are_large_to_read_hold_nobody_up(honest: Target, server: Server, request_: bytes) -> None:
    def attack() -> list[float | None]:
        return flood(server.rest_port, request_, lambda: request_, connections=4, bytes_per_second=4e6, seconds=2)

    withstands(honest, attack, within=None)


ROWS = b'{"instances": [%b]}' % b",".join([b'{"text": "a", "b": [1, "c"]}'] * 20_000)
PADDED = b'{"ignored": "%b", "instances": ["good"]}' % (b"x" * 20_000)  # is read beside the event loop too


def test_bodies_of_one_address_keep_no_others_waiting(rest: Target) -> None:
    """Another's small body waits for a piece of one of them, and not for all."""
    with contextlib.ExitStack() as opened:

        def connected(source: str) -> socket.socket:
            return opened.enter_context(socket.create_connection(("127.0.0.1", rest.port), 60, (source, 0)))

        crowd = [connected("127.0.0.2") for _ in range(80)]
        for one in crowd:
            one.sendall(post(ROWS))
        assert crowd[0].recv(12) == b"HTTP/1.1 400"
        honest = connected("127.0.0.1")
        honest.sendall(post(PADDED))
        assert honest.recv(12) == b"HTTP/1.1 200"
        crowd[-1].setblocking(False)
        with pytest.raises(BlockingIOError):  # the last of them is not answered yet
            crowd[-1].recv(1)


def test_garbage_fills_no_log(server: Server, rest: Target) -> None:
    withstands(rest, lambda: flood(rest.port, b"\x16\x03\x01garbage\r\n\r\n", connections=300, source="127.0.0.2"))
    assert 1 <= server.text.count("not read as HTTP/1.1") <= 2
    metrics = server.rest("GET", "/monitoring/prometheus/metrics").body.decode()
    found = re.search(r'^unroll_unreadable_connections_total\{endpoint="REST"\} (\d+)$', metrics, re.MULTILINE)
    assert found
    assert int(found[1]) >= 300
