"""`--engine=remote`: one process as a proxy of the models of another."""

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.serving.recording import recording
from tests.serving_fixtures import Server, start_model_server, start_server, until
from unroll.serving.client.client import Client, ServingError
from unroll.serving.server.ports import free_port
from unroll.serving.versions.store import Store

TOKEN = "proxy-0123456789"
BEARER = f"Bearer {TOKEN}"
PREDICT = "/v1/models/sample:predict"
HEALTH = {1: "SERVING", 2: "NOT_SERVING"}


@pytest.fixture(scope="module")
def folder(light_exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("remote")
    Store(folder / "store").put("sample", 1, light_exports[1])
    (folder / "tokens").write_text(f"app:{TOKEN}\n")
    (folder / "tokens").chmod(0o600)
    return folder


@pytest.fixture(scope="module")
def behind(folder: Path) -> list[Server]:
    """The servers that have run behind the proxy, on the same port; the first is started by `proxy`."""
    return []


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


def start_behind(folder: Path, port: int) -> Server:
    server = start_server(
        *("-m", "unroll.serving.server", f"--port={port}", "--model_name=sample"),
        f"--model_base_path={folder / 'store' / 'sample'}",
    )
    assert server.port == port, server.text
    return server


@pytest.fixture(scope="module")
def proxy(folder: Path, port: int, behind: list[Server]) -> Iterator[Server]:
    behind.append(start_behind(folder, port))
    running = start_model_server(
        "--engine=remote",
        f"--remote_address=127.0.0.1:{port}",
        "--remote_models=sample",
        "--file_system_poll_wait_seconds=0.1",
        f"--auth_tokens_file={folder / 'tokens'}",
        f"--request_log={folder / 'log'}",
    )
    assert running.port, running.text
    yield running
    assert running.stop() == 0, running.text
    behind[-1].stop()


def health(server: Server) -> str:
    with grpc.insecure_channel(server.address) as channel:
        request = health_pb2.HealthCheckRequest(service="sample")
        return HEALTH[health_pb2_grpc.HealthStub(channel).Check(request, timeout=30).status]


def test_both_endpoints_answer_with_the_models_behind(proxy: Server, behind: list[Server]) -> None:
    with Client(proxy.address, model="sample", token=TOKEN) as client:
        answer = client.predict({"text": ["a"]}, request_id="by-grpc")
        assert (answer["score"].tolist(), answer.version) == ([1.0], 1)
        assert client.status() == {1: "AVAILABLE"}
    reply = proxy.rest("POST", PREDICT, {"instances": ["a", "b"]}, authorization=BEARER, x_request_id="by-rest")
    assert reply.json == {"predictions": [1.0, 1.0]}
    assert health(proxy) == "SERVING"


def test_an_unknown_model_is_refused_in_the_words_of_the_one_behind(proxy: Server) -> None:
    with Client(proxy.address, model="none", token=TOKEN) as client, pytest.raises(ServingError) as refused:
        client.predict({"text": ["a"]})
    assert refused.value.code is grpc.StatusCode.NOT_FOUND
    said = "Servable not found for request: Latest(none)"
    assert said in str(refused.value)
    reply = proxy.rest("POST", "/v1/models/none:predict", {"instances": ["a"]}, authorization=BEARER)
    assert (reply.status, reply.error) == (404, said)


def test_the_proxy_writes_the_request_log(proxy: Server, folder: Path) -> None:
    logs = folder / "log" / "sample"

    def ids() -> set[str]:
        lines = "".join(log.read_text() for log in logs.glob("*.tsv")).splitlines()
        return {line.split("\t")[2] for line in lines}

    until(lambda: {"by-grpc", "by-rest"} <= ids())
    assert {int(log.stem.rpartition("-")[2]) for log in logs.glob("*.tsv")} == {proxy.process.pid}
    record = next(logs.glob("*.tfrecord")).read_bytes()
    assert struct.unpack_from("<Q", record)[0] > 0
    assert TOKEN.encode() not in record


def test_the_proxy_alone_knows_the_tokens(proxy: Server) -> None:
    assert proxy.rest("POST", PREDICT, {"instances": ["a"]}).status == 401
    with Client(proxy.address, model="sample") as client, pytest.raises(ServingError) as refused:
        client.status()
    assert refused.value.code is grpc.StatusCode.UNAUTHENTICATED


def test_a_deleted_log_is_begun_anew_and_told(proxy: Server, folder: Path) -> None:
    def ask(request_id: str) -> None:
        proxy.rest("POST", PREDICT, {"instances": ["a"]}, authorization=BEARER, x_request_id=request_id)

    def is_logged(request_id: str) -> bool:
        return any(request_id in log.read_text() for log in folder.glob("log/sample/*.tsv"))

    def is_asked_and_logged(request_id: str) -> bool:
        ask(request_id)
        return is_logged(request_id)

    ask("before")  # and nothing more, lest it be written while the folder is removed
    until(lambda: is_logged("before"))
    shutil.rmtree(folder / "log")
    until(lambda: is_asked_and_logged("afterwards"))
    metrics = proxy.rest("GET", "/monitoring/prometheus/metrics").body.decode()
    assert "unroll_request_log_vanished_files_total{} 1\n" in metrics
    assert "unroll_request_log_dropped_total{} " in metrics
    assert proxy.text.count("is gone or replaced, and what it held with it") == 1


def test_an_emptied_file_of_tokens_turns_everybody_away_until_it_has_some(proxy: Server, folder: Path) -> None:
    def statuses() -> list[int]:
        return [proxy.rest("POST", PREDICT, {"instances": ["a"]}, authorization=BEARER).status for _ in range(2)]

    content = (folder / "tokens").read_text()
    (folder / "tokens").write_text("")
    until(lambda: statuses() == [401, 401])
    with Client(proxy.address, model="sample", token=TOKEN) as client, pytest.raises(ServingError) as refused:
        client.status()
    assert refused.value.code is grpc.StatusCode.UNAUTHENTICATED
    assert "holds no token, so that nobody may ask" in proxy.text
    (folder / "tokens").write_text(content)
    until(lambda: statuses() == [200, 200])


def test_health_follows_the_server_behind_as_it_goes_and_returns(
    proxy: Server, behind: list[Server], folder: Path, port: int
) -> None:
    assert behind[-1].stop() == 0
    until(lambda: health(proxy) == "NOT_SERVING")
    reply = proxy.rest("POST", PREDICT, {"instances": ["a"]}, authorization=BEARER)
    assert reply.status == 503
    said = f"The model server at 127.0.0.1:{port} does not answer."
    assert said in reply.error
    with Client(proxy.address, model="sample", token=TOKEN) as client, pytest.raises(ServingError) as refused:
        client.status()
    assert refused.value.message.startswith(said)

    with recording(address=f"127.0.0.1:{port}") as (recorder, _):  # another that speaks the protocol, and tells
        until(lambda: health(proxy) == "SERVING")
        with Client(proxy.address, model="sample", token=TOKEN) as client:
            assert client.predict({"text": ["a"]}, signature="other", request_id="told").version == 7
        asked = next(metadata for metadata in recorder.metadata if metadata.get("x-request-id") == "told")
        assert "authorization" not in asked
    until(lambda: health(proxy) == "NOT_SERVING")


@pytest.mark.slow
def test_the_server_behind_may_be_started_anew(proxy: Server, behind: list[Server], folder: Path, port: int) -> None:
    behind[-1].stop()
    behind.append(start_behind(folder, port))
    until(lambda: health(proxy) == "SERVING")
    reply = proxy.rest("POST", PREDICT, {"instances": ["a"]}, authorization=BEARER)
    assert reply.json == {"predictions": [1.0]}
