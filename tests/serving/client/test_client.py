"""Both clients, before a server that keeps what it was sent; and by task, before ours."""

import asyncio
import inspect
import re
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.serving.certificates import Authority
from tests.serving.recording import Recorder, recording
from unroll import serving
from unroll.pipelines.tasks.forecasting.client import histories
from unroll.serving import AsyncClient, Client, ServingError, UserError

AUTHORITY = Authority()
PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
CLIENTS = pytest.mark.parametrize("client_class", [Client, AsyncClient])


@pytest.fixture(scope="module")
def recorded() -> Iterator[Any]:
    with recording() as both:
        yield both


@pytest.fixture
def recorder(recorded) -> Recorder:
    one = recorded[0]
    one.seen.clear()
    one.metadata.clear()
    one.refusals.clear()
    one.release.set()
    one.cancelled.clear()
    one.metadata_seconds = 0.0
    one.deadlines.clear()
    return one


@asynccontextmanager
async def opened(client_class: type, address: str, **arguments: Any) -> AsyncIterator[Any]:
    client = client_class(address, model="m", **arguments)
    yield client
    await got(client.close())


async def got(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def test_both_clients_have_the_same_methods():
    def methods(of: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(of, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(Client) == methods(AsyncClient)
    assert set(serving.__all__) >= {"Client", "AsyncClient"}


@CLIENTS
async def test_what_is_asked_and_answered(client_class, recorded, recorder):
    async with opened(client_class, recorded[1], label="stable") as client:
        answer = await got(client.predict({"x": [1, 2]}, request_id="mine"))
        assert (answer["x"].dtype, answer["x"].tolist(), answer.version) == (np.float32, [1.0, 2.0], 7)
        await got(client.predict({"x": [0.5]}, "other", version=3))
        assert await got(client.classify(["good", "bad"])) == [[("good", 0.5)], [("bad", 0.5)]]
        assert await got(client.regress([{"x": [1.0, 2.5]}, {"x": 4.0}], label="canary")) == [3.5, 4.0]
        both = await got(client.multi_inference(["good"], classify=["classify"], regress=["regress"]))
        assert both == {"classify": [[("a", 0.25)]], "regress": [2.0]}
        assert await got(client.status()) == {7: "AVAILABLE"}
        await got(client.wait_until_ready())
    first, second, classify, regress, multi = recorder.seen[:5]
    assert first.model_spec.version_label == classify.model_spec.version_label == "stable"
    assert (second.model_spec.version.value, second.model_spec.signature_name) == (3, "other")
    assert regress.model_spec.version_label == "canary"
    assert [(t.model_spec.name, t.model_spec.signature_name) for t in multi.tasks] == [
        ("m", "classify"),
        ("m", "regress"),
    ]
    ids = [metadata["x-request-id"] for metadata in recorder.metadata]
    assert ids[0] == answer.request_id == "mine"
    assert len(set(ids)) == len(ids)
    assert "authorization" not in recorder.metadata[0]


@CLIENTS
async def test_a_configuration_is_sent_and_its_refusal_raised(client_class, recorded, recorder):
    config = 'model_config_list { config { name: "%s" base_path: "/models/m" model_platform: "tensorflow" } }'
    async with opened(client_class, recorded[1]) as client:
        await got(client.reload_config(config % "m"))
        assert recorder.seen[0].config.model_config_list.config[0].base_path == "/models/m"
        with pytest.raises(ServingError, match="not so") as refused:
            await got(client.reload_config(config % "refused"))
        assert refused.value.code is grpc.StatusCode.FAILED_PRECONDITION
        with pytest.raises(UserError, match=r"config:1: .*modelconfig"):
            await got(client.reload_config("modelconfig {}"))


@CLIENTS
async def test_unavailable_alone_is_tried_again(client_class, recorded, recorder):
    unavailable = (grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full")
    async with opened(client_class, recorded[1], timeout=20.0) as client:
        recorder.refusals[:] = [unavailable, unavailable]
        started = time.monotonic()
        assert await got(client.regress([{"x": 1.0}])) == [1.0]
        assert time.monotonic() - started > 0.05 + 0.1  # the least of the pauses
        assert len(recorder.seen) == 3
        assert len({metadata["x-request-id"] for metadata in recorder.metadata}) == 1
        for code in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL):
            recorder.seen.clear()
            recorder.refusals[:] = [(code, "no")]
            with pytest.raises(ServingError, match="no") as refused:
                await got(client.regress([{"x": 1.0}]))
            assert refused.value.code is code
            assert len(recorder.seen) == 1


@CLIENTS
async def test_a_server_that_restarts_is_found_again_within_the_attempts(client_class):
    for _ in range(5):
        with socket.create_server(("127.0.0.1", 0)) as dying:
            address = "{}:{}".format(*dying.getsockname())
            async with opened(client_class, address, timeout=20.0) as client:
                asked = asyncio.create_task(
                    asyncio.to_thread(client.status) if client_class is Client else client.status()
                )
                connection, _ = await asyncio.to_thread(dying.accept)
                dying.close()
                connection.close()
                with recording(address=address):
                    assert await asked == {7: "AVAILABLE"}


@CLIENTS
async def test_a_new_client_does_not_wait_for_a_connection_that_another_one_waits_for(client_class):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "{}:{}".format(*silent.getsockname())
        async with opened(client_class, address, timeout=1.0) as waiting:
            with pytest.raises(ServingError, match="no answer"):
                await got(waiting.status())
            connection, _ = silent.accept()  # gRPC waits 20 seconds for a word of it
            silent.close()
            with connection, recording(address=address):
                async with opened(client_class, address, timeout=8.0) as client:
                    assert await got(client.status()) == {7: "AVAILABLE"}


@CLIENTS
async def test_trying_again_ends_with_the_timeout(client_class, recorded, recorder):
    recorder.refusals[:] = [(grpc.StatusCode.UNAVAILABLE, "not now")] * 50
    async with opened(client_class, recorded[1], timeout=1.0) as client:
        with pytest.raises(ServingError, match="not now") as refused:
            await got(client.status())
        assert refused.value.code is grpc.StatusCode.UNAVAILABLE
        assert 2 <= len(recorder.seen) < 10  # of the 50 for which it would have gone on


@CLIENTS
async def test_a_deadline_is_kept(client_class, recorded, recorder):
    recorder.release.clear()
    async with opened(client_class, recorded[1], timeout=0.2) as client:
        with pytest.raises(ServingError, match=r"no answer from 127.0.0.1:\d+ within 0.2 seconds") as refused:
            await got(client.status())
        assert refused.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


@CLIENTS
async def test_the_timeout_is_of_the_whole_call_what_is_asked_before_included(client_class, recorded, recorder):
    recorder.metadata_seconds = 0.5
    async with opened(client_class, recorded[1], timeout=8.0) as client:
        await got(client.predict({"x": [1]}))
        await got(client.predict({"x": [1]}))
        first, second = recorder.deadlines
        assert first <= 7.6 < second  # gRPC sends tenths of a second


@CLIENTS
async def test_each_version_is_asked_with_its_own_types(client_class, recorded, recorder):
    async with opened(client_class, recorded[1]) as client:
        for version in (None, 9, 3, 9):
            await got(client.predict({"x": [1]}, version=version))
    assert [request.inputs["x"].dtype for request in recorder.seen] == [1, 9, 1, 9]


async def test_a_cancelled_task_cancels_its_call(recorded, recorder):
    recorder.release.clear()
    async with opened(AsyncClient, recorded[1]) as client:
        task = asyncio.create_task(client.status())
        while not recorder.seen:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(recorder.cancelled.wait, 10)


@CLIENTS
async def test_mutual_tls_and_a_token(client_class, tmp_path):
    server, client = AUTHORITY.issue(), AUTHORITY.issue("client")
    for name, pem in (("ca", AUTHORITY.certificate), ("key", client.key), ("certificate", client.certificate)):
        (tmp_path / name).write_bytes(pem)
    credentials = grpc.ssl_server_credentials([(server.key, server.certificate)], AUTHORITY.certificate, True)
    with recording(credentials) as (recorder, address):
        shown = {"client_certificate": tmp_path / "certificate", "client_key": str(tmp_path / "key")}
        async with opened(client_class, address, root_certificates=tmp_path / "ca", token="secret", **shown) as trusted:
            assert await got(trusted.status()) == {7: "AVAILABLE"}
        assert recorder.metadata[0]["authorization"] == "Bearer secret"
        async with opened(client_class, address, root_certificates=tmp_path / "ca", timeout=3) as stranger:
            with pytest.raises(ServingError) as refused:
                await got(stranger.status())
            assert refused.value.code is grpc.StatusCode.UNAVAILABLE
        async with opened(client_class, address, timeout=3) as plain:
            with pytest.raises(ServingError, match=f"{address} ends the connection. If it speaks TLS, give tls=True"):
                await got(plain.status())
        async with opened(client_class, address, tls=True, timeout=3) as distrusting:
            with pytest.raises(
                ServingError,
                match=f"no TLS with {address}: its certificate is of an authority that is not trusted. Give the ",
            ):
                await got(distrusting.status())


@CLIENTS
async def test_what_is_amiss_with_the_connection_is_told_by_every_address(client_class, tmp_path):
    other, clients = Authority("another"), AUTHORITY.issue("client")
    for name, pem in (("ca", AUTHORITY.certificate), ("other", other.certificate)):
        (tmp_path / name).write_bytes(pem)
    for name, pem in (("key", clients.key), ("certificate", clients.certificate)):
        (tmp_path / name).write_bytes(pem)
    trusting = {"root_certificates": tmp_path / "ca"}

    def secured(*mutual: Any, **issued: Any) -> grpc.ServerCredentials:
        server = AUTHORITY.issue(**issued)
        return grpc.ssl_server_credentials([(server.key, server.certificate)], *mutual)

    async def said(address: str, **arguments: Any) -> str:
        if client_class is Client:  # whose calls would wait for one another here
            return await asyncio.to_thread(asyncio.run, refused_by(address, **arguments))
        return await refused_by(address, **arguments)

    async def refused_by(address: str, **arguments: Any) -> str:
        async with opened(client_class, address, timeout=20.0, **arguments) as client:
            with pytest.raises(ServingError) as refused:
                await got(client.status())
        assert refused.value.code is grpc.StatusCode.UNAVAILABLE
        return refused.value.message

    with ExitStack() as servers:

        def port(credentials: grpc.ServerCredentials | None = None) -> str:
            return servers.enter_context(recording(credentials))[1].rpartition(":")[2]

        plain, tls = port(), port(secured())
        expired, future = port(secured(days=(-9, -1))), port(secured(days=(1, 9)))
        elsewhere, asking = port(secured(host="elsewhere.test")), port(secured(other.certificate, True))
        shown = {"client_certificate": tmp_path / "certificate", "client_key": tmp_path / "key"}
        cases = [
            (tls, {}, "{} ends the connection. If it speaks TLS, give tls=True or root_certificates"),
            (plain, trusting, "no TLS with {}: it does not speak it, or REST alone. Give the server's gRPC port"),
            (
                tls,
                {"tls": True},
                "no TLS with {}: its certificate is of an authority that is not trusted. Give the PEM",
            ),
            (tls, {"root_certificates": tmp_path / "other"}, "no TLS with {}: its certificate is of an authority that"),
            (expired, trusting, "no TLS with {}: its certificate has expired. Have it renewed"),
            (future, trusting, "no TLS with {}: its certificate is not valid yet. Set this machine's clock"),
            (elsewhere, trusting, "no TLS with {}: its certificate is for another name. Ask it by a name that"),
            (asking, trusting, "{} ends the connection. If it asks for a certificate, give client_certificate and"),
            (asking, trusting | shown, "{} ends the connection. If it trusts another authority, give"),
        ]
        asked = [
            (f"{host}:{port}", arguments, words.format(f"{host}:{port}"))
            for host in ("127.0.0.1", "localhost")
            for port, arguments, words in cases
        ]
        path = f"unix:{tmp_path}/socket"
        servers.enter_context(recording(address=path))
        asked.append((path, trusting, f"no TLS with {path}: it does not speak it"))
        asked.append((f"{path}.none", {}, f"no server answers at {path}.none. Start one with `unroll serve`"))
        answers = await asyncio.gather(*(said(address, **arguments) for address, arguments, _ in asked))
    for answer, (_, _, words) in zip(answers, asked, strict=True):
        assert answer.startswith(words)
        assert "\n" not in answer


@CLIENTS
async def test_a_unix_socket(client_class, tmp_path):
    with recording(address=f"unix:{tmp_path}/socket") as (_, address):
        async with opened(client_class, address) as client:
            assert await got(client.status()) == {7: "AVAILABLE"}


@CLIENTS
async def test_no_server_is_said_so(client_class):
    async with opened(client_class, "127.0.0.1:9", timeout=2) as client:
        with pytest.raises(ServingError, match=r"no server answers at 127.0.0.1:9\. Start one"):
            await got(client.status())


@CLIENTS
async def test_a_port_that_speaks_no_grpc_is_said_so(client_class):
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        async with opened(client_class, f"127.0.0.1:{web.server_port}", timeout=2) as client:
            with pytest.raises(
                ServingError, match=f":{web.server_port} does not speak gRPC. Give the server's gRPC port"
            ):
                await got(client.status())
        web.shutdown()


@CLIENTS
async def test_what_a_server_says_of_another_is_kept(client_class, recorded, recorder):
    for code, said in (
        (grpc.StatusCode.UNAVAILABLE, "The server behind is away (failed to connect to all addresses; TLS handshake)"),
        (grpc.StatusCode.UNAVAILABLE, "The server behind is away (errors resolving x:1)"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "The queue is too long"),
    ):
        recorder.refusals[:] = [(code, said)] * 5
        async with opened(client_class, recorded[1], timeout=1.0) as client:
            with pytest.raises(ServingError) as refused:
                await got(client.status())
        assert (refused.value.code, refused.value.message) == (code, said)


@CLIENTS
async def test_strings_that_are_not_utf_8_come_as_bytes(client_class, recorded, recorder):
    async with opened(client_class, recorded[1]) as client:
        answer = await got(client.predict({"x": [["naïve", b"\xff\xd8"]], "y": ["naïve"], "z_bytes": ["a"]}))
    assert answer["x"].tolist() == [["naïve".encode(), b"\xff\xd8"]]
    assert (answer["y"].tolist(), answer["z_bytes"].tolist()) == (["naïve"], [b"a"])


@CLIENTS
async def test_numbers_take_the_type_of_the_signature_where_they_fit(client_class, recorded, recorder):
    async with opened(client_class, recorded[1]) as client:
        answer = await got(client.predict({"x": np.array([7], np.uint64)}, version=9))
        assert (answer["x"].dtype, answer["x"].tolist()) == (np.int64, [7])
        with pytest.raises(UserError, match=f"Input 'x': expected int64, received uint64: {1 << 63}$"):
            await got(client.predict({"x": np.array([7, 1 << 63], np.uint64)}, version=9))
        with pytest.raises(UserError, match=r"Input 'x': expected int64, received float64: 1\.5"):
            await got(client.predict({"x": [1.5]}, version=9))


@CLIENTS
@pytest.mark.parametrize(
    ("method", "given", "said"),
    [
        ("predict", np.ones((2, 4)), "inputs: expected a dict of arrays by input name, received ndarray: "),
        ("predict", "abc", "inputs: expected a dict of arrays by input name, received str: 'abc'"),
        ("predict", {"x": [None]}, "Input 'x': expected numbers, or str and bytes alone; received None"),
        ("predict", {"x": ["a", 5]}, "Input 'x': expected numbers, or str and bytes alone; received 5"),
        ("predict", {"x": [5, "a"]}, "Input 'x': expected numbers, or str and bytes alone; received 5"),
        ("predict", {"x": [[1, 2], [3]]}, "Input 'x': rows of different lengths"),
        ("predict", {"x": np.array([1], np.clongdouble)}, "Input 'x': no tensor holds complex256"),
        ("classify", "good", "examples: expected a list of texts or dicts of features, received str: 'good'"),
        ("classify", [5], "examples: expected texts or dicts of features, received int: 5"),
        ("regress", [{"x": [1.0, None]}], r"Feature 'x': expected texts or numbers, received list: \[1.0, None\]"),
    ],
)
async def test_what_cannot_be_sent_is_named(client_class, method, given, said, recorded, recorder):
    async with opened(client_class, recorded[1]) as client:
        with pytest.raises(UserError, match=f"^{said}"):
            await got(getattr(client, method)(given))
    assert not recorder.seen


@CLIENTS
async def test_calls_arguments_are_checked(client_class, recorded, recorder):
    name = "expected a name of printable characters, received"
    cases = [
        ("predict", ({"x": [1]}, "a\nb"), f"signature: {name} str: 'a\\nb'"),
        ("predict", ({"x": [1]}, "\ud800"), f"signature: {name} str: '\\ud800'"),
        ("predict", ({5: [1]},), f"inputs: {name} int: 5"),
        (
            "predict",
            ({"x": [1]}, "s", "1"),
            "version: expected a whole number of 0 to 9223372036854775807, received str",
        ),
        ("predict", ({"x": [1]}, "s", 2**70), "version: expected a whole number of 0 to 9223372036854775807, received"),
        ("predict", ({"x": [1]}, "s", None, "a\nb"), "request_id: expected 1 to 128 characters of printable ASCII, no"),
        ("predict", ({"x": [1]}, "s", None, "é"), "request_id: expected 1 to 128 characters of printable ASCII, no"),
        ("predict", ({"x": [1]}, "s", None, "a" * 129), "request_id: expected 1 to 128 characters of printable ASCII,"),
        ("predict", ({"x": [1]}, "s", None, None, 5), f"label: {name} int: 5"),
        ("classify", (None,), "examples: expected a list of texts or dicts of features, received NoneType: None"),
        ("classify", ([{5: "a"}],), f"examples: {name} int: 5"),
        ("classify", ([{"n": 2**70}],), "Feature 'n': expected whole numbers of 64 bits, received int: 1180591620717"),
        ("multi_inference", (["a"],), "classify and regress: both name no signature. Give one"),
        ("multi_inference", (["a"], "classify"), "classify: expected a list of signatures' names, received str: 'clas"),
        (
            "sentiment",
            ("one string",),
            "texts: expected a list of texts, received str: 'one string'. Put it into a list",
        ),
        ("sentiment", ((text for text in "ab"),), "texts: expected a list of texts, received generator: "),
        ("forecast", (5,), "history: expected a list of series, each a list of numbers, received int: 5"),
        ("caption", ("photo.jpg",), "pictures: expected a list of bytes, received str: 'photo.jpg'. Give the bytes of"),
        (
            "caption",
            (["photo.jpg"],),
            "pictures: expected bytes, received str: 'photo.jpg'. Give the bytes of the files",
        ),
        ("reload_config", (None,), "config: expected text, received NoneType: None"),
        ("wait_until_ready", ("5",), "timeout: expected 0 to 1e+09 seconds, received str: '5'"),
    ]
    async with opened(client_class, recorded[1]) as client:
        for method, given, said in cases:
            with pytest.raises(UserError) as refused:
                await got(getattr(client, method)(*given))
            assert str(refused.value).startswith(said)
    assert not recorder.seen


@CLIENTS
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"token": "secret\n"},
            r"token: .* received '\\n' at character 7 of 7\. Give the token alone: the text of a file ",
        ),
        ({"token": "sécret"}, r"token: expected printable ASCII without blanks, received '\\xe9' at character 2 of 6"),
        ({"token": b"secret"}, "token: expected text, received bytes$"),
        ({"model": "a\nb"}, r"model: expected a name of printable characters, received str: 'a\\nb'"),
        ({"model": None}, "model: expected a name of printable characters, received NoneType: None"),
        ({"model": ""}, "model: expected a name of printable characters, received str: ''"),
        ({"timeout": "3"}, "timeout: expected 0.001 to 1e.09 seconds, received str: '3'"),
        ({"timeout": float("inf")}, "timeout: expected 0.001 to 1e.09 seconds, received float: inf"),
        ({"label": 5}, "label: expected a name of printable characters, received int: 5"),
        ({"tls": "false"}, "tls: expected True or False, received str: 'false'"),
        ({"root_certificates": 5}, "root_certificates: expected the path of a file, received int: 5"),
        ({"max_message_bytes": "1"}, "max_message_bytes is '1'. Give 1 to 2147483647"),
        *(
            ({"address": address}, f"address {address!r}: expected the host:port of the server's gRPC port, as in ")
            for address in (
                "",
                "localhost",
                ":8500",
                "localhost:99999",
                "http://127.0.0.1:8500",
                "127.0.0.1:1 ",
                "unix:",
            )
        ),
        ({"address": 8500}, "address: expected text, received int: 8500"),
    ],
)
async def test_a_clients_arguments_are_checked(client_class, arguments, said):
    with pytest.raises(UserError, match=f"^{said}") as refused:
        client_class(**{"model": "m", **arguments})
    assert "cret" not in str(refused.value), "a token is shown"


