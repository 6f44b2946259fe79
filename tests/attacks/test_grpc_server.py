"""The same attacks on the whole server, `python -m serving.server` with a model, and its end while they last."""

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import protos
from serving.http2 import frames
from serving.http2.frames import PREFACE, frame
from serving.store import Store
from tests.attacks.test_grpc_frames import FRAMES, SMALL_FRAMES
from tests.attacks.test_grpc_silence import MANY
from tests.attacks.trial import Target, flood, withstands
from tests.serving.http2.peers import HELLO, LITERALS
from tests.serving_fixtures import Server, start_model_server


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
    path = "/tensorflow.serving.PredictionService/Predict"
    return Target("grpc", model_server.port, path, request.SerializeToString())


def test_silent_requests_keep_nobody_out(predictions: Target) -> None:
    withstands(predictions, lambda: flood(predictions.port, MANY["requests of headers"], connections=4))


def test_cheap_frames(predictions: Target) -> None:
    opening, one = FRAMES["PING (CVE-2019-9512)"]
    many = one * (SMALL_FRAMES // len(one))
    withstands(predictions, lambda: flood(predictions.port, HELLO + opening, lambda: many, connections=4))


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
