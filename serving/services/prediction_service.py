"""tensorflow.serving.PredictionService: Predict, Classify, Regress, MultiInference, GetModelMetadata.

Methods take and give bytes: answers are written as wire format, and the request log keeps both as they were.
"""

import asyncio
import time
from typing import Any

import grpc
from numpy.typing import NDArray

from unroll.serving.engine import answers
from unroll.serving.engine.answers import Arrays, ExampleTask
from unroll.serving.engine.inputs import predict_feeds
from unroll.serving.engine.session_engine import Signature
from unroll.serving.front.background import Background
from unroll.serving.front.limits import ROW_BYTES, Limits
from unroll.serving.protocol import examples, protos, tensors, wire
from unroll.serving.protocol.call import Call, Method
from unroll.serving.protocol.model_spec import (
    CLASSIFY,
    DEFAULT_SIGNATURE,
    METADATA,
    MULTI_INFERENCE,
    PREDICT,
    PREDICTION,
    REGRESS,
)
from unroll.serving.protocol.status import StatusError, invalid, parsed
from unroll.serving.services import large_requests
from unroll.serving.services.large_requests import LARGE
from unroll.serving.versions.served_models import LoadedVersion, ServedModels

_PREDICTABLE = (PREDICT, CLASSIFY, REGRESS)