@CLIENTS
@pytest.mark.parametrize(("method", "given"), [("predict", {"x": [1]}), ("classify", ["a"]), ("regress", [{"x": 1}])])
async def test_a_version_and_a_label_exclude_each_other(client_class, method, given, recorded, recorder):
    async with opened(client_class, recorded[1], label="stable") as client:
        with pytest.raises(UserError, match=r"version=1 and label='canary': .* Give one of them"):
            await got(getattr(client, method)(given, version=1, label="canary"))
    assert not recorder.seen


@CLIENTS
async def test_messages_have_a_limit_that_can_be_moved(client_class, recorded, recorder):
    async with opened(client_class, recorded[1], max_message_bytes=1 << 20) as client:
        with pytest.raises(
            ServingError, match=r"Sent message larger than max .* a larger max_message_bytes"
        ) as refused:
            await got(client.predict({"x": np.zeros(1 << 20, np.float32)}))
        assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    async with opened(client_class, recorded[1], max_message_bytes=64 << 20) as client:
        with pytest.raises(ServingError, match=r"SERVER: Received message larger than max"):
            await got(client.predict({"x": np.zeros(33 << 18, np.float32)}))
    for limit in (0, 1 << 31):
        with pytest.raises(UserError, match=f"max_message_bytes is {limit}. Give 1 to 2147483647"):
            client_class(model="m", max_message_bytes=limit)


