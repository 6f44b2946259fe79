"""What the REST endpoint does beyond TensorFlow Serving's letter: limits, deadlines, new versions, stopping, TLS."""

import asyncio
import contextlib
import gzip
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.rest_fixtures import Rest, export_one_input, export_refusing
from tests.serving.certificates import Authority
from tests.serving_fixtures import until
from unroll.errors import UserError
from unroll.serving.front import tls
from unroll.serving.front.auth import Auth
from unroll.serving.front.dispatcher import Dispatcher
from unroll.serving.front.metrics import Metrics
from unroll.serving.protocol.call import Call
from unroll.serving.protocol.model_spec import STATUS
from unroll.serving.protocol.status import StatusError
from unroll.serving.rest import ConnectionLimits, RestApplication, RestParameters, RestServer
from unroll.serving.rest.monitoring import metrics_path
from unroll.serving.versions.store import Store

HALVES = {"instances": [[1, 2]]}


def held(path: Path) -> dict[str, Any]:
    """A request that the engine works on until a file stands at the path."""
    return {"signature_name": "hold", "instances": [str(path)]}


def test_a_large_body_is_refused_before_it_is_in_memory(start_rest: Callable[..., Rest]) -> None:
    rest = start_rest(RestParameters(max_body_bytes=1000))
    assert rest.predict(b" " * 950 + json.dumps(HALVES).encode()).status == 200
    for body, headers in ((b" " * 1001, {}), (gzip.compress(b" " * 10_000_000)[:900], {"content_encoding": "gzip"})):
        reply = rest.predict(body, **headers)
        assert (reply.status, reply.error) == (413, "The request is larger than 1000 bytes, the most allowed.")
    with socket.create_connection(("127.0.0.1", rest.port), 10) as connection:  # no length is announced
        connection.sendall(b"POST /v1/models/types:predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(2000):
                connection.sendall(b"64\r\n" + b" " * 100 + b"\r\n")
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_body_packed_in_a_way_that_is_not_read_is_refused(rest: Rest) -> None:
    body = json.dumps(HALVES).encode()
    for encoding, status in (("br", 415), ("deflate", 415), ("identity", 200)):
        reply = rest.predict(body, content_encoding=encoding)
        assert reply.status == status, encoding
        if status == 415:
            assert reply.error == f"Content-Encoding {encoding} is not read. Send gzip, or plain JSON."


@pytest.mark.parametrize(
    ("sent", "guess"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "a gRPC client, it seems: give it the port of --port"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "a client that speaks TLS, it seems"),
        (b"hello\r\n\r\n", "Invalid HTTP request received"),
    ],
    ids=["grpc", "tls", "neither"],
)
def test_the_log_names_who_sends_no_http_and_says_it_once(
    caplog: pytest.LogCaptureFixture, sent: bytes, guess: str
) -> None:
    async def ask(port: int) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert (await reader.read(12)) == b"HTTP/1.1 400"
        writer.close()
        return "{}:{}".format(*writer.get_extra_info("sockname"))

    async def attack() -> str:
        server = RestServer(None, port=0)
        port = await server.start()
        peers = [await ask(port) for _ in range(20)]
        assert server.unreadable == len(peers)
        await server.stop(5)
        return peers[0]

    first = asyncio.run(attack())
    assert [message.partition(" sent")[0] for message in caplog.messages] == [first]
    assert guess in caplog.text


def test_a_request_that_takes_too_long_is_a_gateway_timeout(start_rest: Callable[..., Rest], tmp_path: Path) -> None:
    rest = start_rest(RestParameters(timeout_seconds=0.3))
    reply = rest.predict(held(tmp_path / "go"), "sample")
    (tmp_path / "go").touch()
    assert reply.status == 504
    assert "error" in reply.json


