"""The signatures of models, learned through the dispatcher as any client learns them."""

from collections.abc import Mapping
from typing import Any

from unroll.serving.front.dispatcher import Dispatcher
from unroll.serving.protocol import protos, wire
from unroll.serving.protocol.call import Call
from unroll.serving.protocol.model_spec import DEFAULT_SIGNATURE, METADATA
from unroll.serving.protocol.status import invalid
from unroll.serving.rest.json.requests import Inputs
from unroll.serving.rest.urls import Target

_MAX_REMEMBERED = 256  # models, versions and labels that are remembered


async def metadata(dispatcher: Dispatcher, target: Target, call: Call) -> Any:
    """Asks for a model's GetModelMetadataResponse: see `serialized_metadata`."""
    return protos.GetModelMetadataResponse.FromString(await serialized_metadata(dispatcher, target, call))


async def serialized_metadata(dispatcher: Dispatcher, target: Target, call: Call) -> bytes:
    """Asks for a model's GetModelMetadataResponse, as the caller of `call`.

    Counts as a request only if it is all that the caller asks for.

    Raises:
        StatusError: as the dispatcher's.
    """
    asking = Call(METADATA, call.entrypoint, call.metadata, call.deadline)
    asking.counted = call.path == METADATA
    asking.request_id = call.request_id  # which decides the version where two share the traffic
    message = wire.block(1, target.spec()) + wire.block(2, b"signature_def")
    return await dispatcher.answer(message, asking)


def signature_defs(response: Any) -> Mapping[str, Any]:
    """The SignatureDefs of a GetModelMetadataResponse by name."""
    signatures = protos.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    return signatures.signature_def


class Signatures:
    """Remembers which inputs a model's signatures take.

    What is remembered may be of a version that no longer answers: who is refused on the grounds of it asks again.

    Args:
        dispatcher: who knows.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._known: dict[tuple[str, int | None, str | None], dict[str, Inputs]] = {}

    def remembered(self, target: Target, signature: str) -> Inputs | None:
        """The inputs of a signature, if they were asked for before."""
        return self._known.get(_key(target), {}).get(signature or DEFAULT_SIGNATURE)

    async def ask(self, target: Target, signature: str, call: Call) -> Inputs:
        """The inputs of a signature, as they are now.

        Raises:
            StatusError: in TensorFlow Serving's words, or the dispatcher's.
        """
        definitions = signature_defs(await metadata(self._dispatcher, target, call))
        known: dict[str, Inputs] = {
            name: Inputs(
                {alias: definition.inputs[alias].dtype for alias in sorted(definition.inputs)},
                frozenset(definition.defaults),
            )
            for name, definition in definitions.items()
        }
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.clear()
        self._known[_key(target)] = known
        name = signature or DEFAULT_SIGNATURE
        if name not in known:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        return known[name]


def _key(target: Target) -> tuple[str, int | None, str | None]:
    return target.model, target.version, target.label
