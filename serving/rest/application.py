"""The REST endpoint: HTTP in, gRPC's messages to the dispatcher, JSON out.

An ASGI application. URLs under /v1/ are answered as tensorflow_model_server answers them.
"""

import asyncio
import functools
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format

from unroll.serving.front.addresses import network
from unroll.serving.front.background import LARGE, Background
from unroll.serving.front.dispatcher import Dispatcher
from unroll.serving.front.metrics import Metrics
from unroll.serving.protocol import protos, wire
from unroll.serving.protocol.call import REQUEST_ID, Call
from unroll.serving.protocol.model_spec import METADATA, PREDICTION, STATUS
from unroll.serving.protocol.status import StatusError
from unroll.serving.rest import bodies, openapi, signatures, urls
from unroll.serving.rest.hosts import Hosts
from unroll.serving.rest.json import answers as json_answers
from unroll.serving.rest.json import large_documents
from unroll.serving.rest.json import requests as json_requests
from unroll.serving.rest.json import text as json_text
from unroll.serving.rest.peers import ConnectionLimits
from unroll.serving.rest.signatures import Signatures
from unroll.serving.rest.urls import Target

_log = logging.getLogger(__name__)
_CODE = grpc.StatusCode
_STATUSES = {
    _CODE.OK: 200,
    _CODE.CANCELLED: 499,
    _CODE.INVALID_ARGUMENT: 400,
    _CODE.FAILED_PRECONDITION: 400,
    _CODE.OUT_OF_RANGE: 400,
    _CODE.UNAUTHENTICATED: 401,
    _CODE.PERMISSION_DENIED: 403,
    _CODE.NOT_FOUND: 404,
    _CODE.ALREADY_EXISTS: 409,
    _CODE.ABORTED: 409,
    _CODE.RESOURCE_EXHAUSTED: 429,
    _CODE.UNIMPLEMENTED: 501,
    _CODE.UNAVAILABLE: 503,
    _CODE.DEADLINE_EXCEEDED: 504,
}
_PATHS = {
    "predict": f"{PREDICTION}Predict",
    "classify": f"{PREDICTION}Classify",
    "regress": f"{PREDICTION}Regress",
    "metadata": METADATA,
    "status": STATUS,
}
# What a refusal may owe to signatures that were remembered of another version.
_STALE = (_CODE.INVALID_ARGUMENT, _CODE.FAILED_PRECONDITION)
_SLACK_SECONDS = 0.1  # for the dispatcher to notice the deadline itself
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_PAGE = Path(__file__).with_name("page.html")
_CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, GET",
    "access-control-allow-headers": "Content-Type",
}