def test_other_sites_may_ask_only_where_that_is_allowed(rest: Rest, start_rest: Callable[..., Rest]) -> None:
    allowing = start_rest(RestParameters(cors=True))
    preflight = allowing.ask("OPTIONS", "/v1/models/types:predict", origin="https://a.example")
    assert preflight.status == 200
    for reply in (preflight, allowing.predict(HALVES), allowing.predict({})):
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["access-control-allow-methods"] == "POST, GET"
        assert reply.headers["access-control-allow-headers"] == "Content-Type"
    refused = allowing.ask("OPTIONS", "/v1/models/types:predict")
    assert (refused.status, refused.error) == (400, "Origin header is missing in CORS preflight")
    assert "access-control-allow-origin" not in rest.predict(HALVES).headers


def test_signatures_are_asked_once_and_again_when_a_new_version_has_others(
    start_rest: Callable[..., Rest], tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    store.put("swap", 1, export_one_input(tmp_path / "1", "old", "float32"))
    rest = start_rest(store=store)
    for _ in range(2):
        assert rest.predict({"instances": [1.5]}, "swap").json == {"predictions": [3.0]}
    assert [call.method for call in rest.asked] == ["GetModelMetadata", "Predict", "Predict"]
    # Named otherwise and of another type: what is remembered would send the wrong message.
    store.put("swap", 2, export_one_input(tmp_path / "2", "new", "int64"))
    rest.poll()
    assert rest.predict({"instances": [2]}, "swap").json == {"predictions": [4]}
    assert rest.predict({"instances": [{"new": 2}]}, "swap").json == {"predictions": [4]}
    # Refused on the grounds of what is remembered: not without having looked.
    asked = len(rest.asked)
    assert rest.predict({"instances": ["a"]}, "swap").error.endswith("is not of expected type: int64")
    assert [call.method for call in rest.asked[asked:]] == ["GetModelMetadata"]
    store.put("swap", 3, export_one_input(tmp_path / "3", "new", "string"))
    rest.poll()
    assert rest.predict({"instances": ["a"]}, "swap").json == {"predictions": ["aa"]}


def test_what_an_op_says_of_the_data_is_kept_whole(start_rest: Callable[..., Rest], tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.put("refusing", 1, export_refusing(tmp_path / "1"))
    rest = start_rest(store=store)
    compared = rest.predict({"instances": [[1, 500]]}, "refusing").error
    assert compared.startswith("assertion failed: [x too big] [Condition x < y did not hold element-wise:] [x (")
    assert "] [[1 500]] [" in compared
    assert compared.endswith("[100]")
    told = rest.predict({"signature_name": "told", "instances": [[1, 500]]}, "refusing")
    assert told.error == "a number in [0, 100) is wanted"
    number = rest.predict({"signature_name": "number", "instances": ["[[a"]}, "refusing")
    assert number.error == "StringToNumberOp could not correctly convert string: [[a"


def test_calls_carry_headers_endpoint_deadline_and_id(rest: Rest) -> None:
    rest.predict(HALVES, authorization="Bearer t", x_request_id="id-1")
    call = rest.asked[-1]
    assert (call.method, call.entrypoint, call.request_id) == ("Predict", "REST", "id-1")
    assert call.metadata["authorization"] == "Bearer t"
    assert call.deadline is not None


def test_stopping_lets_requests_in_flight_finish(rest_store: Store, tmp_path: Path) -> None:
    rest = Rest(rest_store)
    replies: list[Any] = []
    asking = threading.Thread(target=lambda: replies.append(rest.predict(held(tmp_path / "go"), "sample")))
    asking.start()
    until((tmp_path / "go.running").exists)
    stopping = threading.Thread(target=rest.stop, args=(30,))
    stopping.start()

    def refused() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", rest.port), 1):
            return False
        return True

    until(refused)
    assert not replies
    (tmp_path / "go").touch()
    asking.join(30)
    stopping.join(30)
    assert replies[0].status == 200


def test_https(start_rest: Callable[..., Rest], tmp_path: Path) -> None:
    authority = Authority()
    server = authority.issue()
    rest = start_rest(tls=tls.server_context(tls.Certificates(server.key, server.certificate, b""), "http/1.1"))
    trusting = ssl.create_default_context(cadata=authority.certificate.decode())
    connection = http.client.HTTPSConnection("127.0.0.1", rest.port, timeout=30, context=trusting)
    connection.request("GET", "/v1/models/types")
    assert connection.getresponse().status == 200
    connection.close()


def test_a_port_in_use_is_reported(rest: Rest) -> None:
    with pytest.raises(UserError, match=f"--rest_api_port {rest.port}: cannot listen"):
        asyncio.run(RestServer(None, port=rest.port).start())


@pytest.mark.parametrize(
    "begun",
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /v1/models/types:predict HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
    ],
)
@pytest.mark.parametrize("more", [b"a: b\r\n", b"a"])
def test_heads_and_trailers_without_end_are_cut_off(rest: Rest, begun: bytes, more: bytes) -> None:
    with socket.create_connection(("127.0.0.1", rest.port), timeout=30) as connection:
        connection.sendall(begun)
        with contextlib.suppress(ConnectionError):
            for _ in range(2000):
                connection.sendall(more * 10_000)
            raise AssertionError("all of it was taken")


def test_the_time_to_answer_begins_when_the_request_is_there(start_rest: Callable[..., Rest]) -> None:
    rest = start_rest(RestParameters(timeout_seconds=0.5))
    body = json.dumps(HALVES).encode()
    with socket.create_connection(("127.0.0.1", rest.port), timeout=30) as connection:
        head = f"POST /v1/models/types:predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:5])
        time.sleep(0.7)
        connection.sendall(body[5:])
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_who_never_says_what_to_do_is_let_go(start_rest: Callable[..., Rest]) -> None:
    rest = start_rest(RestParameters(connections=ConnectionLimits(head_seconds=0.05, body_seconds=0.05)))
    post = b"POST /v1/models/types:predict HTTP/1.1\r\nHost: a\r\n"
    for begun in (
        b"",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /v1 HTTP/1.1\r\n",
        post + b"Content-Length: 9\r\n\r\n",
        post + b"Content-Length: 9\r\n\r\n{",
        post + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ):
        with socket.create_connection(("127.0.0.1", rest.port), timeout=30) as connection:
            connection.sendall(begun)
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(65536):
                    pass


def test_a_slow_answer_is_no_pause(start_rest: Callable[..., Rest], tmp_path: Path) -> None:
    rest = start_rest(RestParameters(connections=ConnectionLimits(body_seconds=0.1)))
    body, next_body = json.dumps(held(tmp_path / "go")).encode(), b" " * 200_000 + json.dumps(HALVES).encode()
    head = "POST /v1/models/{}:predict HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", rest.port), timeout=30) as connection:
        connection.sendall(head.format("sample", len(body)).encode() + body)
        until((tmp_path / "go.running").exists)
        connection.sendall(head.format("types", len(next_body)).encode() + next_body[:150_000])
        time.sleep(0.2)
        (tmp_path / "go").touch()
        connection.sendall(next_body[150_000:])
        received = b""
        while received.count(b"HTTP/1.1 200") < 2:
            more = connection.recv(65536)
            assert more, received
            received += more


