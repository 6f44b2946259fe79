"""The server in the eyes of Node's gRPC client, @grpc/grpc-js."""

import base64
import json
import os
import shutil
import string
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from tests.serving_fixtures import Server
from unroll.serving.protocol import protos
from unroll.serving.protocol.status import StatusError

CODE = grpc.StatusCode
CLIENT = Path(__file__).with_name("grpc_js.cjs")
INSTALL = "npm install --prefer-offline --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error"

TEXTS = {
    "nothing": "",
    "words": "Servable not found for request: Latest(m)",
    "a trailing blank": "Inputs expected to be in the request {z}, or default input alias set: ",
    "a leading blank": " indented",
    "blanks around": "  both  ",
    "a blank": " ",
    "blanks": " " * 50,
    "tabs around": "\ttabs\t",
    "lines": "Incompatible shapes: [2] vs. [3]\n\t [[{{node x}}]]\r\n\t [[{{node y}}]]\n",
    "a line break": "\n",
    "signs": string.punctuation,
    "a percent sign": "%",
    "percent signs": "100 % of %41 %zz %% %2",
    "control characters": "".join(map(chr, (*range(32), 127))),
    "other scripts": "naïve Ünïcode 漢字 עברית 😀",
    "other scripts around": "é blank é",
    "as long as it may be": "x" * 1024,
    "longer": "x" * 1025,
    "longer, and cut within a character": "x" + "é" * 1000,
    "longer, and cut behind a blank": "x" * 1023 + " " + "y" * 100,
    "much longer, and all of it encoded": "漢" * 5000,
}

Node = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """Makes calls from Node; see `grpc_js.cjs`."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("needs node and npm")
    folder = tmp_path_factory.mktemp("grpc-js")
    (folder / "package.json").write_text("{}")
    try:
        installed = subprocess.run(
            [*INSTALL.split(), "@grpc/grpc-js@1"], cwd=folder, capture_output=True, text=True, timeout=120
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm took more than two minutes to install @grpc/grpc-js")
    if installed.returncode:
        pytest.skip(f"npm cannot install @grpc/grpc-js: {installed.stderr.strip()[-500:]}")

    def make(address: str, *calls: dict[str, Any]) -> list[dict[str, Any]]:
        made = subprocess.run(
            ["node", str(CLIENT), address],
            input=json.dumps(calls),
            env={**os.environ, "NODE_PATH": str(folder / "node_modules")},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert not made.returncode, made.stderr
        return json.loads(made.stdout)

    return make


def call(path: str, message: bytes = b"", **more: Any) -> dict[str, Any]:
    return {"path": path, "message": base64.b64encode(message).decode(), **more}


def answers(result: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(answer) for answer in result["answers"]]


@pytest.fixture(scope="module")
def told(node: Node, echo_port: int) -> dict[str, dict[str, Any]]:
    """What Node hears of each text, by its name."""
    calls = [call("/test.Service/Fail", text.encode()) for text in TEXTS.values()]
    return dict(zip(TEXTS, node(f"127.0.0.1:{echo_port}", *calls), strict=True))


@pytest.mark.parametrize("name", TEXTS)
def test_every_status_text_arrives_whole(told: dict[str, dict[str, Any]], name: str) -> None:
    assert told[name]["code"] == CODE.INVALID_ARGUMENT.value[0]
    assert told[name]["details"] == StatusError(CODE.INVALID_ARGUMENT, TEXTS[name]).message


def test_calls_are_answered_cancelled_and_timed_out(node: Node, echo_port: int) -> None:
    echo, cancelled, late, held, large = node(
        f"127.0.0.1:{echo_port}",
        call("/test.Service/Echo", b"hello"),
        call("/test.Service/Hold", cancel="held"),
        call("/test.Service/Hold", deadline=200),
        call("/test.Service/Held"),
        call("/test.Service/Echo", bytes(range(256)) * 4000),
    )
    assert (echo["code"], answers(echo)) == (0, [b"hello"])
    assert cancelled["code"] == CODE.CANCELLED.value[0]
    assert late["code"] == CODE.DEADLINE_EXCEEDED.value[0]
    assert answers(held)[0].split()[0] == b"0"
    assert (large["code"], answers(large)) == (0, [bytes(range(256)) * 4000])


def test_a_model_answers(node: Node, server: Server) -> None:
    request = protos.PredictRequest()
    request.model_spec.name = "sample"
    request.inputs["text"].dtype = protos.DataType.Value("DT_STRING")
    request.inputs["text"].tensor_shape.dim.add().size = 2
    request.inputs["text"].string_val.extend([b"good", b"bad"])
    health = health_pb2.HealthCheckRequest().SerializeToString()
    predict = "/tensorflow.serving.PredictionService/Predict"
    predicted, unknown, checked, watched = node(
        server.address,
        call(predict, request.SerializeToString()),
        call(predict),
        call("/grpc.health.v1.Health/Check", health),
        call("/grpc.health.v1.Health/Watch", health, streams=True, cancel="answered"),
    )
    assert predicted["code"] == 0
    outputs = protos.PredictResponse.FromString(answers(predicted)[0]).outputs
    assert list(outputs["score"].float_val) == [4, 3]
    assert (unknown["code"], unknown["details"]) == (CODE.INVALID_ARGUMENT.value[0], "Missing ModelSpec")
    serving = health_pb2.HealthCheckResponse.SERVING
    assert health_pb2.HealthCheckResponse.FromString(answers(checked)[0]).status == serving
    assert [health_pb2.HealthCheckResponse.FromString(answer).status for answer in answers(watched)] == [serving]
    assert watched["code"] == CODE.CANCELLED.value[0]
