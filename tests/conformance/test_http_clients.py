"""Other people's HTTP clients, as they are by default and with their offers of HTTP/2."""

import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.rest_fixtures import Rest

BODY = json.dumps({"instances": [[1, 2]]})
ANSWER = '{"predictions":[[0.5,1.0]]}'
LONG = json.dumps({"instances": [[1, 2]] * 20_000})  # clients may ask whether it is welcome


def url(rest: Rest) -> str:
    return f"http://127.0.0.1:{rest.port}/v1/models/types:predict"


@pytest.mark.skipif(not shutil.which("java"), reason="there is no Java")
def test_java(rest: Rest) -> None:
    source = Path(__file__).with_name("Ask.java")
    done = subprocess.run(["java", str(source), url(rest), BODY], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == [f"HTTP_1_1 200 {ANSWER}"] * 3, done.stderr


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")
@pytest.mark.parametrize("version", ["--http2", "--http1.1", "--http1.0"])
@pytest.mark.parametrize("body", [BODY, LONG], ids=["short", "long"])
def test_curl(rest: Rest, version: str, body: str) -> None:
    command = ["curl", "-sS", "--max-time", "30", version, "-d", "@-", url(rest), "-w", " %{http_code}\n"]
    done = subprocess.run(command, input=body, capture_output=True, text=True)
    answer, _, status = done.stdout.rpartition(" ")
    assert status == "200\n", done
    assert json.loads(answer) == {"predictions": [[0.5, 1.0]] * len(json.loads(body)["instances"])}


@pytest.mark.parametrize("http2", [False, True])
def test_httpx(rest: Rest, http2: bool) -> None:
    with httpx.Client(http2=http2) as client:
        for body in (BODY, LONG, BODY):
            response = client.post(url(rest), content=body)
            assert response.status_code == 200
            assert response.http_version == "HTTP/1.1"
            assert len(response.json()["predictions"]) == len(json.loads(body)["instances"])
