"""The proxy of another server: ours in a process of its own, and one that keeps what it was sent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from tests.serving.certificates import Authority
from tests.serving.recording import recording
from unroll.errors import UserError
from unroll.serving import AsyncClient, ServingError
from unroll.serving.front.dispatcher import Dispatcher
from unroll.serving.http2 import GrpcServer
from unroll.serving.protocol import model_spec, protos
from unroll.serving.protocol.call import Call
from unroll.serving.protocol.status import StatusError
from unroll.serving.services.remote_engine import RemoteEngine, RemoteParameters

PREDICT = f"{model_spec.PREDICTION}Predict"


class Told(list[tuple[str, bool]]):
    """What `on_serving` was told."""

    async def __call__(self, name: str, serving: bool) -> None:
        self.append((name, serving))


@asynccontextmanager
async def engine(address: str, models: tuple[str, ...] = (), **parameters: Any) -> AsyncIterator[Any]:
    told = Told()
    remote = RemoteEngine(RemoteParameters(address, **parameters), models, told)
    yield remote, told
    await remote.close()


@asynccontextmanager
async def proxy(address: str) -> AsyncIterator[str]:
    """A server before the one at an address; gives its own address."""
    async with engine(address) as (remote, _):
        server = GrpcServer(Dispatcher(remote.methods()).answer, {})
        yield f"127.0.0.1:{await server.listen('127.0.0.1', 0)}"
        await server.stop(1)


async def ask(address: str, path: str, message: Any, **arguments: Any) -> bytes | tuple[grpc.StatusCode, str]:
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            return await channel.unary_unary(path)(message.SerializeToString(), timeout=30, **arguments)
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details() or ""


async def reached(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def predict(signature: str = "", model: str = "sample", name: str = "text", text: bytes = b"good") -> Any:
    request = protos.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if name:
        request.inputs[name].dtype = protos.DataType.Value("DT_STRING")
        request.inputs[name].tensor_shape.dim.add(size=1)
        request.inputs[name].string_val.append(text)
    return request


def other(message_class: Any, model: str = "sample") -> Any:
    request = message_class()
    request.model_spec.name = model
    return request


async def test_answers_and_refusals_are_those_of_the_server_behind(server):
    metadata = other(protos.GetModelMetadataRequest)
    metadata.metadata_field.append("signature_def")
    classify = other(protos.ClassificationRequest)
    classify.model_spec.signature_name = "classify"
    classify.input.example_list.examples.add().features.feature["text"].bytes_list.value.append(b"bad")
    asked = [
        (PREDICT, predict()),
        (PREDICT, predict("describe", name="")),
        (f"{model_spec.PREDICTION}Classify", classify),
        (model_spec.METADATA, metadata),
        (model_spec.STATUS, other(protos.GetModelStatusRequest)),
        (PREDICT, predict(model="none")),
        (PREDICT, predict("none")),
        (PREDICT, predict(name="none")),
        (PREDICT, protos.PredictRequest()),
        (model_spec.STATUS, other(protos.GetModelStatusRequest, "none")),
    ]
    async with proxy(server.address) as address:
        through = [await ask(address, *one) for one in asked]
    straight = [await ask(server.address, *one) for one in asked]
    assert through == straight
    assert [type(one) for one in through] == [bytes] * 5 + [tuple] * 5


async def test_a_call_says_who_answered_it(server):
    async with engine(server.address) as (remote, _):
        methods = remote.methods()

        async def call(path: str, message: Any) -> Call:
            call = Call(path)
            await methods[path](message.SerializeToString(), call)
            return call

        asked = await call(PREDICT, predict())
        assert (asked.model, asked.version, asked.signature, asked.watched) == ("sample", 1, "serving_default", True)
        described = await call(PREDICT, predict("describe", name=""))
        assert (described.version, described.signature, described.watched) == (1, "describe", False)
        metadata = other(protos.GetModelMetadataRequest)
        metadata.metadata_field.append("signature_def")
        assert not (await call(model_spec.METADATA, metadata)).watched
        status = await call(model_spec.STATUS, other(protos.GetModelStatusRequest))
        assert (status.model, status.version, status.watched) == ("sample", None, False)
        refused = Call(PREDICT)
        with pytest.raises(StatusError):
            await methods[PREDICT](predict("none").SerializeToString(), refused)
        assert (refused.model, refused.signature, refused.watched) == ("sample", "none", False)


async def test_every_service_method_goes_through_and_of_the_metadata_the_id_alone():
    tasks = protos.MultiInferenceRequest()
    tasks.tasks.add(method_name="tensorflow/serving/classify").model_spec.name = "m"
    reload = protos.ReloadConfigRequest()
    reload.config.model_config_list.config.add(name="m")
    metadata = (("x-request-id", "mine"), ("authorization", "Bearer secret"), ("x-secret", "1"))
    with recording() as (recorder, remote):
        async with proxy(remote) as address:
            for path, message in (
                (PREDICT, predict(model="m")),
                (f"{model_spec.PREDICTION}Classify", other(protos.ClassificationRequest)),
                (f"{model_spec.PREDICTION}Regress", other(protos.RegressionRequest)),
                (model_spec.MULTI_INFERENCE, tasks),
                (model_spec.STATUS, other(protos.GetModelStatusRequest)),
                (model_spec.RELOAD, reload),
            ):
                assert isinstance(await ask(address, path, message, metadata=metadata), bytes), path
        assert [type(one).__name__ for one in recorder.seen] == [
            *("PredictRequest", "ClassificationRequest", "RegressionRequest", "MultiInferenceRequest"),
            *("GetModelStatusRequest", "ReloadConfigRequest"),
        ]
        assert {name: value for sent in recorder.metadata for name, value in sent.items() if name != "user-agent"} == {
            "x-request-id": "mine"
        }


async def test_deadlines_and_cancellation_reach_the_server_behind():
    with recording() as (recorder, remote):
        recorder.release.clear()
        async with proxy(remote) as address, AsyncClient(address, model="m", timeout=0.3) as client:
            with pytest.raises(ServingError) as late:
                await client.status()
            assert late.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
            assert await asyncio.to_thread(recorder.cancelled.wait, 10)
            assert recorder.deadlines[0] < 0.3

            recorder.cancelled.clear()
            client.timeout = 60.0
            task = asyncio.create_task(client.status())
            await reached(lambda: len(recorder.seen) == 2)
            task.cancel()
            assert await asyncio.to_thread(recorder.cancelled.wait, 10)


async def test_health_follows_the_server_behind(tmp_path):
    """A UNIX socket, so that it comes back under its address."""
    address = f"unix:{tmp_path}/socket"
    async with engine(address, models=("m",)) as (remote, told):
        await remote.poll()
        assert told == [("m", False)]
        with pytest.raises(StatusError, match=f"model server at {address} does not answer. Check") as down:
            await remote.methods()[PREDICT](predict(model="m").SerializeToString(), Call(PREDICT))
        assert down.value.code is grpc.StatusCode.UNAVAILABLE

        following = asyncio.create_task(remote.follow(0.05))
        with recording(address=address) as (recorder, _):
            await reached(lambda: told[-1] == ("m", True))
            assert remote.serving == ["m"]
            await remote.methods()[PREDICT](predict(model="learned").SerializeToString(), Call(PREDICT))
            await reached(lambda: told[-1] == ("learned", True))
            recorder.refusals[:] = [(grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")] * 4
            await reached(lambda: not recorder.refusals)
            recorder.state = 40  # UNLOADING
            await reached(lambda: not remote.serving)
            recorder.state = 30
            await reached(lambda: len(remote.serving) == 2)
        await reached(lambda: not remote.serving)
        following.cancel()
    of_m = [serving for name, serving in told if name == "m"]
    assert of_m == [False, True, False, True, False]


async def test_the_start_is_told_of_in_one_line_whether_the_server_is_reached_or_not(tmp_path, caplog):
    caplog.set_level("INFO", "unroll.serving")
    address = f"unix:{tmp_path}/socket"
    for models, down, up in (
        ((), "model server at {}: cannot be asked: ", "model server at {}: answers"),
        (("m",), "m at {}: cannot be asked: ", "m at {}: serving"),
    ):
        async with engine(address, models) as (remote, _):
            await remote.start()
        with recording(address=address):
            async with engine(address, models) as (remote, _):
                await remote.start()
        refused, reached = caplog.records
        assert refused.levelname == "ERROR"
        assert refused.message.startswith(down.format(address))
        assert reached.message == up.format(address)
        caplog.clear()


async def test_a_refusal_of_the_server_behind_is_not_taken_for_its_absence():
    full = "The batch scheduling queue to which this task was submitted is full"
    with recording() as (recorder, remote):
        async with proxy(remote) as address:
            recorder.refusals[:] = [(grpc.StatusCode.UNAVAILABLE, full)]
            assert await ask(address, PREDICT, predict()) == (grpc.StatusCode.UNAVAILABLE, full)


async def test_mutual_tls(tmp_path):
    authority = Authority()
    server, client = authority.issue(), authority.issue("client")
    for name, pem in (("ca", authority.certificate), ("key", client.key), ("certificate", client.certificate)):
        (tmp_path / name).write_bytes(pem)
    files = {
        "root_certificates": tmp_path / "ca",
        "client_certificate": tmp_path / "certificate",
        "client_key": tmp_path / "key",
    }
    credentials = grpc.ssl_server_credentials([(server.key, server.certificate)], authority.certificate, True)
    with recording(credentials) as (_, address):
        async with engine(address, ("m",), **files) as (remote, told):
            await remote.poll()
            assert told == [("m", True)]
        async with engine(address, ("m",), root_certificates=tmp_path / "ca") as (remote, told):
            await remote.poll()
            assert told == [("m", False)]
    with pytest.raises(UserError, match="none: cannot be read"):
        RemoteEngine(RemoteParameters("localhost:1", root_certificates=tmp_path / "none"), (), Told())


async def test_a_renewed_client_certificate_is_shown_without_a_restart(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("unroll.serving.files.followed_file.LOOK_SECONDS", 0.0)
    authority, stranger = Authority(), Authority("another")
    server = authority.issue()

    def write(**pems: bytes) -> dict[str, Any]:
        for name, pem in pems.items():
            (tmp_path / "new").write_bytes(pem)
            (tmp_path / "new").rename(tmp_path / name)
        return {name: tmp_path / name for name in ("root_certificates", "client_certificate", "client_key")}

    old, new = stranger.issue("client"), authority.issue("client")
    files = write(root_certificates=authority.certificate, client_certificate=old.certificate, client_key=old.key)
    credentials = grpc.ssl_server_credentials([(server.key, server.certificate)], authority.certificate, True)
    with recording(credentials) as (_, address):
        async with engine(address, ("m",), **files) as (remote, told):
            following = asyncio.create_task(remote.follow(0.05))
            await reached(lambda: told == [("m", False)])
            write(client_certificate=new.certificate)
            await reached(lambda: "not a certificate in PEM and its key" in caplog.text)
            assert f"The connection to {address} has those from before." in caplog.text
            write(client_key=new.key)
            await reached(lambda: told == [("m", False), ("m", True)])
            following.cancel()
    assert len([record for record in caplog.records if "from before" in record.message]) == 1
