"""The model server: TensorFlow Serving's gRPC API over the versions of a store."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from errors import UserError
from serving import health, model_service, prediction_service, reflection
from serving.batching import BatchingParameters
from serving.front import Front
from serving.health import Health
from serving.http2 import GrpcLimits, GrpcServer
from serving.model import VersionParameters
from serving.model_config import store_models
from serving.request_log import RequestLog, RequestLogParameters
from serving.servable import LoadParameters, Servable
from serving.store import Store
from serving.versions import Versions

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
        grpc: what gRPC's clients may use up.
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
    grpc: GrpcLimits = field(default_factory=GrpcLimits)
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
    states = Health()
    loading = LoadParameters(parameters.batching, parameters.intra_op, parameters.inter_op)
    versions = Versions(store_models(store), loading, VersionParameters(), states.set)
    await versions.poll()
    if not versions.serving:
        raise UserError(" ".join(versions.failures()) or f"{store.root}: no model to serve.")

    log = None
    if parameters.request_log:
        log = RequestLog(parameters.request_log, parameters.request_log_parameters)
    methods = {
        **prediction_service.PredictionService(versions).methods(),
        **model_service.ModelService(versions).methods(),
        **states.methods(),
    }
    streams = {**states.streams(), **reflection.streams((*_SERVICES, health.SERVICE, reflection.SERVICE))}
    server = GrpcServer(Front(methods, log).answer, streams, parameters.grpc)
    for service in ("", *_SERVICES):
        await states.set(service, True)
    port = await _listen(server, parameters)

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
    await states.stop()
    await server.stop(parameters.drain_seconds)
    await versions.close()
    if log:
        log.close()


async def _listen(server: GrpcServer, parameters: ServerParameters) -> int:
    try:
        return await server.listen(parameters.host, parameters.port)
    except OSError:
        raise UserError(
            f"--port {parameters.port}: cannot listen on {parameters.host}:{parameters.port}; another "
            "program uses the port, or the address is not this machine's. Stop it, or choose another port "
            "(--port 0 picks a free one)."
        ) from None
