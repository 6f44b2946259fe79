"""TLS over real sockets: gRPC's own client before our server."""

import asyncio
import contextlib
import json
import os
import socket
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.serving.certificates import Authority, Identity
from tests.serving.http2.peers import HELLO, echo_of, request
from unroll.errors import UserError
from unroll.serving.front import tls
from unroll.serving.http2 import GrpcLimits, GrpcServer, grpc_server
from unroll.serving.protocol.call import Call, Method
from unroll.serving.rest import RestServer

AUTHORITY = Authority()
SERVER = AUTHORITY.issue()
CLIENT = AUTHORITY.issue("client")


def ssl_config(file: Path, identity: Identity = SERVER, **fields: str | bool) -> Path:
    values: dict[str, str | bool] = {
        "server_key": identity.key.decode(),
        "server_cert": identity.certificate.decode(),
        **fields,
    }
    file.write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in values.items()))
    return file


def server_context(folder: Path) -> ssl.SSLContext:
    return tls.server_context(tls.read_ssl_config(ssl_config(folder / "ssl.pbtxt")), "h2")


async def echo(message: bytes, _call: Call) -> bytes:
    return message


async def started(context: ssl.SSLContext, answer: Method = echo, **limits: int) -> tuple[GrpcServer, int]:
    """Our gRPC server, and its port."""
    server = GrpcServer(answer, {}, GrpcLimits(**limits))
    return server, await server.listen("127.0.0.1", 0, context)


@contextlib.asynccontextmanager
async def echo_over(context: ssl.SSLContext, **limits: int) -> AsyncIterator[int]:
    """One that says what it is sent, and has room for two unless `limits` say otherwise; gives the port."""
    server, port = await started(context, **{"max_connections": 2, **limits})
    yield port
    await server.stop(1)


async def say(port: int, credentials: grpc.ChannelCredentials) -> bytes:
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        return await channel.unary_unary("/tests.Echo/Say")(b"hello", timeout=10)


async def test_a_grpc_client_is_answered_if_it_trusts_the_authority(tmp_path):
    certificates = tls.read_ssl_config(ssl_config(tmp_path / "ssl.pbtxt"))
    async with echo_over(tls.server_context(certificates, "h2")) as port:
        assert await say(port, grpc.ssl_channel_credentials(AUTHORITY.certificate)) == b"hello"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await say(port, grpc.ssl_channel_credentials(Authority("another").certificate))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_with_client_verify_a_client_must_show_a_certificate_of_the_authority(tmp_path):
    config = ssl_config(tmp_path / "ssl.pbtxt", custom_ca=AUTHORITY.certificate.decode(), client_verify=True)
    stranger = Authority("another").issue("client")
    async with echo_over(tls.server_context(tls.read_ssl_config(config), "h2")) as port:

        def credentials(*shown: bytes) -> grpc.ChannelCredentials:
            return grpc.ssl_channel_credentials(AUTHORITY.certificate, *shown)

        assert await say(port, credentials(CLIENT.key, CLIENT.certificate)) == b"hello"
        for refused in (credentials(), credentials(stranger.key, stranger.certificate)):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await say(port, refused)
            assert error.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
async def test_the_protocol_is_agreed_upon_and_old_versions_are_refused(tmp_path, protocol):
    context = tls.server_context(tls.read_ssl_config(ssl_config(tmp_path / "ssl.pbtxt")), protocol)
    client = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
    client.set_alpn_protocols(["spdy", protocol])
    async with echo_over(context) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
        spoken = writer.get_extra_info("ssl_object")
        assert spoken.selected_alpn_protocol() == protocol
        assert spoken.version() == "TLSv1.3"
        writer.close()
        client.minimum_version = ssl.TLSVersion.TLSv1
        client.maximum_version = ssl.TLSVersion.TLSv1_1
        client.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=client)


