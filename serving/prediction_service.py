"""tensorflow.serving.PredictionService: Predict, Classify, GetModelMetadata.

Handlers take and give bytes: answers are written as wire format, and the request log keeps both as they
were.
"""

import random
import time
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving import protos, tensors, wire
from serving.batching import Arrays
from serving.inputs import Feeds, classify_feeds, predict_feeds
from serving.request_log import Entry, RequestLog
from serving.session_engine import Signature
from serving.status import StatusError, invalid
from serving.versions import Servable, Versions

SERVICE = "tensorflow.serving.PredictionService"
DEFAULT_SIGNATURE = "serving_default"
REQUEST_ID = "x-request-id"
_LONGEST_ID = 128


class PredictionService:
    """Answers the service's calls.

    Args:
        versions: who serves a request.
        log: where answered requests go, or None.
    """

    def __init__(self, versions: Versions, log: RequestLog | None) -> None:
        self._versions = versions
        self._log = log

    def handler(self) -> grpc.GenericRpcHandler:
        """What a gRPC server registers."""
        methods = {
            "Predict": self._predict,
            "Classify": self._classify,
            "GetModelMetadata": self._get_model_metadata,
        }
        return grpc.method_handlers_generic_handler(
            SERVICE, {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
        )

    async def _predict(self, message: bytes, context: Any) -> bytes:
        def start() -> tuple[Servable, Signature, Feeds, Callable[[Arrays], bytes]]:
            request = _parse(protos.PredictRequest, message)
            servable = self._versions.find(request.model_spec)
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            signature = servable.signatures.get(name)
            if signature is None:
                raise StatusError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
            feeds = predict_feeds(signature, request.inputs)
            outputs = _selected(signature, request.output_filter)
            return servable, signature, feeds, lambda arrays: _predict_outputs(outputs, arrays)

        return await self._run("Predict", message, context, start, spec_field=2)

    async def _classify(self, message: bytes, context: Any) -> bytes:
        def start() -> tuple[Servable, Signature, Feeds, Callable[[Arrays], bytes]]:
            request = _parse(protos.ClassificationRequest, message)
            servable = self._versions.find(request.model_spec)
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            signature = servable.signatures.get(name)
            if signature is None:
                raise invalid(f"No signature was found with the name: {name}")
            feeds = classify_feeds(signature, request.input)
            return servable, signature, feeds, lambda arrays: _classifications(signature, arrays)

        return await self._run("Classify", message, context, start, spec_field=2)

    async def _run(
        self,
        method: str,
        message: bytes,
        context: Any,
        start: Callable[[], tuple[Servable, Signature, Feeds, Callable[[Arrays], bytes]]],
        spec_field: int,
    ) -> bytes:
        time_ns = time.time_ns()
        request_id = request_id_of(context)
        try:
            try:
                servable, signature, feeds, finish = start()
                future = servable.batcher.submit(signature, feeds, len(message))
            finally:
                # The engine works while this is on its way.
                await context.send_initial_metadata(((REQUEST_ID, request_id),))
            answer = finish(await future)
        except StatusError as error:
            await context.abort(error.code, error.message)
        spec = servable.model_spec(signature)
        response = answer + wire.block(spec_field, spec)
        # what takes no input, such as a description, is not traffic to watch
        if self._log and feeds and self._log.sampled(request_id):
            self._log.add(Entry(time_ns, servable.name, servable.version, request_id, method, spec, message, response))
        return response

    async def _get_model_metadata(self, message: bytes, context: Any) -> bytes:
        await context.send_initial_metadata(((REQUEST_ID, request_id_of(context)),))
        try:
            request = _parse(protos.GetModelMetadataRequest, message)
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for name in request.metadata_field:
                if name != "signature_def":
                    raise invalid(f"Metadata field {name} is not supported")
            servable = self._versions.find(request.model_spec)
        except StatusError as error:
            await context.abort(error.code, error.message)
        signatures = protos.SignatureDefMap()
        for name, definition in servable.signature_defs.items():
            signatures.signature_def[name].CopyFrom(definition)
        response = protos.GetModelMetadataResponse()
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        response.metadata["signature_def"].Pack(signatures)
        return response.SerializeToString()


def request_id_of(context: Any) -> str:
    """The caller's `x-request-id`, or a new one."""
    for key, value in context.invocation_metadata():
        if key == REQUEST_ID and 0 < len(value) <= _LONGEST_ID:
            return value
    return f"{random.getrandbits(128):032x}"


def _parse(message_class: Any, message: bytes) -> Any:
    try:
        request = message_class.FromString(message)
    except DecodeError:
        raise invalid(f"The request is not a {message_class.DESCRIPTOR.name} message") from None
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request


def _selected(signature: Signature, output_filter: Any) -> list[tuple[int, bytes]]:
    """Position and name of the outputs that were asked for; all of them where none was named."""
    aliases = list(signature.outputs)
    chosen: list[str] = []
    for alias in output_filter or aliases:
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{','.join(aliases)}}}."
            )
        if alias in chosen:
            raise invalid(f"duplicate output tensor alias: {alias}")
        chosen.append(alias)
    return [(aliases.index(alias), alias.encode()) for alias in chosen]


def _predict_outputs(outputs: list[tuple[int, bytes]], arrays: Arrays) -> bytes:
    entries = (wire.block(1, alias) + wire.block(2, tensors.encode(arrays[position])) for position, alias in outputs)
    return wire.blocks(1, entries)


def _classifications(signature: Signature, arrays: Arrays) -> bytes:
    by_name = dict(zip(signature.outputs, arrays, strict=True))
    classes, scores = by_name.get("classes"), by_name.get("scores")
    result = protos.ClassificationResult()
    for row in range(len(arrays[0])):
        classification = result.classifications.add()
        for column in range(arrays[0].shape[1]):
            entry = classification.classes.add()
            if classes is not None:
                entry.label = classes[row, column].decode(errors="replace")
            if scores is not None:
                entry.score = scores[row, column]
    return wire.block(1, result.SerializeToString())