@CLIENTS
def test_pem_files_are_checked(client_class, tmp_path):
    one, other = AUTHORITY.issue("client"), AUTHORITY.issue("client")
    locked = load_pem_private_key(one.key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    pems = {"cert": one.certificate, "key": one.key, "other": other.key, "locked": locked, "junk": b"phone:secret"}
    for name, pem in pems.items():
        (tmp_path / name).write_bytes(pem)
    cases = [
        ({"root_certificates": "junk"}, "root_certificates .*junk: no certificate in PEM. It begins with -----BEGIN C"),
        ({"root_certificates": "none"}, r"root_certificates .*none: cannot be read \(No such file or directory\)"),
        ({"client_certificate": "cert"}, "client_certificate and client_key belong together. Give both"),
        ({"client_key": "key"}, "client_certificate and client_key belong together. Give both"),
        *(
            ({"client_certificate": "cert", "client_key": key}, f"client_key .*{key}: not a certificate in PEM and its")
            for key in ("other", "locked", "junk")
        ),
    ]
    for files, said in cases:
        with pytest.raises(UserError, match=said):
            client_class(model="m", **{argument: tmp_path / name for argument, name in files.items()})


def test_histories_of_different_lengths_are_filled_in_front():
    filled = histories([[1.0, 2.0, 3.0], [[4.0]]])
    assert filled.shape == (2, 3, 1)
    np.testing.assert_array_equal(filled[:, :, 0], [[1, 2, 3], [np.nan, np.nan, 4]])
    with pytest.raises(UserError, match="different columns"):
        histories([[[1.0, 2.0]], [[1.0]]])
    with pytest.raises(UserError, match=r"history 1: expected numbers \[T\] or \[T, columns\], received list: \['x'\]"):
        histories([[1.0], ["x"]])


def test_clients_need_what_the_page_installs_and_no_more():
    code = "import sys, unroll; unroll.Client(model='m').caption, unroll.AsyncClient, unroll.UserError; "
    code += "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    others = {re.match(r"[\w-]+", one)[0] for one in PROJECT["dependencies"]} - {"numpy"}
    assert not others & set(done.stdout.split())
