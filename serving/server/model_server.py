"""One process of the server: endpoints, dispatcher and backend, from start to drain."""

import asyncio
import contextlib
import functools
import gc
import json
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop

from unroll.errors import UserError
from unroll.serving.engine.graph_session import device_types
from unroll.serving.front import health, reflection
from unroll.serving.front.dispatcher import Dispatcher
from unroll.serving.front.health import Health
from unroll.serving.front.metrics import Metrics
from unroll.serving.front.request_log import RequestLog
from unroll.serving.front.tls import Certificates, server_context
from unroll.serving.http2 import GrpcServer
from unroll.serving.processes.event_loop import EventLoopLoad
from unroll.serving.processes.growth import Growth, call_back
from unroll.serving.processes.siblings import Siblings
from unroll.serving.protocol.model_spec import MODEL_SERVICE, PREDICTION_SERVICE, RELOAD
from unroll.serving.rest import ConnectionLimits, RestApplication, RestServer, samples
from unroll.serving.server.announcement import Endpoint, Ready
from unroll.serving.server.backends import Backend, RemoteBackend, SessionBackend
from unroll.serving.server.parameters import Ports, ServerParameters
from unroll.serving.server.ports import is_answered
from unroll.serving.versions.model_config import ModelConfigs

_log = logging.getLogger(__name__)
_SERVICES = (PREDICTION_SERVICE, MODEL_SERVICE)
_LOOK_SECONDS = 5.0  # from one look at how busy the event loop is to the next, where nothing follows from it
_CLOSE_SECONDS = 5.0  # after the drain, for what runs though its clients are gone