class PredictionService:
    """Answers the service's calls.

    Args:
        versions: who serves a request.
        limits: what a request may hold.
        tensor_content: whether Predict answers in `tensor_content` instead of typed fields.
        strict_shapes: whether inputs of another shape than the signature's are refused before an op sees them.
        check_method_names: whether a signature answers only the methods that it was made for; else, as in
            TensorFlow Serving, whatever its inputs and outputs fit.
    """

    def __init__(
        self,
        versions: ServedModels,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        tensor_content: bool = False,
        strict_shapes: bool = False,
        check_method_names: bool = False,
    ) -> None:
        self._versions = versions
        self._limits = limits
        self._tensor_content = tensor_content
        self._strict_shapes = strict_shapes
        self._check_method_names = check_method_names
        self._background = Background("large-requests")

    def methods(self) -> dict[str, Method]:
        """What answers each path."""
        return {
            f"{PREDICTION}Predict": self._predict,
            f"{PREDICTION}Classify": self._classify,
            f"{PREDICTION}Regress": self._regress,
            MULTI_INFERENCE: self._multi_inference,
            METADATA: self._get_model_metadata,
        }

    async def _predict(self, message: bytes, call: Call) -> bytes:
        large = len(message) >= LARGE
        if large:
            request, inputs = await self._background.run_if_long(
                call.peer, large_requests.predict, message, self._limits
            )
        else:
            request = parsed(protos.PredictRequest, message)
            inputs = request.inputs
        servable = self._find(_spec(request), call)
        signature = servable.signatures.get(call.signature)
        if signature is None:
            raise StatusError(
                grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{call.signature}" not found.'
            )
        if self._check_method_names and signature.method not in _PREDICTABLE:
            raise StatusError(
                grpc.StatusCode.INTERNAL,
                "Expected prediction signature method_name to be one of "
                f"{{{', '.join(_PREDICTABLE)}}}. Was: {signature.method}",
            )
        decode = large_requests.decoded if large else tensors.decode
        feeds = predict_feeds(signature, inputs, self._strict_shapes, decode)
        outputs = _selected(signature, request.output_filter) if request.output_filter else enumerate(signature.outputs)
        if self._limits.any:
            for alias, array in zip(signature.inputs, feeds, strict=True):
                self._limits.check(alias, array, signature.batchable, strings=not large)
        arrays = await _run(servable, signature, feeds, message, call)
        call.watched = bool(feeds)  # what takes no input, such as a description, is not traffic to watch
        return answers.predictions(outputs, arrays, self._tensor_content) + wire.block(
            2, servable.model_spec(signature)
        )

    async def _classify(self, message: bytes, call: Call) -> bytes:
        return await self._answer_examples(protos.ClassificationRequest, message, call, answers.EXAMPLE_TASKS[CLASSIFY])

    async def _regress(self, message: bytes, call: Call) -> bytes:
        return await self._answer_examples(protos.RegressionRequest, message, call, answers.EXAMPLE_TASKS[REGRESS])

    async def _answer_examples(self, message_class: Any, message: bytes, call: Call, task: ExampleTask) -> bytes:
        request, read = await self._read(message_class, message, call)
        servable = self._find(_spec(request), call)
        if call.signature not in servable.signatures:
            raise invalid(f"No signature was found with the name: {call.signature}")
        signature = self._fitting(servable, call.signature, task)
        rows = self._serialized(request.input) if read is None else read
        arrays = await _run(servable, signature, [rows], message, call)
        call.watched = True
        call.examples = len(rows)
        return wire.block(1, task.write(signature, arrays, len(rows))) + wire.block(2, servable.model_spec(signature))

    async def _multi_inference(self, message: bytes, call: Call) -> bytes:
        request, read = await self._read(protos.MultiInferenceRequest, message, call)
        servable = self._find(request.tasks[0].model_spec if request.tasks else protos.ModelSpec(), call)
        tasks: dict[str, tuple[ExampleTask, Signature]] = {}
        for asked in request.tasks:
            spec, name = asked.model_spec, asked.model_spec.signature_name or DEFAULT_SIGNATURE
            if not spec.name:
                raise invalid("Found ModelSpec with an empty model name.")
            if spec.name != servable.name:
                raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
            if name in tasks:
                raise invalid(f"Duplicate evaluation of signature: {name}")
            if name not in servable.signatures:
                raise invalid(f"Requested signature not found in model graph: {name}")
            task = answers.task_named(asked.method_name)
            tasks[name] = task, self._fitting(servable, name, task)
        rows = self._serialized(request.input) if read is None else read
        runs: list[asyncio.Future[Arrays]] = []
        try:
            for _, signature in tasks.values():
                runs.append(servable.batcher.submit(signature, [rows], _weight(message, [rows])))
            outputs = await asyncio.gather(*runs)
        finally:
            for run in runs:
                run.cancel()  # where one is refused, nobody waits for the others
        call.watched = True
        call.examples = len(rows)
        return wire.blocks(
            1,
            (
                wire.block(1, servable.model_spec(signature))
                + wire.block(2 if task.method == CLASSIFY else 3, task.write(signature, arrays, len(rows)))
                for (task, signature), arrays in zip(tasks.values(), outputs, strict=True)
            ),
        )

    async def _get_model_metadata(self, message: bytes, call: Call) -> bytes:
        request = parsed(protos.GetModelMetadataRequest, message)
        spec = _spec(request)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for name in request.metadata_field:
            if name != "signature_def":
                raise invalid(f"Metadata field {name} is not supported")
        servable = self._find(spec, call)
        signatures = protos.SignatureDefMap()
        for name, definition in servable.signature_defs.items():
            signatures.signature_def[name].CopyFrom(definition)
        response = protos.GetModelMetadataResponse()
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        response.metadata["signature_def"].Pack(signatures)
        return response.SerializeToString()

    def _find(self, spec: Any, call: Call) -> LoadedVersion:
        call.model = spec.name
        call.signature = spec.signature_name or DEFAULT_SIGNATURE
        servable = self._versions.find(spec, call.request_id)
        call.version = servable.version
        return servable

    def _fitting(self, servable: LoadedVersion, name: str, task: ExampleTask) -> Signature:
        definition = servable.signature_defs[name]
        if self._check_method_names:
            task.check_method(definition)
        task.check(definition)
        return servable.signatures[name]

    async def _read(self, message_class: Any, message: bytes, call: Call) -> tuple[Any, NDArray[Any] | None]:
        """A request of examples; and if it is large, these, which are not in it then."""
        if len(message) < LARGE:
            return parsed(message_class, message), None
        return await self._background.run_if_long(
            call.peer, large_requests.of_examples, message_class, message, self._limits
        )

    def _serialized(self, request_input: Any) -> NDArray[Any]:
        self._limits.check_rows("examples", examples.count(request_input))
        if self._limits.of_strings:
            self._limits.check_strings("examples", examples.strings(request_input))
        return examples.serialized(request_input)


async def _run(servable: LoadedVersion, signature: Signature, feeds: Arrays, message: bytes, call: Call) -> Arrays:
    queued = time.monotonic()
    arrays = await servable.batcher.submit(signature, feeds, _weight(message, feeds))
    call.run_seconds = time.monotonic() - queued
    return arrays


def _weight(message: bytes, feeds: Arrays) -> int:
    """Bytes for which a request counts in the queue."""
    return max(len(message), ROW_BYTES * len(feeds[0])) if feeds and feeds[0].ndim else len(message)


def _spec(request: Any) -> Any:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


def _selected(signature: Signature, output_filter: Any) -> list[tuple[int, str]]:
    """Position and name of the outputs that were asked for."""
    aliases = list(signature.outputs)
    chosen: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{','.join(aliases)}}}."
            )
        if alias in chosen:
            raise invalid(f"duplicate output tensor alias: {alias}")
        chosen.append(alias)
    return [(aliases.index(alias), alias) for alias in chosen]