def test_too_many_connections_are_closed(start_rest: Callable[..., Rest]) -> None:
    rest = start_rest(RestParameters(connections=ConnectionLimits(connections=1)))
    with socket.create_connection(("127.0.0.1", rest.port), timeout=30) as first:
        first.sendall(b"GET ")
        with socket.create_connection(("127.0.0.1", rest.port), timeout=30) as second:
            answer = b""
            with contextlib.suppress(ConnectionError):
                second.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                answer = second.recv(1)
            assert answer == b""
        first.sendall(b"/ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert first.recv(12) == b"HTTP/1.1 200"


def test_bodies_that_are_being_read_are_bounded_together(
    start_rest: Callable[..., Rest],
) -> None:
    rest = start_rest(RestParameters(max_body_bytes=1000, max_held_bytes=2000))
    body = b" " * 300 + json.dumps(HALVES).encode()
    assert rest.predict(body).status == 200
    with socket.create_connection(("127.0.0.1", rest.port), timeout=30) as slow:
        slow.sendall(b"POST /v1/models/types:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n" + b" " * 800)
        reply = until(lambda: (reply := rest.predict(body)).status != 200 and reply)
        assert (reply.status, reply.error) == (429, "the server holds too many unfinished requests")
        assert b'request_count{model_name="types",status="RESOURCE_EXHAUSTED"}' in rest.metrics.exposition()
    until(lambda: rest.predict(body).status == 200)


def test_who_is_unknown_is_refused_before_the_body_is_read(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.touch(0o600)
    tokens.write_text("app:0123456789abcdef\n")
    metrics = Metrics()
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
    status, body = asyncio.run(answer_to(head, Dispatcher({}, metrics=metrics, auth=Auth(tokens)), metrics))
    assert (status, body) == (401, {"error": "No token. Send `authorization: Bearer TOKEN`"})
    assert b'request_count{model_name="m",status="UNAUTHENTICATED"} 1\n' in metrics.exposition()


async def answer_to(request: bytes, dispatcher: Dispatcher, metrics: Metrics) -> tuple[int, Any]:
    """Status and body that a dispatcher answers with by REST."""
    server = RestServer(RestApplication(dispatcher, list, metrics), port=0)
    port = await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(30):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        body = await reader.readexactly(length)
    writer.close()
    await server.stop(1)
    return int(head.split()[1]), json.loads(body)


def test_metrics_are_where_the_configuration_says(rest: Rest, start_rest: Callable[..., Rest], tmp_path: Path) -> None:
    rest.predict({})
    page = rest.ask("GET", "/monitoring/prometheus/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    assert b':tensorflow:serving:request_count{model_name="types",status="INVALID_ARGUMENT"}' in page.body
    config = tmp_path / "monitoring.config"
    config.write_text('prometheus_config { enable: true path: "/metrics" }')
    elsewhere = start_rest(RestParameters(metrics_path=metrics_path(config)))
    assert elsewhere.ask("GET", "/metrics").status == 200
    assert elsewhere.ask("GET", "/monitoring/prometheus/metrics").status == 404
    config.write_text("prometheus_config { }")
    assert metrics_path(config) is None
    assert metrics_path(None) == "/monitoring/prometheus/metrics"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("INVALID_ARGUMENT", 400), ("FAILED_PRECONDITION", 400), ("OUT_OF_RANGE", 400), ("UNAUTHENTICATED", 401),
        ("PERMISSION_DENIED", 403), ("NOT_FOUND", 404), ("ABORTED", 409), ("ALREADY_EXISTS", 409),
        ("RESOURCE_EXHAUSTED", 429), ("CANCELLED", 499), ("UNKNOWN", 500), ("INTERNAL", 500), ("DATA_LOSS", 500),
        ("UNIMPLEMENTED", 501), ("UNAVAILABLE", 503), ("DEADLINE_EXCEEDED", 504), ("a bug", 500),
    ],
)  # fmt: skip
def test_codes_are_http_statuses(code: str, status: int) -> None:
    async def refuse(message: bytes, call: Call) -> bytes:
        if code == "a bug":
            raise RuntimeError("secret")
        raise StatusError(grpc.StatusCode[code], "why")

    message = "Internal error; the server's log says more." if code == "a bug" else "why"
    asked = answer_to(b"GET /v1/models/m HTTP/1.1\r\nHost: a\r\n\r\n", Dispatcher({STATUS: refuse}), Metrics())
    assert asyncio.run(asked) == (status, {"error": message})
