"""What a client may leave unfinished, and for how long; offers of other protocols; stopping."""

import asyncio
import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rest_fixtures import Rest
from tests.serving.certificates import Authority
from tests.serving_fixtures import until
from unroll.serving.front import tls
from unroll.serving.rest import ConnectionLimits, RestParameters, RestServer
from unroll.serving.versions.store import Store

BODY = json.dumps({"instances": [[1, 2]]}).encode()
POST = b"POST /v1/models/types:predict HTTP/1.1\r\nHost: a\r\n"
WHOLE = POST + b"Content-Length: %d\r\n" % len(BODY)
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
AUTHORITY = Authority()
ISSUED = AUTHORITY.issue()
TLS = tls.server_context(tls.Certificates(ISSUED.key, ISSUED.certificate, b""), "http/1.1")
TRUSTING = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
HELLO = b"\x16\x03\x01"  # the beginning of one


@contextlib.contextmanager
def connected(rest: Rest, *parts: bytes) -> Iterator[socket.socket]:
    """A connection that has sent these parts, one a packet."""
    with socket.create_connection(("127.0.0.1", rest.port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
            time.sleep(0.01)
        yield connection


@contextlib.contextmanager
def secured(rest: Rest) -> Iterator[socket.socket]:
    with connected(rest) as plain, TRUSTING.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        yield connection


def received(connection: socket.socket, answers: int = 1) -> bytes:
    """What comes until there are so many predictions, or the server closes."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while data.count(b"predictions") < answers and (more := connection.recv(65536)):
            data += more
    return data


@pytest.fixture(scope="module")
def hasty(rest_store: Store) -> Iterator[Rest]:
    """A server that waits for nobody for long."""
    limits = ConnectionLimits(
        head_seconds=0.3, body_seconds=0.3, answer_seconds=0.3, idle_seconds=0.3, bytes_per_second=200
    )
    running = Rest(rest_store, RestParameters(connections=limits))
    yield running
    running.stop()


@pytest.mark.parametrize("begun", [POST, WHOLE + b"\r\n", POST + b"Transfer-Encoding: chunked\r\n\r\n"])
def test_a_byte_now_and_then_keeps_no_request_open(hasty: Rest, begun: bytes) -> None:
    start = time.monotonic()
    with connected(hasty, begun) as connection:
        connection.settimeout(0.05)
        answer = None
        trickle = b"1\r\n \r\n" if b"chunked" in begun else b"a"
        while answer is None and time.monotonic() < start + 20:
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(65536)
            with contextlib.suppress(OSError):
                connection.send(trickle)
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 408")


def test_a_slow_but_steady_body_is_waited_for(hasty: Rest) -> None:
    with connected(hasty, POST + b"Content-Length: 1000\r\n\r\n") as connection:
        for sent in range(0, 1000, 100):
            connection.sendall(BODY.ljust(1000)[sent : sent + 100])
            time.sleep(0.06)
        assert received(connection).startswith(b"HTTP/1.1 200")


def test_who_does_not_take_the_answers_is_cut_off(hasty: Rest) -> None:
    body = json.dumps({"signature_name": "raw", "instances": ["a" * 400_000]}).encode()
    request = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", hasty.port))
        with pytest.raises(ConnectionError):
            connection.sendall(request * 200)


def test_idle_connections_are_closed(hasty: Rest) -> None:
    with connected(hasty, WHOLE + b"\r\n" + BODY) as connection:
        assert received(connection, 2).count(b"predictions") == 1


def test_a_peer_has_a_share_of_the_connections(start_rest: Callable[..., Rest]) -> None:
    rest = start_rest(RestParameters(connections=ConnectionLimits(connections_per_peer=2)))
    with connected(rest) as silent, connected(rest, POST) as begun:

        def let_in() -> bool:
            with connected(rest, WHOLE + b"\r\n" + BODY) as third:
                return received(third).startswith(b"HTTP/1.1 200")

        assert not let_in()  # the silent one may be about to ask
        until(let_in)
        assert silent.recv(1) == b""
        begun.sendall(b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
        assert received(begun).startswith(b"HTTP/1.1 200")


def test_a_silent_tls_handshake_is_cut_off(start_rest: Callable[..., Rest]) -> None:
    limits = RestParameters(connections=ConnectionLimits(handshake_seconds=0.2))
    rest = start_rest(limits, tls=TLS)
    for said in (b"", HELLO):
        with connected(rest, said) as connection:
            assert received(connection) == b""


def test_who_is_at_the_tls_handshake_takes_a_slot_among_the_connections_of_its_address(
    start_rest: Callable[..., Rest],
) -> None:
    limits = ConnectionLimits(connections_per_peer=2, handshake_seconds=60)
    rest = start_rest(RestParameters(connections=limits), tls=TLS)
    with connected(rest) as silent, connected(rest, HELLO):

        def let_in() -> bool:
            with contextlib.suppress(OSError), secured(rest) as third:
                third.sendall(WHOLE + b"\r\n" + BODY)
                return received(third).startswith(b"HTTP/1.1 200")
            return False

        until(let_in)
        silent.settimeout(5)  # the handshake would have a minute
        assert received(silent) == b""


def test_who_speaks_no_tls_where_it_is_spoken_is_told(
    start_rest: Callable[..., Rest], caplog: pytest.LogCaptureFixture
) -> None:
    rest = start_rest(tls=TLS)
    for _ in range(20):
        with connected(rest, WHOLE + b"\r\n" + BODY) as connection:
            answer = received(connection)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert answer.endswith(b"\r\n\r\nThis port speaks HTTPS: ask https://.")
    assert caplog.messages == [f"127.0.0.1 speaks no TLS on port {rest.port}, which does"]


def test_who_trusts_the_server_not_is_told_of_once(
    start_rest: Callable[..., Rest], caplog: pytest.LogCaptureFixture
) -> None:
    rest = start_rest(tls=TLS)
    for _ in range(20):
        with connected(rest, HELLO + b"\0\5hello") as connection:
            received(connection)
    (said,) = caplog.messages
    assert said.startswith(f"127.0.0.1 failed at the TLS handshake on port {rest.port}: ")


async def test_stopping_leaves_no_handshake_behind() -> None:
    server = RestServer(None, port=0, tls=TLS)
    port = await server.start()
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
    for _, writer in silent[2:]:
        writer.write(HELLO)
    await asyncio.sleep(0.05)
    async with asyncio.timeout(8):  # a handshake may take ten
        await server.stop(30)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        for reader, writer in silent:
            assert await reader.read() == b""
            writer.close()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /openapi.json HTTP/1.1\r\n", b"400"),
        (b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nHost: a\r\n", b"400"),
        (b"GET /openapi.json HTTP/1.0\r\nHost: a\r\nhost: b\r\n", b"400"),
        (b"GET /openapi.json HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: a\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 0\r\n", b"400"),
        (b"GET /openapi.json HTTP/1.1\r\nHost:\r\n", b"200"),
        (b"GET /openapi.json HTTP/1.0\r\n", b"200"),
    ],
)
def test_a_request_names_its_host_once(
    rest: Rest, caplog: pytest.LogCaptureFixture, head: bytes, status: bytes
) -> None:
    """RFC 9112, section 3.2."""
    with connected(rest, head + b"\r\n") as connection:
        assert connection.recv(12) == b"HTTP/1.1 " + status
    assert not [message for message in caplog.messages if "not read" in message and status == b"400"]


def test_a_client_that_is_to_come_back_is_told_so_with_an_answer(rest: Rest) -> None:
    with connected(rest, WHOLE + b"\r\n" + BODY) as connection:
        assert b"connection: close" not in received(connection)

        async def call_back() -> None:
            assert rest.server.connections >= 1
            rest.server.call_back(0.0)

        rest.run(call_back())
        with connected(rest, WHOLE + b"\r\n" + BODY) as newer:
            assert b"connection: close" not in received(newer)
        connection.sendall(WHOLE + b"\r\n" + BODY)
        answer = received(connection, answers=2)  # to the end
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer


@pytest.mark.parametrize("encrypted", [False, True])
def test_stopping_waits_for_no_client(rest_store: Store, encrypted: bool) -> None:
    rest = Rest(rest_store, tls=TLS if encrypted else None)
    with contextlib.ExitStack() as opened:
        for begun in (b"", b"GET ", WHOLE, WHOLE + b"\r\n" + BODY[:5], WHOLE + b"\r\n" + BODY):
            connection = opened.enter_context(connected(rest))
            if encrypted:
                connection = opened.enter_context(TRUSTING.wrap_socket(connection, server_hostname="127.0.0.1"))
            connection.sendall(begun)
        opened.enter_context(connected(rest))  # where TLS is spoken, in the middle of its handshake
        time.sleep(0.2)
        start = time.monotonic()
        rest.stop(30)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("offer", [H2C, b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"])
def test_offers_of_other_protocols_are_passed_over(rest: Rest, offer: bytes) -> None:
    request = WHOLE + offer + b"\r\n" + BODY
    chunked = POST + offer + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    got = b"GET /v1/models/types/metadata HTTP/1.1\r\nHost: a\r\n" + offer + b"\r\n"
    for parts in (
        (request,),
        (request[:60], request[60:-5], request[-5:]),
        (request + request, WHOLE + b"\r\n" + BODY),
        (chunked, chunked),
        (got + request,),
    ):
        with connected(rest, *parts) as connection:
            wanted = b"".join(parts).count(b":predict")
            answers = received(connection, wanted)
        assert answers.count(b"HTTP/1.1 200") == b"".join(parts).count(b"HTTP/1.1\r\n")
        assert answers.count(b'"predictions": [[0.5, 1.0]') == wanted


def test_many_offers_at_once_are_passed_over(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    offer = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n"
    with connected(rest, offer * 900 + WHOLE + b"\r\n" + BODY) as connection:
        assert received(connection).count(b"HTTP/1.1 200") == 901
    assert not caplog.records


def test_connect_is_refused(rest: Rest) -> None:
    with connected(rest, b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n") as connection:
        assert received(connection).startswith(b"HTTP/1.1 400")


def test_a_half_sent_body_is_no_reason_to_wait_when_a_request_runs(rest_store: Store, tmp_path: Path) -> None:
    rest = Rest(rest_store)
    replies: list[int] = []
    running = {"signature_name": "hold", "instances": [str(tmp_path / "go")]}
    asking = threading.Thread(target=lambda: replies.append(rest.predict(running, "sample").status))
    asking.start()
    until((tmp_path / "go.running").exists)
    with connected(rest, WHOLE + b"\r\n" + BODY[:5]) as half:
        stopping = threading.Thread(target=rest.stop, args=(30,))
        stopping.start()
        assert received(half) == b""
        (tmp_path / "go").touch()
        asking.join(30)
        stopping.join(30)
    assert replies == [200]
