"""The same server in front of a stock TensorFlow Serving: calls are handed on as the bytes that they are."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from unroll.errors import UserError
from unroll.serving.client import connection
from unroll.serving.files import regular_files
from unroll.serving.files.followed_file import FollowedFile
from unroll.serving.protocol import model_spec, protos
from unroll.serving.protocol.call import REQUEST_ID, Call, Method
from unroll.serving.protocol.status import StatusError

_log = logging.getLogger(__name__)
_POLL_TIMEOUT = 5.0
_LAST_CALLS_SECONDS = 600.0  # for those on a connection that another has taken the place of
# How gRPC says that it has no connection; other UNAVAILABLE are the remote server's own.
_NO_CONNECTION = ("connect", "Socket closed", "handshake", "resol", "GOAWAY")
Pems = tuple[bytes | None, bytes | None, bytes | None]
"""Authorities, and this server's own key and certificate, as far as there are any."""


@dataclass(frozen=True)
class RemoteParameters:
    """Where the server is, and how to speak to it.

    Args:
        address: `host:port` of its gRPC port, or `unix:/path`.
        max_message_bytes: of one request or response.
        root_certificates: PEM file of the authorities that the server's certificate may come from; None: no TLS.
        client_certificate: PEM file of this server's own certificate, for a server that asks for one.
        client_key: PEM file of its private key.
    """

    address: str
    max_message_bytes: int = 32 << 20
    root_certificates: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None