def test_the_one_line_of_the_documentation_makes_a_configuration(tmp_path):
    (tmp_path / "server.key").write_bytes(SERVER.key)
    (tmp_path / "server.crt").write_bytes(SERVER.certificate)
    page = (Path(__file__).parents[3] / "docs" / "clients.md").read_text()
    line = next(line for line in page.splitlines() if "server_key:" in line)
    subprocess.run(["sh", "-c", line.strip()], cwd=tmp_path, check=True)
    assert tls.read_ssl_config(tmp_path / "ssl.pbtxt") == tls.Certificates(SERVER.key, SERVER.certificate)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"server_key": ""}, "has no server_key"),
        ({"server_key": "/etc/tls/server.key"}, "server_key holds no key in PEM. Put the text itself there"),
        (
            {"server_cert": "no certificate"},
            "server_cert holds no certificate in PEM. Put the text itself there .*",
        ),
        ({"server_key": CLIENT.key.decode()}, "server_cert was made for another key"),
        ({"server_cert": ""}, "has no server_cert"),
        ({"client_verify": True}, "has no custom_ca"),
        ({"client_verify": True, "custom_ca": "?"}, "custom_ca holds no certificate in PEM"),
        ({"server_crt": ""}, r"--ssl_config_file .*/ssl.pbtxt:3: .*server_crt.*whose fields are: server_key,"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said_in_one_line(tmp_path, fields, said):
    with pytest.raises(UserError, match=said) as refused:
        tls.read_ssl_config(ssl_config(tmp_path / "ssl.pbtxt", **fields))
    assert "\n" not in str(refused.value)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize(("days", "said"), [((-9, -2), "has expired on 20"), ((2, 9), "is valid from 20")])
def test_a_certificate_out_of_its_time_is_refused_at_the_start(tmp_path, days, said):
    with pytest.raises(UserError, match=said):
        tls.read_ssl_config(ssl_config(tmp_path / "ssl.pbtxt", AUTHORITY.issue(days=days)))


def test_a_key_with_a_password_and_a_missing_file_are_named(tmp_path):
    locked = subprocess.run(
        ["openssl", "pkey", "-aes128", "-passout", "pass:secret"], input=SERVER.key, capture_output=True, check=True
    )
    with pytest.raises(UserError, match="server_key has a password"):
        tls.read_ssl_config(ssl_config(tmp_path / "ssl.pbtxt", server_key=locked.stdout.decode()))
    with pytest.raises(UserError, match="none: cannot be read"):
        tls.read_ssl_config(tmp_path / "none")


async def test_who_never_ends_the_handshake_is_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(grpc_server, "_HANDSHAKE_SECONDS", 0.1)
    certificates = tls.read_ssl_config(ssl_config(tmp_path / "ssl.pbtxt"))
    async with echo_over(tls.server_context(certificates, "h2")) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(20):
            assert await reader.read(-1) == b""
        writer.close()


async def test_who_ends_the_handshake_while_the_server_drains_is_drained_too(tmp_path):
    held = asyncio.Event()

    async def hold(message: bytes, _call: Call) -> bytes:
        held.set()
        await asyncio.sleep(60)
        return message

    server, port = await started(server_context(tmp_path), hold)
    context = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
    context.set_alpn_protocols(["h2"])
    credentials = grpc.ssl_channel_credentials(AUTHORITY.certificate)
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        asked = asyncio.ensure_future(channel.unary_unary("/tests.Echo/Say")(b"hello", timeout=60).code())
        await held.wait()
        late = socket.create_connection(("127.0.0.1", port))
        await asyncio.sleep(0.1)  # accepted
        stopping = asyncio.ensure_future(server.stop(5))
        await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection(sock=late, ssl=context, server_hostname="localhost")
        async with asyncio.timeout(20):
            received = b""
            while b"draining" not in received:
                data = await reader.read(65536)
                assert data
                received += data
        writer.close()
        assert await asked is grpc.StatusCode.UNAVAILABLE
        await asyncio.wait_for(stopping, 20)


async def test_a_drain_waits_for_the_call_of_a_handshake_that_ends_meanwhile(tmp_path):
    server, port = await started(server_context(tmp_path))
    late = socket.create_connection(("127.0.0.1", port))
    async with asyncio.timeout(20):
        while not server.usage.peers:
            await asyncio.sleep(0.01)
    stopping = asyncio.ensure_future(server.stop(20))
    await asyncio.sleep(0)
    context = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(sock=late, ssl=context, server_hostname="localhost")
    writer.write(HELLO + request())
    await echo_of(reader, b"hello")
    writer.close()
    await asyncio.wait_for(stopping, 20)


def in_place(file: Path, text: str) -> None:
    """Of the same size, and the time that it had."""
    before = file.stat()
    file.write_text(text)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def by_rename(file: Path, text: str) -> None:
    new = file.with_name("new")
    new.write_text(text)
    new.rename(file)


def by_link(file: Path, text: str) -> None:
    """As Kubernetes renews a secret: the file is a link through a folder that is a link, and that is swapped."""
    folder = Path(tempfile.mkdtemp(prefix="..", dir=file.parent))
    (folder / file.name).write_text(text)
    (file.parent / "..data_tmp").symlink_to(folder.name)
    (file.parent / "..data_tmp").rename(file.parent / "..data")
    if not file.is_symlink():
        file.unlink(missing_ok=True)
        file.symlink_to(f"..data/{file.name}")


@pytest.fixture
def always_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unroll.serving.files.followed_file.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("unroll.serving.files.followed_file._SOON_SECONDS", 0.0)


@contextlib.asynccontextmanager
async def rest_over(context: ssl.SSLContext) -> AsyncIterator[int]:
    """Our REST server, which says nothing; gives the port."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    server = RestServer(app, "127.0.0.1", 0, tls=context)
    yield await server.start()
    await server.stop(1)


async def shown(port: int, protocol: str, trusted: bytes = AUTHORITY.certificate, client: Path | None = None) -> bytes:
    """The certificate that a new connection meets, DER."""
    context = ssl.create_default_context(cadata=trusted.decode())
    context.set_alpn_protocols([protocol])
    if client:
        context.load_cert_chain(client)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
        if protocol == "h2"
        else b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert await reader.read(1), "refused"  # TLS 1.3 tells a client only then
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return certificate


def der(identity: Identity) -> bytes:
    return ssl.PEM_cert_to_DER_cert(identity.certificate.decode())


@pytest.mark.parametrize("renew", [in_place, by_rename, by_link])
@pytest.mark.parametrize(("protocol", "serve"), [("h2", echo_over), ("http/1.1", rest_over)])
async def test_a_renewed_certificate_is_shown_to_new_connections(tmp_path, always_looking, protocol, serve, renew):
    file = ssl_config(tmp_path / "ssl.pbtxt")
    renew(file, file.read_text())
    async with serve(tls.server_context(tls.read_ssl_config(file), protocol)) as port:
        assert await shown(port, protocol) == der(SERVER)
        for number in range(2):
            renewed = AUTHORITY.issue()
            renew(file, ssl_config(tmp_path / "text", renewed).read_text())
            assert await shown(port, protocol) == der(renewed), number


async def test_one_renewed_between_the_reading_and_the_listening_is_shown(tmp_path, always_looking):
    certificates = tls.read_ssl_config(ssl_config(tmp_path / "ssl.pbtxt"))
    renewed = AUTHORITY.issue()
    ssl_config(tmp_path / "ssl.pbtxt", renewed)
    async with echo_over(tls.server_context(certificates, "h2")) as port:
        assert await shown(port, "h2") == der(renewed)


async def test_connections_stay_when_the_certificate_is_renewed(tmp_path, always_looking):
    file = ssl_config(tmp_path / "ssl.pbtxt")
    async with echo_over(tls.server_context(tls.read_ssl_config(file), "h2")) as port:
        credentials = grpc.ssl_channel_credentials(AUTHORITY.certificate)
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
            ask = channel.unary_unary("/tests.Echo/Say")
            assert await ask(b"before", timeout=10) == b"before"
            another = Authority("another")
            ssl_config(file, another.issue())
            assert await say(port, grpc.ssl_channel_credentials(another.certificate)) == b"hello"
            assert await ask(b"after", timeout=10) == b"after"


@pytest.mark.parametrize(
    "broken",
    [
        lambda file: file.write_text(""),
        lambda file: file.write_text(file.read_text()[:700]),
        lambda file: ssl_config(file, AUTHORITY.issue(days=(-9, -2))),
        lambda file: ssl_config(file, server_key=CLIENT.key.decode()),
        lambda file: file.unlink(),
        lambda file: (file.unlink(), os.mkfifo(file)),
    ],
    ids=["empty", "cut", "expired", "other key", "deleted", "FIFO"],
)
async def test_a_broken_renewal_keeps_the_certificate_and_says_so_once(tmp_path, always_looking, caplog, broken):
    file = ssl_config(tmp_path / "ssl.pbtxt")
    async with echo_over(tls.server_context(tls.read_ssl_config(file), "h2")) as port:
        broken(file)
        for _ in range(3):
            assert await shown(port, "h2") == der(SERVER)
        (said,) = [record.message for record in caplog.records if record.levelname == "ERROR"]
        assert said.startswith(f"--ssl_config_file {file}")
        assert said.endswith(". New connections have the certificate from before.")
        assert "PRIVATE" not in said
        file.unlink(missing_ok=True)
        renewed = AUTHORITY.issue()
        ssl_config(file, renewed)
        assert await shown(port, "h2") == der(renewed)


async def test_another_authority_of_clients_counts_for_new_connections(tmp_path, always_looking):
    another = Authority("another")
    pems = {}
    for name, identity in (("old", CLIENT), ("new", another.issue("client"))):
        pems[name] = tmp_path / f"{name}.pem"
        pems[name].write_bytes(identity.key + identity.certificate)
    fields = {"custom_ca": AUTHORITY.certificate.decode(), "client_verify": True}
    file = ssl_config(tmp_path / "ssl.pbtxt", **fields)
    async with echo_over(tls.server_context(tls.read_ssl_config(file), "h2")) as port:
        assert await shown(port, "h2", client=pems["old"]) == der(SERVER)
        for client in (pems["new"], None):
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                await shown(port, "h2", client=client)
        ssl_config(file, **(fields | {"custom_ca": another.certificate.decode()}))
        assert await shown(port, "h2", client=pems["new"]) == der(SERVER)
        for client in (pems["old"], None):
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                await shown(port, "h2", client=client)
        ssl_config(file)
        assert await shown(port, "h2") == der(SERVER)


async def test_who_is_at_the_handshake_takes_a_slot_among_the_connections_of_its_address(tmp_path):
    async with echo_over(server_context(tmp_path), max_connections=8) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)) for _ in range(7)]
        closed = [asyncio.ensure_future(reader.read()) for reader, _ in silent]
        async with asyncio.timeout(5):
            await asyncio.wait(closed, return_when=asyncio.FIRST_COMPLETED)
        assert await say(port, grpc.ssl_channel_credentials(AUTHORITY.certificate)) == b"hello"
        async with asyncio.timeout(5):
            await asyncio.wait(closed)  # connections are running short, and these are those that say nothing
        for _, writer in silent:
            writer.close()


async def test_a_drain_does_not_wait_for_who_says_nothing_at_the_handshake(tmp_path):
    server, port = await started(server_context(tmp_path))
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await say(port, grpc.ssl_channel_credentials(AUTHORITY.certificate)) == b"hello"
    await asyncio.wait_for(server.stop(60), 5)
    writer.close()


async def test_every_one_of_many_who_come_at_once_is_answered(tmp_path):
    async with echo_over(server_context(tmp_path), max_connections=4096) as port:
        for _ in range(4):
            async with asyncio.timeout(20):
                assert await asyncio.gather(*(shown(port, "h2") for _ in range(25))) == [der(SERVER)] * 25
