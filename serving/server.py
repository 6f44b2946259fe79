"""The model server: TensorFlow Serving's gRPC API over the versions of a store."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE
from grpc_reflection.v1alpha import reflection

from errors import UserError
from serving import grpc_door, model_service, prediction_service, protos
from serving.batching import BatchingParameters
from serving.front import Front
from serving.health import Health
from serving.request_log import RequestLog, RequestLogParameters
from serving.store import Store
from serving.versions import Servable, Versions

_log = logging.getLogger(__name__)
_SERVICES = (prediction_service.SERVICE, model_service.SERVICE)


@dataclass(frozen=True)
class ServerParameters:
    """How a server listens, batches and logs.

    Args:
        host: address to listen on. The default answers this machine only.
        port: 0 picks a free one.
        poll_seconds: how often the store is looked at.
        drain_seconds: how long requests in flight may take after SIGTERM.
        max_message_bytes: size of one request or response.
        max_concurrent_rpcs: calls in flight, beyond which new ones get RESOURCE_EXHAUSTED.
        intra_op: threads within one op.
        inter_op: threads across ops; -1 runs them in the batch's own thread.
        batching: limits of each version's queue.
        request_log: directory of the request log, or None for none.
        request_log_parameters: its sampling, rotation and limits.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    poll_seconds: float = 1.0
    drain_seconds: float = 30.0
    max_message_bytes: int = 32 << 20
    max_concurrent_rpcs: int = 8192
    intra_op: int = 1
    inter_op: int = -1
    batching: BatchingParameters = field(default_factory=BatchingParameters)
    request_log: Path | None = None
    request_log_parameters: RequestLogParameters = field(default_factory=RequestLogParameters)


def serve(
    store: Store,
    parameters: ServerParameters,
    on_ready: Callable[[int, dict[str, Servable]], None],
) -> None:
    """Serves the store's models until SIGTERM or SIGINT, then lets requests in flight finish.

    Args:
        store: the models; followed while serving.
        parameters: see `ServerParameters`.
        on_ready: called once clients are answered, with the port and the version in charge of each model.

    Raises:
        UserError: the port is in use, or the store holds no model that loads.
    """
    asyncio.run(_serve(store, parameters, on_ready))


async def _serve(
    store: Store, parameters: ServerParameters, on_ready: Callable[[int, dict[str, Servable]], None]
) -> None:
    if not store.models():
        raise UserError(
            f"{store.root}: no model to serve. Train one with `unroll train`, or put one there with "
            "`unroll promote`, or name another place with --home or --store."
        )
    server = grpc.aio.server(
        options=(
            ("grpc.so_reuseport", 0),  # or else a second server would silently share the port
            ("grpc.max_receive_message_length", parameters.max_message_bytes),
            ("grpc.max_send_message_length", parameters.max_message_bytes),
        ),
        maximum_concurrent_rpcs=parameters.max_concurrent_rpcs,
    )
    health = Health()
    versions = Versions(store, parameters.batching, parameters.intra_op, parameters.inter_op, health.set)
    port = _listen(server, parameters)
    await versions.poll()
    if not versions.serving:
        raise UserError(" ".join(versions.failures()) or f"{store.root}: no model to serve.")

    log = None
    if parameters.request_log:
        log = RequestLog(parameters.request_log, parameters.request_log_parameters)
    methods = {
        **prediction_service.PredictionService(versions).methods(),
        **model_service.ModelService(versions).methods(),
    }
    by_service = {
        service: [path.rpartition("/")[2] for path in methods if path.startswith(f"/{service}/")]
        for service in _SERVICES
    }
    server.add_generic_rpc_handlers(grpc_door.handlers(Front(methods, log), by_service.items()))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    names = (*_SERVICES, HEALTH_SERVICE, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server, pool=protos.POOL)
    for service in ("", *_SERVICES):
        await health.set(service, True)
    await server.start()

    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    following = asyncio.create_task(versions.follow(parameters.poll_seconds))
    on_ready(port, versions.serving)

    await stop.wait()
    _log.info("stopping: requests in flight may take %g seconds", parameters.drain_seconds)
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following
    await health.stop()
    await server.stop(parameters.drain_seconds)
    await versions.close()
    if log:
        log.close()


def _listen(server: grpc.aio.Server, parameters: ServerParameters) -> int:
    host = f"[{parameters.host}]" if ":" in parameters.host else parameters.host
    try:
        return server.add_insecure_port(f"{host}:{parameters.port}")
    except RuntimeError:
        raise UserError(
            f"--port {parameters.port}: cannot listen on {parameters.host}:{parameters.port}; another "
            "program uses the port, or the address is not this machine's. Stop it, or choose another port "
            "(--port 0 picks a free one)."
        ) from None
