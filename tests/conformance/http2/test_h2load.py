"""Many connections and streams at the same time, by nghttp2's h2load.

It counts an answer as good by its HTTP status, which a gRPC call that failed has too. So the bytes of messages are
counted here: only a call that succeeded has any.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest

from tests.serving.http2.peers import prefixed
from tests.serving_fixtures import Server
from unroll.serving.protocol import protos

pytestmark = pytest.mark.skipif(not shutil.which("h2load"), reason="needs h2load, of Debian's nghttp2-client")

CONNECTIONS, STREAMS = 40, 20
PREDICT = "/tensorflow.serving.PredictionService/Predict"


class Load(NamedTuple):
    """What h2load says."""

    succeeded: int
    failed: int
    message_bytes: int


@pytest.fixture
def body(tmp_path: Path) -> Path:
    return tmp_path / "body"


def load(port: int, path: str, body: Path, calls: int) -> Load:
    run = subprocess.run(
        [
            *("h2load", f"--requests={calls}", f"--clients={CONNECTIONS}", f"--max-concurrent-streams={STREAMS}"),
            *("--header=content-type: application/grpc", "--header=te: trailers", f"--data={body}"),
            f"http://127.0.0.1:{port}{path}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not run.returncode, run.stderr

    def number(pattern: str) -> int:
        found = re.search(pattern, run.stdout)
        assert found, run.stdout
        return int(found[1])

    return Load(
        number(r"(\d+) succeeded"),
        number(r"(\d+) failed") + number(r"(\d+) errored") + number(r"(\d+) timeout"),
        number(r"\((\d+)\) data"),
    )


def test_the_bytes_of_messages_tell_calls_that_succeeded(echo_port: int, body: Path) -> None:
    body.write_bytes(prefixed(b"hello"))
    assert load(echo_port, "/test.Service/Fail", body, 1000) == Load(1000, 0, 0)
    assert load(echo_port, "/test.Service/Echo", body, 10_000) == Load(10_000, 0, 10_000 * len(prefixed(b"hello")))


def test_a_model_under_load_answers_every_call(server: Server, channel: grpc.Channel, body: Path) -> None:
    request = protos.PredictRequest()
    request.model_spec.name = "sample"
    request.inputs["text"].dtype = protos.DataType.Value("DT_STRING")
    request.inputs["text"].tensor_shape.dim.add().size = 1
    request.inputs["text"].string_val.append(b"good")
    message = request.SerializeToString()
    answer = channel.unary_unary(PREDICT)(message, timeout=20)
    body.write_bytes(prefixed(message))
    assert load(server.port, PREDICT, body, 10_000) == Load(10_000, 0, 10_000 * len(prefixed(answer)))
