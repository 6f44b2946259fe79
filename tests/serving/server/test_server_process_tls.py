"""TLS, mutual TLS and tokens at both endpoints of a server process."""

import json
import socket
import ssl
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.conftest import unroll
from tests.serving.certificates import Authority, Identity
from tests.serving_fixtures import Server, start_server, suggested, until
from unroll.serving.client.client import Client, ServingError
from unroll.serving.server.ports import free_port
from unroll.serving.versions.store import Store

AUTHORITY, STRANGER = Authority(), Authority("another")
SERVER, CLIENT = AUTHORITY.issue(), AUTHORITY.issue("client")
FOREIGN = STRANGER.issue("client")
ALL, OTHERS = "all-of-them-0123456789", "others-only-0123456789"
PREDICT = "/v1/models/m:predict"


def written(folder: Path, name: str, content: bytes | str) -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(0o600)
    return file


def ssl_config(folder: Path, name: str, mutual: bool, identity: Identity = SERVER) -> Path:
    values = {"server_key": identity.key.decode(), "server_cert": identity.certificate.decode()}
    if mutual:
        values["custom_ca"] = AUTHORITY.certificate.decode()
    lines = [f"{field}: {json.dumps(value)}\n" for field, value in values.items()]
    return written(folder, name, "".join(lines) + ("client_verify: true\n" if mutual else ""))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    for name, identity in (("client", CLIENT), ("foreign", FOREIGN)):
        written(folder, f"{name}.key", identity.key)
        written(folder, f"{name}.pem", identity.certificate)
    written(folder, "ca.pem", AUTHORITY.certificate)
    written(folder, "stranger.pem", STRANGER.certificate)
    return folder


@pytest.fixture(scope="module")
def secured(light_exports: dict[int, Path], folder: Path) -> Iterator[Server]:
    """`unroll serve`: mutual TLS for gRPC, TLS for REST, tokens for both."""
    Store(folder / "store").put("m", 1, light_exports[1])
    tokens = written(folder, "tokens", f"ops:{ALL}\nguest:{OTHERS}:n\n")
    rest_port = free_port()
    running = start_server(
        *("-m", "unroll", "serve", f"--home={folder / 'home'}", f"--store={folder / 'store'}", "--port=0"),
        f"--rest_api_port={rest_port}",
        f"--ssl_config_file={ssl_config(folder, 'grpc.txt', mutual=True)}",
        f"--rest_ssl_config_file={ssl_config(folder, 'rest.txt', mutual=False)}",
        f"--auth_tokens_file={tokens}",
    )
    assert running.port, running.text
    running.rest_port = rest_port
    yield running
    assert running.stop() == 0, running.text


def client(
    server: Server, folder: Path, shown: str | None = "client", ca: str = "ca", token: str | None = ALL
) -> Client:
    return Client(
        server.address,
        model="m",
        timeout=2,
        token=token,
        root_certificates=folder / f"{ca}.pem",
        client_certificate=folder / f"{shown}.pem" if shown else None,
        client_key=folder / f"{shown}.key" if shown else None,
    )


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.certificate.decode())


def test_clients_with_certificate_and_token_are_answered(secured: Server, folder: Path) -> None:
    with client(secured, folder) as known:
        assert known.predict({"text": ["a"]})["score"] == [1.0]
    reply = secured.rest("POST", PREDICT, {"instances": ["a"]}, trusting(AUTHORITY), authorization=f"Bearer {ALL}")
    assert reply.json == {"predictions": [1.0]}
    assert f"REST: https://127.0.0.1:{secured.rest_port}/v1/models/m," in secured.text


def test_what_the_announcement_suggests_is_answered(secured: Server, folder: Path) -> None:
    command = suggested(secured)
    assert "TLS: gRPC with client certificates, REST; tokens: on\n" in secured.output
    given = {
        "TEXT_OR_FILE": "a",
        "FILE": str(written(folder, "token", f"{ALL}\n")),
        "--root-certificates": str(folder / "ca.pem"),
        "--client-certificate": str(folder / "client.pem"),
        "--client-key": str(folder / "client.key"),
    }
    words = [
        given[before if word == "PEM" else word] if word in ("TEXT_OR_FILE", "FILE", "PEM") else word
        for before, word in pairwise(command)
    ]
    assert words[:2] == ["predict", "m"]
    (row,) = json.loads(unroll(*words, "--json").stdout)["predictions"]
    assert row == {"text": "a", "score": 1.0}
    for content in ("", f"ops:{ALL}\n", f"{ALL}\n{ALL}\n"):
        written(folder, "token", content)
        refused = unroll(*words, check=2).stderr
        assert refused.startswith(f"error: --token-file {folder / 'token'}: must hold one token and nothing else")
        assert ALL not in refused


