"""What a server does at its limits: a full queue, a sample of the requests, a signal to stop."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.serving_fixtures import Server, until
from unroll.serving.batching.batcher import BatchingParameters
from unroll.serving.front.dispatcher import Dispatcher
from unroll.serving.front.request_log import RequestLog, RequestLogParameters
from unroll.serving.http2 import GrpcServer
from unroll.serving.protocol import protos, tensors
from unroll.serving.services.prediction_service import PredictionService
from unroll.serving.versions.loaded_version import LoadParameters
from unroll.serving.versions.model_config import store_models
from unroll.serving.versions.served_model import VersionParameters
from unroll.serving.versions.served_models import ServedModels
from unroll.serving.versions.store import Store

PREDICT = "/tensorflow.serving.PredictionService/Predict"
HEALTH = health_pb2.HealthCheckResponse


def request(signature: str, **inputs: list[Any]) -> bytes:
    message = protos.PredictRequest()
    message.model_spec.name = "sample"
    message.model_spec.signature_name = signature
    for alias, values in inputs.items():
        message.inputs[alias].MergeFromString(tensors.encode(tensors.from_python(values)))
    return message.SerializeToString()


@contextlib.asynccontextmanager
async def answering(store: Store, batching: BatchingParameters, log: RequestLog | None = None) -> AsyncIterator[Any]:
    """A server in this process; gives a channel to it."""

    async def heard(model: str, serving: bool) -> None:
        pass

    versions = ServedModels(store_models(store), LoadParameters(batching), VersionParameters(), heard)
    await versions.poll()
    server = GrpcServer(Dispatcher(PredictionService(versions).methods(), log).answer, {})
    port = await server.listen("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)
    await versions.close()


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionError:
        return False
    return True


async def there(path: Path) -> None:
    async with asyncio.timeout(60):
        while not path.exists():
            await asyncio.sleep(0.01)


async def held(call: Any) -> list[bytes]:
    (answer,) = [protos.PredictResponse.FromString(message) async for message in call]
    return list(answer.outputs["held"].string_val)


@pytest.mark.parametrize("limit", ["max_queued_requests", "max_queued_bytes"])
async def test_a_full_queue_turns_requests_away(limit: str, exports: dict[int, Path], tmp_path: Path) -> None:
    Store(tmp_path / "store").put("sample", 1, exports[1])
    go = tmp_path / "go"
    hold = request("hold", path=[str(go)])
    one = BatchingParameters(**{limit: 1 if limit == "max_queued_requests" else len(hold)})
    async with answering(Store(tmp_path / "store"), one) as channel:
        predict = channel.unary_stream(PREDICT)
        running = predict(hold, timeout=60)
        await there(tmp_path / "go.running")
        calls = {asyncio.ensure_future(call.code()): call for call in (predict(hold, timeout=60) for _ in range(4))}
        pending = set(calls)
        while len(pending) > 1:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        (waiting,) = (calls.pop(code) for code in pending)
        for call in calls.values():
            assert await call.code() is grpc.StatusCode.UNAVAILABLE
            assert await call.details() == "The batch scheduling queue to which this task was submitted is full"
            assert "x-request-id" in await call.trailing_metadata()
        assert not running.done()
        assert not waiting.done()
        go.write_text("")
        assert [await held(call) for call in (running, waiting)] == [[str(go).encode()]] * 2
        assert await held(predict(hold, timeout=60)) == [str(go).encode()], "there is room again"


async def test_the_sampled_requests_are_logged_and_no_refused_one(exports: dict[int, Path], tmp_path: Path) -> None:
    Store(tmp_path / "store").put("sample", 1, exports[1])
    log = RequestLog(tmp_path / "requests", RequestLogParameters(sampling=0.5))
    ids = [f"id-{number}" for number in range(64)]
    async with answering(Store(tmp_path / "store"), BatchingParameters(), log) as channel:
        predict = channel.unary_unary(PREDICT)
        for request_id in ids:
            await predict(request("serving_default", text=["a"]), metadata=[("x-request-id", request_id)], timeout=60)
            refused = predict(request("no such", text=["a"]), metadata=[("x-request-id", f"{request_id}-bad")])
            assert await refused.code() is grpc.StatusCode.FAILED_PRECONDITION
    log.close()
    (lines,) = (tmp_path / "requests" / "sample").glob("*.tsv")
    logged = [line.split("\t")[2] for line in lines.read_text().splitlines()]
    assert logged == [one for one in ids if log.sampled(one)]
    assert 0 < len(logged) < len(ids)


async def test_what_takes_no_input_is_no_traffic(exports: dict[int, Path], tmp_path: Path) -> None:
    Store(tmp_path / "store").put("sample", 1, exports[1])
    log = RequestLog(tmp_path / "requests", RequestLogParameters())
    async with answering(Store(tmp_path / "store"), BatchingParameters(), log) as channel:
        answer = await channel.unary_unary(PREDICT)(request("describe"), timeout=60)
        assert list(protos.PredictResponse.FromString(answer).outputs) == ["json"]
    log.close()
    assert not list((tmp_path / "requests").rglob("*.tsv"))


SERVE_WITHOUT_END = """
import sys
from pathlib import Path
from unroll.serving.versions.model_config import store_models
from unroll.serving.server.model_server import serve
from unroll.serving.server.parameters import Ports, ServerParameters
from unroll.serving.versions.store import Store
parameters = ServerParameters(ports=Ports(grpc=0), drain_seconds=3600)
models = store_models(Store(Path(sys.argv[1])))
serve(models, parameters, lambda ready: print(f"Serving on 127.0.0.1:{ready.grpc.port}", flush=True))
"""


def test_sigterm_drains(exports: dict[int, Path], start: Callable[..., Server], tmp_path: Path) -> None:
    """New requests are refused, health says so, those in flight are answered, and then the process ends at once."""
    Store(tmp_path / "store").put("sample", 1, exports[1])
    server = start("-c", SERVE_WITHOUT_END, str(tmp_path / "store"))
    go = tmp_path / "go"
    hold = request("hold", path=[str(go)])
    with grpc.insecure_channel(server.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        watches = [
            health.Watch(health_pb2.HealthCheckRequest(service=service), timeout=120)
            for service in ("", "sample", "tensorflow.serving.PredictionService", "unknown")
        ]
        said = [[next(watch).status] for watch in watches]
        assert said == [[HEALTH.SERVING]] * 3 + [[HEALTH.SERVICE_UNKNOWN]]
        predict = channel.unary_stream(PREDICT)
        calls = [predict(hold, timeout=120) for _ in range(4)]
        until((tmp_path / "go.running").exists)

        server.process.send_signal(signal.SIGTERM)
        for watch, statuses in zip(watches[:3], said, strict=False):
            statuses.append(next(watch).status)
        assert said == [[HEALTH.SERVING, HEALTH.NOT_SERVING]] * 3 + [[HEALTH.SERVICE_UNKNOWN]]
        assert not any(call.done() for call in calls), calls
        # Health says so first, and what comes before the port closes is on its way still.
        until(lambda: not is_listening(server.port))
        own = (("grpc.use_local_subchannel_pool", 1),)  # or else it shares the other's connection
        with grpc.insecure_channel(server.address, own) as late, pytest.raises(grpc.RpcError) as refused:
            late.unary_unary(PREDICT)(request("serving_default", text=["a"]), timeout=60)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        go.write_text("")
        for call in calls:
            (answer,) = map(protos.PredictResponse.FromString, call)
            assert list(answer.outputs["held"].string_val) == [str(go).encode()]
        # The watchers are still there: a stream without an end must not use up the hour of the drain.
        assert server.process.wait(30) == 0, "".join(server.output)
