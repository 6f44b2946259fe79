"""The same attacks on the whole server, `python -m unroll.serving.server` with a model, and its end while they last."""

import contextlib
import itertools
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.grpc_target import ECHO
from tests.attacks.test_grpc_frames import FRAMES, SMALL_FRAMES
from tests.attacks.test_grpc_silence import MANY
from tests.attacks.trial import Target, flood, withstands
from tests.serving.http2.peers import HELLO, LITERALS, prefixed
from tests.serving_fixtures import Server, start_model_server
from unroll.serving.http2 import frames
from unroll.serving.http2.frames import PREFACE, frame
from unroll.serving.protocol import protos, wire
from unroll.serving.versions.store import Store

PREDICT = "/tensorflow.serving.PredictionService/Predict"


@pytest.fixture(scope="module")
def model_server(exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("attacked")
    Store(folder).put("sample", 1, exports[1])
    running = start_model_server("--model_name=sample", f"--model_base_path={folder / 'sample'}")
    assert running.port, running.text
    yield running
    running.process.kill()
    running.process.wait()


@pytest.fixture(scope="module")
def predictions(model_server: Server) -> Target:
    request = protos.PredictRequest()
    request.model_spec.name = "sample"
    text = request.inputs["text"]
    text.dtype = 7
    text.tensor_shape.dim.add().size = 1
    text.string_val.append(b"good")
    return Target("grpc", model_server.port, PREDICT, request.SerializeToString())


def test_silent_requests_keep_nobody_out(predictions: Target) -> None:
    withstands(predictions, lambda: flood(predictions.port, MANY["requests of headers"], connections=4))


def test_cheap_frames(predictions: Target) -> None:
    opening, one = FRAMES["PING (CVE-2019-9512)"]
    many = one * (SMALL_FRAMES // len(one))
    withstands(predictions, lambda: flood(predictions.port, HELLO + opening, lambda: many, connections=4))


LARGE = 4 << 20
TO_READ = {
    "empty strings": wire.integer(1, 7) + b"\x42\x00" * (LARGE // 2),
    "packed numbers": wire.integer(1, 9) + wire.block(10, b"\x01" * LARGE),
}


@pytest.mark.parametrize("name", TO_READ)
def test_messages_that_are_large_to_read_hold_nobody_up(predictions: Target, name: str) -> None:
    """Of each, protobuf and what makes an array of it would hold the event loop for a tenth of a second and more."""
    spec = wire.block(1, wire.block(1, b"sample"))
    message = prefixed(spec + wire.block(2, wire.block(1, b"text") + wire.block(2, TO_READ[name])))
    headers = LITERALS.replace(bytes((len(ECHO),)) + ECHO.encode(), bytes((len(PREDICT),)) + PREDICT.encode())
    numbers = itertools.count(1, 2)

    def call() -> bytes:
        number = next(numbers)
        parts = [message[at : at + 16384] for at in range(0, len(message), 16384)]
        data = [frame(frames.DATA, 0, number, part) for part in parts[:-1]]
        last = frame(frames.DATA, frames.END_STREAM, number, parts[-1])
        return b"".join((frame(frames.HEADERS, frames.END_HEADERS, number, headers), *data, last))

    def attack() -> list[float | None]:
        nonlocal numbers
        numbers = itertools.count(1, 2)
        return flood(predictions.port, HELLO, call, bytes_per_second=8e6)

    withstands(predictions, attack, within=None)


def test_it_ends_though_connections_are_silent(model_server: Server) -> None:
    begun = [b"", PREFACE[:5], HELLO, HELLO + frame(frames.HEADERS, frames.END_HEADERS, 1, LITERALS)]
    with contextlib.ExitStack() as silent:
        for said in begun:
            one = silent.enter_context(socket.create_connection(("127.0.0.1", model_server.port), 10))
            one.sendall(said)
        time.sleep(0.2)  # accepted
        asked = time.monotonic()
        model_server.process.send_signal(signal.SIGTERM)
        assert model_server.process.wait(60) == 0
        assert time.monotonic() - asked < 12  # it was 22 s for one of them