def serve(configs: ModelConfigs | None, parameters: ServerParameters, on_ready: Callable[[Ready], None]) -> None:
    """Serves until SIGTERM or SIGINT, then lets requests in flight finish. Before it serves, these end it.

    Args:
        configs: the models; None where another server has them.
        parameters: see `ServerParameters`.
        on_ready: called once clients are answered.

    Raises:
        UserError: a port is in use, or there is no model that loads.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, contextlib.suppress(asyncio.CancelledError):
        runner.run(_serve(configs, parameters, on_ready))


async def _serve(configs: ModelConfigs | None, parameters: ServerParameters, on_ready: Callable[[Ready], None]) -> None:
    ports = parameters.ports
    stop, starting = asyncio.Event(), asyncio.current_task()

    def on_signal() -> None:
        if starting and not stop.is_set():
            _log.info("stopping before it serves")
            starting.cancel()
        stop.set()

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, on_signal)
    states, metrics = Health(_SERVICES), Metrics()
    backend: Backend
    if configs is None:
        backend = RemoteBackend(parameters, states)
    else:
        backend = SessionBackend(configs, parameters, states, metrics)
    async with contextlib.AsyncExitStack() as open_things:
        open_things.push_async_callback(_close, backend)
        await backend.start()
        methods = {**backend.methods(), **states.methods()}
        exposition, siblings = None, None
        if parameters.siblings:
            reload = methods[RELOAD] if configs is not None else None  # another server is told once
            siblings = Siblings(parameters.siblings, reload, metrics)
            open_things.push_async_callback(siblings.close)
            if ports.shared:
                await siblings.start()
            exposition = siblings.exposition
            if reload:
                methods[RELOAD] = siblings.reload
        log = None
        if parameters.logging.folder:
            log = RequestLog(parameters.logging.folder, parameters.logging.parameters)
            open_things.callback(log.close)
            metrics.reads(
                "unroll_request_log_dropped_total",
                "counter",
                "Records that are in no file: the disk failed or did not keep up, or the file vanished.",
                (),
                lambda: {(): float(log.dropped)},
            )
            metrics.reads(
                "unroll_request_log_vanished_files_total",
                "counter",
                "Files that were deleted or replaced while they were written.",
                (),
                lambda: {(): float(log.vanished)},
            )
        dispatcher = Dispatcher(methods, log, metrics, parameters.auth)
        gc.collect()
        gc.freeze()  # what is there stays: to look through it again at each full collection would take tens of ms
        streams = {**states.streams(), **reflection.streams((*_SERVICES, health.SERVICE, reflection.SERVICE))}
        grpc = GrpcServer(dispatcher.answer, streams, parameters.grpc, dispatcher.admit)
        port = await _listen(grpc, ports)
        if ports.unix_socket:
            open_things.callback(_unlink, ports.unix_socket, _identity(ports.unix_socket))
        rest = None
        rest_port = 0
        if ports.rest:
            application = RestApplication(dispatcher, lambda: backend.serving(), metrics, parameters.rest, exposition)
            rest = _rest_server(application, ports, parameters.rest.connections)
            rest_port = await rest.start()
        metrics.reads(
            "unroll_unreadable_connections_total",
            "counter",
            "Connections that spoke no HTTP/1.1 to REST, or failed at TLS.",
            ("endpoint",),
            lambda: {("GRPC",): grpc.failures.count, ("REST",): rest.unreadable if rest else 0},
        )

        endpoints: list[GrpcServer | RestServer] = [grpc, *([rest] if rest else [])]
        load, growth = EventLoopLoad(metrics), _growth(parameters, siblings, endpoints, port)
        looking = load.watch(*((growth.look_seconds, growth.look) if growth else (_LOOK_SECONDS, lambda _: None)))
        async with _running(backend, looking):
            starting = None
            reached = _endpoint(port, ports.grpc_tls), _endpoint(rest_port, ports.rest_tls)
            on_ready(_ready(backend, *reached, parameters.auth is not None))
            if siblings and ports.shared:
                joining = asyncio.create_task(siblings.join())
                open_things.callback(joining.cancel)
            await stop.wait()
            calls = grpc.usage.calls + (rest.calls if rest else 0)
            _log.info("stopping: calls in flight (%d) may take %g seconds", calls, parameters.drain_seconds)
        await states.stop()
        growth_stops = [growth.stop(parameters.drain_seconds + 2 * _CLOSE_SECONDS)] if growth else []
        *_, cut = await asyncio.gather(*growth_stops, _stop_all(endpoints, parameters.drain_seconds))
        if cut:
            _log.warning("calls in flight (%d) are cut off after %g seconds", cut, parameters.drain_seconds)


def _growth(
    parameters: ServerParameters, siblings: Siblings | None, endpoints: Sequence[GrpcServer | RestServer], port: int
) -> Growth | None:
    """Has clients come back when another process joins; gives what starts others, if there may be any."""
    if siblings is None:
        return None
    if parameters.growth is None:
        siblings.on_newcomer = functools.partial(call_back, endpoints)
        return None
    return Growth(
        parameters.growth, siblings, endpoints, port, lambda: not parameters.remote and "GPU" in device_types()
    )


async def _stop_all(endpoints: Sequence[GrpcServer | RestServer], drain_seconds: float) -> int:
    """Stops the endpoints, and tells how many calls that cut off."""
    return sum(await asyncio.gather(*(endpoint.stop(drain_seconds) for endpoint in endpoints)))


async def _close(backend: Backend) -> None:
    closing = asyncio.create_task(backend.close())
    done, _ = await asyncio.wait([closing], timeout=_CLOSE_SECONDS)
    if done:
        closing.result()
    else:
        _log.warning("a batch still runs, for clients that are gone: it ends with the process")


@contextlib.asynccontextmanager
async def _running(backend: Backend, *further: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Has the backend follow what it serves for the duration, and further work go on."""
    tasks = [asyncio.create_task(work) for work in (*backend.following(), *further)]
    for task in tasks:
        task.add_done_callback(_tell_of_end)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _tell_of_end(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():  # it runs for good, so that something broke
        work = getattr(task.get_coro(), "__qualname__", "it")
        _log.error("%s broke: what it looks at is no longer followed", work, exc_info=task.exception())


def _endpoint(port: int, tls: Certificates | None) -> Endpoint:
    return Endpoint(port, tls is not None, bool(tls and tls.authorities))


def _ready(backend: Backend, grpc: Endpoint, rest: Endpoint, tokens: bool) -> Ready:
    models = backend.versions()
    definitions = backend.signature_defs(next(iter(models))) if models else {}
    request = samples.first(definitions)
    shown = "" if request is None else json.dumps(request, ensure_ascii=False)
    return Ready(grpc, rest, models, tokens, samples.predict_input(definitions), shown)


async def _listen(server: GrpcServer, ports: Ports) -> int:
    tls = server_context(ports.grpc_tls, "h2") if ports.grpc_tls else None
    try:
        port = await server.listen(ports.host, ports.grpc, tls, ports.shared)
    except OSError as error:
        raise UserError(f"--port {ports.grpc}: cannot listen on {ports.host} ({error.strerror or error}).") from None
    if ports.unix_socket:
        if ports.unix_socket.is_socket():
            which = "still runs" if is_answered(ports.unix_socket) else "is gone"
            _log.info("--grpc_socket_path %s: taken over from an older server, which %s", ports.unix_socket, which)
        try:
            await server.listen_unix(str(ports.unix_socket))
        except OSError as error:
            raise UserError(
                f"--grpc_socket_path {ports.unix_socket}: cannot listen there ({error.strerror or error}). "
                "Name another path."
            ) from None
    return port


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What tells a file from one that took its place; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _unlink(path: Path, ours: tuple[int, int, int] | None) -> None:
    """Removes a socket, unless a newer server took the path over."""
    if _identity(path) == ours:
        path.unlink(missing_ok=True)


def _rest_server(application: object, ports: Ports, limits: ConnectionLimits) -> RestServer:
    tls = server_context(ports.rest_tls, "http/1.1") if ports.rest_tls else None
    return RestServer(application, ports.host, ports.rest, tls=tls, reuse_port=ports.shared, limits=limits)
