"""tensorflow.serving.PredictionService: Predict, Classify, GetModelMetadata.

Methods take and give bytes: answers are written as wire format, and the request log keeps both as they were.
"""

from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving import protos, tensors, wire
from serving.batching import Arrays
from serving.call import Call, Method
from serving.inputs import Feeds, classify_feeds, predict_feeds
from serving.session_engine import Signature
from serving.status import StatusError, invalid
from serving.versions import Servable, Versions

SERVICE = "tensorflow.serving.PredictionService"
DEFAULT_SIGNATURE = "serving_default"


class PredictionService:
    """Answers the service's calls.

    Args:
        versions: who serves a request.
    """

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    def methods(self) -> dict[str, Method]:
        """What answers each path."""
        return {
            f"/{SERVICE}/Predict": self._predict,
            f"/{SERVICE}/Classify": self._classify,
            f"/{SERVICE}/GetModelMetadata": self._get_model_metadata,
        }

    async def _predict(self, message: bytes, call: Call) -> bytes:
        request = _parse(protos.PredictRequest, message)
        servable = self._find(request.model_spec, call)
        signature = servable.signatures.get(call.signature)
        if signature is None:
            raise StatusError(
                grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{call.signature}" not found.'
            )
        feeds = predict_feeds(signature, request.inputs)
        outputs = _selected(signature, request.output_filter)
        arrays = await self._run(servable, signature, feeds, message, call)
        return _predict_outputs(outputs, arrays) + wire.block(2, servable.model_spec(signature))

    async def _classify(self, message: bytes, call: Call) -> bytes:
        request = _parse(protos.ClassificationRequest, message)
        servable = self._find(request.model_spec, call)
        signature = servable.signatures.get(call.signature)
        if signature is None:
            raise invalid(f"No signature was found with the name: {call.signature}")
        feeds = classify_feeds(signature, request.input)
        arrays = await self._run(servable, signature, feeds, message, call)
        return _classifications(signature, arrays) + wire.block(2, servable.model_spec(signature))

    async def _get_model_metadata(self, message: bytes, call: Call) -> bytes:
        request = _parse(protos.GetModelMetadataRequest, message)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for name in request.metadata_field:
            if name != "signature_def":
                raise invalid(f"Metadata field {name} is not supported")
        servable = self._find(request.model_spec, call)
        signatures = protos.SignatureDefMap()
        for name, definition in servable.signature_defs.items():
            signatures.signature_def[name].CopyFrom(definition)
        response = protos.GetModelMetadataResponse()
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        response.metadata["signature_def"].Pack(signatures)
        return response.SerializeToString()

    def _find(self, spec: Any, call: Call) -> Servable:
        call.model = spec.name
        call.signature = spec.signature_name or DEFAULT_SIGNATURE
        servable = self._versions.find(spec)
        call.version = servable.version
        return servable

    async def _run(self, servable: Servable, signature: Signature, feeds: Feeds, message: bytes, call: Call) -> Arrays:
        arrays = await servable.batcher.submit(signature, feeds, len(message))
        call.watched = bool(feeds)  # what takes no input, such as a description, is not traffic to watch
        return arrays


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