Scope = Mapping[str, Any]
Run = Callable[..., Awaitable[Any]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class RestParameters:
    """How the endpoint answers.

    Args:
        timeout_seconds: how long a request may take once it is read.
        max_body_bytes: size of a request's body, unpacked.
        max_held_bytes: size of the bodies of all requests that are not answered yet; of one peer's, half of that.
        cors: whether pages of other sites may ask.
        metrics_path: where Prometheus' metrics are, or None for nowhere.
        hosts: names by which the server may be asked; None: any.
        connections: what clients may take up before there is a request.
    """

    timeout_seconds: float = 30.0
    max_body_bytes: int = 16 << 20
    max_held_bytes: int = 256 << 20
    cors: bool = False
    metrics_path: str | None = "/monitoring/prometheus/metrics"
    hosts: Hosts | None = None
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes
    content_type: str = "application/json"


class RestApplication:
    """The endpoint as an ASGI application.

    Args:
        dispatcher: answers the calls.
        models: names of the models that can be asked now, for the OpenAPI document.
        metrics: counts what is refused before the dispatcher sees it.
        parameters: see `RestParameters`.
        exposition: Prometheus' text; that of `metrics` by default.

    Example:
        >>> application = RestApplication(Dispatcher(methods), lambda: ["sentiment"], Metrics())  # doctest: +SKIP
        >>> uvicorn.run(application, port=8501)  # doctest: +SKIP
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        models: Callable[[], Iterable[str]],
        metrics: Metrics,
        parameters: RestParameters = RestParameters(),
        exposition: Callable[[], Awaitable[bytes]] | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._models = models
        self._metrics = metrics
        self._parameters = parameters
        self._exposition = exposition
        self._signatures = Signatures(dispatcher)
        # The latest OpenAPI document: to write one takes milliseconds of the loop, whoever asks.
        self._described: tuple[dict[str, bytes], bytes] = {}, openapi.document({})
        self._background = Background("rest-json")
        self._bodies = bodies.Bodies(parameters.max_body_bytes, parameters.max_held_bytes, self._background)

    async def __call__(self, scope: Scope, receive: bodies.Receive, send: Send) -> None:
        if scope["type"] != "http":  # a WebSocket is refused by closing it
            if scope["type"] == "websocket":
                await send({"type": "websocket.close"})
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        call = Call("", "REST", headers)
        try:
            answer = await self._answer(scope, headers, receive, call)
        except (bodies.Disconnected, asyncio.CancelledError):  # the client is gone, or the server ends
            return
        except Exception:
            _log.exception("%s %s", scope["method"], scope["path"])
            answer = _Answer(500, json_answers.error("Internal error; the server's log says more."))
        sent = {
            "content-type": answer.content_type,
            "content-length": str(len(answer.body)),
            REQUEST_ID: call.request_id,
            **(_CORS if self._parameters.cors else {}),
        }
        if answer.status == 401:
            sent["www-authenticate"] = "Bearer"
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, headers: Mapping[str, str], receive: bodies.Receive, call: Call) -> _Answer:
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        verb = scope["method"]
        hosts = self._parameters.hosts
        if hosts is not None and not hosts.accept(host := headers.get("host", "")):
            return _Answer(
                403,
                json_answers.error(
                    f"This server is not asked by the name {host!r}. Ask 127.0.0.1 or localhost, or allow the "
                    "name with --rest_allowed_hosts."
                ),
            )
        if path[:4].lower() == "/v1/":
            if scope["query_string"]:
                path += "?" + scope["query_string"].decode("latin-1")
            call.peer = peer = network(scope["client"][0]) if scope.get("client") else ""
            return await self._api(verb, path, headers, receive, call, peer)
        if verb in ("GET", "HEAD"):
            if path == self._parameters.metrics_path:
                text = await self._exposition() if self._exposition else self._metrics.exposition()
                return _Answer(200, text, _TEXT)
            if path in ("/", "/docs"):
                return _Answer(200, _PAGE.read_bytes(), "text/html; charset=utf-8")
            if path == "/openapi.json":
                return await self._refusable(self._openapi(call))
        return _Answer(404, json_answers.error(f"Not found: {verb} {path}"))

    async def _api(
        self, verb: str, path: str, headers: Mapping[str, str], receive: bodies.Receive, call: Call, peer: str
    ) -> _Answer:
        if verb == "OPTIONS":
            if re.search("https?://", headers.get("origin", "")):
                return _Answer(200, b"")
            return _Answer(400, json_answers.error("Origin header is missing in CORS preflight"))
        start = time.monotonic()
        body = self._bodies.of(peer)
        try:
            target = urls.target(verb, path)
            call.path, call.model = _PATHS[target.what], target.model
            self._dispatcher.admit(call)
            document = await self._counted(call, body.read(receive, headers)) if verb == "POST" else b""
            call.deadline = asyncio.get_running_loop().time() + self._parameters.timeout_seconds
            async with asyncio.timeout_at(call.deadline + _SLACK_SECONDS):
                return _Answer(200, await self._ask(target, document, call, peer))
        except TimeoutError:
            refusal = StatusError(_CODE.DEADLINE_EXCEEDED, "Timed out waiting for notification")
        except bodies.UnknownEncoding:
            self._metrics.answered(call, _CODE.INVALID_ARGUMENT, time.monotonic() - start)
            encoding = headers["content-encoding"]
            return _Answer(
                415, json_answers.error(f"Content-Encoding {encoding} is not read. Send gzip, or plain JSON.")
            )
        except bodies.TooLarge as error:
            self._metrics.answered(call, _CODE.RESOURCE_EXHAUSTED, time.monotonic() - start)
            return _Answer(413, json_answers.error(str(error)))
        except StatusError as error:
            refusal = error
        finally:
            body.release()
        return _refused(refusal)

    async def _ask(self, target: Target, body: bytes, call: Call, peer: str) -> bytes:
        if target.what == "status":
            response = await self._dispatcher.answer(wire.block(1, target.spec()), call)
            return _printed(protos.GetModelStatusResponse.FromString(response)).encode()
        if target.what == "metadata":
            answer = await signatures.metadata(self._dispatcher, target, call)
            definitions = protos.SignatureDefMap()
            answer.metadata["signature_def"].Unpack(definitions)
            return (
                f'{{\n"model_spec":{_printed(answer.model_spec)},\n'
                f'"metadata": {{"signature_def": {_printed(definitions)}}}\n}}\n'
            ).encode()
        in_thread = functools.partial(self._background.run, peer)
        if len(body) < LARGE:
            run, parse = _at_once, json_text.parse
        else:
            pace = self._background.pace(self._parameters.timeout_seconds)
            run, parse = in_thread, functools.partial(large_documents.parse, pace=pace)
        document = await self._counted(call, run(parse, body))
        signature = await self._counted(call, _at_once(json_requests.signature_name, document))
        spec = target.spec(signature)
        if target.what != "predict":
            message = await self._counted(call, run(json_requests.examples_request, document, spec))
            write = json_answers.classifications if target.what == "classify" else json_answers.regressions
            return await self._written(in_thread, write, await self._dispatcher.answer(message, call))
        known = self._signatures.remembered(target, signature)
        inputs = known or await self._counted(call, self._signatures.ask(target, signature, call))
        try:
            return await self._predict(document, spec, inputs, call, run, in_thread)
        except StatusError as error:
            if known is None or error.code not in _STALE:
                raise
            # The caller may be in the right: of a new version. To ask again also checks that it may know of signatures.
            inputs = await self._signatures.ask(target, signature, call)
            if inputs == known:
                raise error from None
            return await self._predict(document, spec, inputs, call, run, in_thread)

    async def _predict(
        self, document: Any, spec: bytes, inputs: json_requests.Inputs, call: Call, run: Run, in_thread: Run
    ) -> bytes:
        try:
            message, form = await self._counted(call, run(json_requests.predict_request, document, spec, inputs))
        except json_requests.Refused as refused:
            error = await in_thread(refused.words)
            self._metrics.answered(call, error.code, 0.0)
            raise error from None
        return await self._written(
            in_thread, json_answers.predictions, await self._dispatcher.answer(message, call), form
        )

    async def _written(self, in_thread: Run, write: Callable[..., bytes], response: bytes, *arguments: Any) -> bytes:
        """An answer as JSON."""
        if len(response) < LARGE:
            return write(response, *arguments)
        return await in_thread(write, response, *arguments, self._background.pace(self._parameters.timeout_seconds))

    async def _counted(self, call: Call, converting: Awaitable[Any]) -> Any:
        """Returns what is converted, and counts a refusal, which the dispatcher never sees."""
        try:
            return await converting
        except StatusError as error:
            self._metrics.answered(call, error.code, 0.0)
            raise

    async def _openapi(self, call: Call) -> bytes:
        answers = {}
        for name in sorted(self._models()):
            try:
                answers[name] = await signatures.serialized_metadata(self._dispatcher, Target("metadata", name), call)
            except StatusError as error:
                if error.code not in (_CODE.PERMISSION_DENIED, _CODE.NOT_FOUND):  # others', or withdrawn just now
                    raise
        if answers != self._described[0]:
            described = {}
            for name, answer in answers.items():
                read = protos.GetModelMetadataResponse.FromString(answer)
                described[name] = (read.model_spec.version.value, signatures.signature_defs(read))
            self._described = answers, openapi.document(described)
        return self._described[1]

    async def _refusable(self, answering: Awaitable[bytes]) -> _Answer:
        try:
            return _Answer(200, await answering)
        except StatusError as error:
            return _refused(error)


async def _at_once(work: Callable[..., Any], *arguments: Any) -> Any:
    return work(*arguments)


def _refused(error: StatusError) -> _Answer:
    return _Answer(_STATUSES.get(error.code, 500), json_answers.error(error.message))


def _printed(message: Any) -> str:
    return json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
