"""The server behind a proxy, and asked by curl: what is strict about it, they do not run into."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.serving.http2.peers import prefixed
from tests.serving_fixtures import until
from unroll.serving.server.ports import free_port

CODE = grpc.StatusCode


def listens(port: int) -> bool:
    with socket.socket() as client:
        return not client.connect_ex(("127.0.0.1", port))


@pytest.fixture(scope="module")
def channel(echo_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    """A client of nghttpx, which asks the server."""
    if not shutil.which("nghttpx"):
        pytest.skip("needs nghttpx, of Debian's nghttp2-proxy")
    port = free_port()
    empty = tmp_path_factory.mktemp("nghttpx") / "empty.conf"
    empty.touch()
    command = [
        *("nghttpx", f"--conf={empty}", "--workers=1", f"--frontend=127.0.0.1,{port};no-tls"),
        *(f"--backend=127.0.0.1,{echo_port};;proto=h2", "--errorlog-file=/dev/null", "--accesslog-file=/dev/null"),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as proxy:
        until(lambda: listens(port))
        with grpc.insecure_channel(f"127.0.0.1:{port}") as opened:
            yield opened
        assert proxy.poll() is None
        proxy.terminate()


def test_many_calls_by_a_proxy(channel: grpc.Channel) -> None:
    echo = channel.unary_unary("/test.Service/Echo")
    calls = {number: echo.future(b"%d" % number * 1000, timeout=20) for number in range(300)}
    assert all(call.result() == b"%d" % number * 1000 for number, call in calls.items())


def test_a_large_message_by_a_proxy(channel: grpc.Channel) -> None:
    message = bytes(range(256)) * 8000
    assert channel.unary_unary("/test.Service/Echo")(message, timeout=20) == message


def test_refusals_deadlines_and_cancelled_calls_by_a_proxy(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary("/test.Service/Fail")(b"in the set {z}, or ", timeout=20)
    assert (refused.value.code(), refused.value.details()) == (CODE.INVALID_ARGUMENT, "in the set {z}, or ")
    hold, held = channel.unary_unary("/test.Service/Hold"), channel.unary_unary("/test.Service/Held")
    with pytest.raises(grpc.RpcError) as late:
        hold(b"", timeout=0.2)
    assert late.value.code() is CODE.DEADLINE_EXCEEDED
    waiting = hold.future(b"", timeout=20)
    until(lambda: held(b"", timeout=20).startswith(b"1 "))
    waiting.cancel()
    until(lambda: held(b"", timeout=20).startswith(b"0 "))


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
@pytest.mark.parametrize(("method", "answer", "status"), [("Echo", prefixed(b"hello"), b"0"), ("Fail", b"", b"3")])
def test_curl_is_answered(echo_port: int, tmp_path: Path, method: str, answer: bytes, status: bytes) -> None:
    (tmp_path / "body").write_bytes(prefixed(b"hello"))
    shown = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--http2-prior-knowledge", "--max-time", "20", "--dump-header"),
            *(str(tmp_path / "headers"), "--header", "content-type: application/grpc", "--header", "te: trailers"),
            *("--data-binary", f"@{tmp_path / 'body'}", f"http://127.0.0.1:{echo_port}/test.Service/{method}"),
        ],
        capture_output=True,
    )
    assert (shown.returncode, shown.stdout) == (0, answer), shown.stderr
    headers = (tmp_path / "headers").read_bytes()
    assert headers.startswith(b"HTTP/2 200")
    assert re.search(rb"(?m)^grpc-status: (\d+)", headers)[1] == status  # type: ignore[index]