@pytest.mark.parametrize(
    ("shown", "ca"), [(None, "ca"), ("foreign", "ca"), ("client", "stranger")], ids=["none", "foreign", "distrust"]
)
def test_a_wrong_certificate_finds_no_server(secured: Server, folder: Path, shown: str | None, ca: str) -> None:
    with client(secured, folder, shown, ca) as wrong, pytest.raises(ServingError) as refused:
        wrong.status()
    assert refused.value.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def test_a_client_hears_what_is_amiss_with_its_connection(secured: Server, folder: Path) -> None:
    trusted = {"root_certificates": folder / "ca.pem"}
    rest = f"127.0.0.1:{secured.rest_port}"
    for address, arguments, said in (
        (secured.address, {}, f"{secured.address} ends the connection. If it speaks TLS, give tls=True"),
        (secured.address, trusted, "If it asks for a certificate, give client_certificate and client_key"),
        (rest, trusted, f"{rest} does not speak gRPC. Give the server's gRPC port"),
    ):
        with Client(address, model="m", timeout=2, **arguments) as one, pytest.raises(ServingError, match=said):
            one.status()


def test_rest_is_no_plain_text_and_must_be_trusted(secured: Server) -> None:
    refused = secured.rest("GET", "/v1/models/m")
    assert (refused.status, refused.body) == (400, b"This port speaks HTTPS: ask https://.")
    with pytest.raises(ssl.SSLCertVerificationError):
        secured.rest("GET", "/v1/models/m", tls=trusting(STRANGER))


@pytest.mark.parametrize(
    ("token", "code", "status", "said"),
    [
        (None, grpc.StatusCode.UNAUTHENTICATED, 401, "No token. Send `authorization: Bearer TOKEN`"),
        ("wrong-0123456789", grpc.StatusCode.UNAUTHENTICATED, 401, "The token is not one that this server knows"),
        (OTHERS, grpc.StatusCode.PERMISSION_DENIED, 403, "The token of guest may not ask model m"),
    ],
    ids=["none", "unknown", "another's"],
)
def test_without_a_token_that_is_good_for_it_a_call_is_refused(
    secured: Server, folder: Path, token: str | None, code: grpc.StatusCode, status: int, said: str
) -> None:
    with client(secured, folder, token=token) as one, pytest.raises(ServingError) as refused:
        one.predict({"text": ["a"]})
    assert refused.value.code is code
    assert said in str(refused.value)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    for verb, path, body in (("POST", PREDICT, {"instances": ["a"]}), ("GET", "/v1/models/m", None)):
        reply = secured.rest(verb, path, body, trusting(AUTHORITY), **headers)
        assert (reply.status, reply.error) == (status, said)


def test_health_needs_no_token(secured: Server) -> None:
    shown = grpc.ssl_channel_credentials(AUTHORITY.certificate, CLIENT.key, CLIENT.certificate)
    with grpc.secure_channel(secured.address, shown) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        for service in ("", "m", "tensorflow.serving.PredictionService"):
            assert check(health_pb2.HealthCheckRequest(service=service), timeout=30).status == 1


@pytest.mark.parametrize("endpoint", ["grpc", "rest"])
def test_a_renewed_certificate_is_shown_without_a_restart(secured: Server, folder: Path, endpoint: str) -> None:
    port = secured.port if endpoint == "grpc" else secured.rest_port
    context = trusting(AUTHORITY)
    context.load_cert_chain(folder / "client.pem", folder / "client.key")
    renewed = AUTHORITY.issue()

    def shown() -> bytes | None:
        with (
            socket.create_connection(("127.0.0.1", port), 30) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted,
        ):
            return encrypted.getpeercert(binary_form=True)

    assert shown() == ssl.PEM_cert_to_DER_cert(SERVER.certificate.decode())
    ssl_config(folder, "new", mutual=endpoint == "grpc", identity=renewed).rename(folder / f"{endpoint}.txt")
    until(lambda: shown() == ssl.PEM_cert_to_DER_cert(renewed.certificate.decode()))
    until(lambda: f"ssl_config_file {folder / endpoint}.txt: renewed, valid until " in secured.text)