class RemoteEngine:
    """Has another server answer, over one connection: on several, a call costs as much, and more with few callers. Made
    and used in the event loop's thread.

    The caller's deadline and request id go along, a call that is cancelled here is cancelled there, and codes and texts
    of refusals come back as they are. No other metadata goes along: tokens are for this server.

    Whether models can be asked is polled (`poll`, `follow`), not found out with requests. PEM files that are renewed
    are followed as well: later calls go over a new connection, and those that there are end on the old one.

    Args:
        parameters: see `RemoteParameters`.
        models: names whose state is told from the start on; others are as soon as they have answered.
        on_serving: told a model's name and whether it can be asked, whenever that changes.

    Raises:
        UserError: a PEM file cannot be read, or is not one.

    Example:
        >>> engine = RemoteEngine(RemoteParameters("10.0.0.7:8500"), ["sentiment"], health.set)  # doctest: +SKIP
        >>> dispatcher = Dispatcher(engine.methods())  # doctest: +SKIP
        >>> following = asyncio.create_task(engine.follow(1.0))  # doctest: +SKIP
    """

    def __init__(
        self,
        parameters: RemoteParameters,
        models: Iterable[str],
        on_serving: Callable[[str, bool], Awaitable[None]],
    ) -> None:
        self._address = parameters.address
        self._parameters = parameters
        self._files = [FollowedFile(file) for file in _pem_files(parameters) if file]
        self._said = ""
        self._closing: set[asyncio.Task[None]] = set()
        self._connect(_read_pems(parameters))
        self._serving: dict[str, bool | None] = dict.fromkeys(models)
        self._on_serving = on_serving

    @property
    def serving(self) -> list[str]:
        """Names of the models that can be asked."""
        return [name for name, serving in self._serving.items() if serving]

    def methods(self) -> dict[str, Method]:
        """What answers each path."""
        return {path: self._forwarding(path) for path in (*model_spec.INFERENCE, *_OTHERS)}

    async def start(self) -> None:
        """Says in the log whether the models known can be asked, or the server, if there are none."""
        if self._serving:
            await self.poll()
            return
        try:
            await self._state("")
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                _log.error("model server at %s: cannot be asked: %s", self._address, error.details())
                return
        _log.info("model server at %s: answers", self._address)

    async def poll(self) -> None:
        """Asks for the state of every model known."""
        await asyncio.gather(*map(self._look, list(self._serving)))

    async def follow(self, seconds: float) -> None:
        """Polls for good, with this pause."""
        while True:
            await asyncio.sleep(seconds)
            if any(file.changed() for file in self._files):
                self._renew()
            await self.poll()

    async def close(self) -> None:
        """Closes the connection; calls that are still on it are cancelled."""
        for closing in self._closing:
            closing.cancel()
        await self._channel.close()

    def _connect(self, pems: Pems) -> None:
        self._pems = pems
        self._channel = _channel(self._parameters, pems)
        self._asks = {path: self._channel.unary_unary(path) for path in (*model_spec.INFERENCE, *_OTHERS)}

    def _renew(self) -> None:
        try:
            pems = _read_pems(self._parameters)
        except UserError as error:
            if str(error) != self._said:
                _log.error("%s. The connection to %s has those from before.", str(error).rstrip("."), self._address)
            for file in self._files:
                file.retry(soon=False)
            self._said = str(error)
            return
        self._said = ""
        if pems != self._pems:
            closing = asyncio.create_task(self._channel.close(_LAST_CALLS_SECONDS))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            self._connect(pems)
            _log.info("model server at %s: certificates are renewed", self._address)

    async def _state(self, name: str) -> bytes:
        request = protos.GetModelStatusRequest()
        request.model_spec.name = name
        return await self._asks[model_spec.STATUS](request.SerializeToString(), timeout=_POLL_TIMEOUT)

    async def _look(self, name: str) -> None:
        try:
            answer = await self._state(name)
        except grpc.aio.AioRpcError as error:
            if error.code() in _DOWN:  # others, such as those of a busy server, are no reason to take a model away
                await self._tell(name, False, error.details() or "")
            return
        states = [one.state for one in protos.GetModelStatusResponse.FromString(answer).model_version_status]
        await self._tell(name, _AVAILABLE in states, "no version is available")

    async def _tell(self, name: str, serving: bool, reason: str) -> None:
        if self._serving[name] == serving:
            return
        self._serving[name] = serving
        if serving:
            _log.info("%s at %s: serving", name, self._address)
        else:
            _log.error("%s at %s: cannot be asked: %s", name, self._address, reason)
        await self._on_serving(name, serving)

    def _forwarding(self, path: str) -> Method:
        loop = asyncio.get_running_loop()

        async def forward(message: bytes, call: Call) -> bytes:
            left = None if call.deadline is None else call.deadline - loop.time()
            if left is not None and left <= 0:
                raise StatusError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
            has_inputs = False
            if path != model_spec.RELOAD:
                specs, has_inputs = model_spec.asked(path, message)
                if specs:
                    call.model = specs[0].name
                    call.signature = specs[0].signature_name or model_spec.DEFAULT_SIGNATURE
            try:
                response = await self._asks[path](message, timeout=left, metadata=((REQUEST_ID, call.request_id),))
            except grpc.aio.AioRpcError as error:
                raise StatusError(error.code(), self._explained(error)) from None
            if path not in _WITHOUT_SPEC:
                spec = model_spec.answered(path, response)
                if spec.HasField("version"):
                    call.version = spec.version.value
                    call.watched = has_inputs
            if call.model:
                self._serving.setdefault(call.model)
            return response

        return forward

    def _explained(self, error: grpc.aio.AioRpcError) -> str:
        details = error.details() or ""
        if error.code() is grpc.StatusCode.UNAVAILABLE and any(sign in details for sign in _NO_CONNECTION):
            return f"The model server at {self._address} does not answer. Check that it runs there ({details})"
        return details


_WITHOUT_SPEC = (model_spec.STATUS, model_spec.RELOAD)
_OTHERS = (model_spec.METADATA, *_WITHOUT_SPEC)
_DOWN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.NOT_FOUND)
_AVAILABLE = protos.ModelVersionStatus.State.Value("AVAILABLE")


def _pem_files(parameters: RemoteParameters) -> tuple[Path | None, Path | None, Path | None]:
    if parameters.root_certificates is None:
        return None, None, None
    return parameters.root_certificates, parameters.client_key, parameters.client_certificate


def _read_pems(parameters: RemoteParameters) -> Pems:
    roots, key, certificate = _pem_files(parameters)
    connection.credentials(roots, certificate, key)  # refuses what gRPC would only not connect with
    try:
        read = [regular_files.read(file) if file else None for file in (roots, key, certificate)]
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror}). Name a PEM file") from None
    return read[0], read[1], read[2]


def _channel(parameters: RemoteParameters, pems: Pems) -> grpc.aio.Channel:
    options = connection.options(parameters.max_message_bytes)
    if parameters.root_certificates is None:
        return grpc.aio.insecure_channel(parameters.address, options=options)
    return grpc.aio.secure_channel(parameters.address, grpc.ssl_channel_credentials(*pems), options=options)
