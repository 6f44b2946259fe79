"""An exported model in this process, asked as a client asks a server: the same checks, the same bits."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from unroll.errors import UserError
from unroll.pipelines.training.exported import Exported
from unroll.serving.engine.inputs import predict_feeds
from unroll.serving.engine.session_engine import Signature
from unroll.serving.protocol import messages, protos
from unroll.serving.protocol.messages import Prediction, ServingError, SignatureInfo, TensorInfo
from unroll.serving.protocol.status import StatusError


class InProcessClient:
    """Has of `unroll.Client` what asking for predictions needs.

    Args:
        exported: the model.
        model: its name.
        version: its number; 0 if it has none.
    """

    def __init__(self, exported: Exported, model: str, version: int):
        self._engine = exported.engine
        self._metadata = {
            name: SignatureInfo(
                {key: TensorInfo(spec.dtype, spec.shape, key in one.defaults) for key, spec in one.inputs.items()},
                {key: TensorInfo(spec.dtype, spec.shape) for key, spec in one.outputs.items()},
            )
            for name, one in self._engine.signatures.items()
        }
        self.model = model
        self._version = version

    def metadata(self) -> dict[str, SignatureInfo]:
        """The model's signatures by name."""
        return self._metadata

    def predict(
        self, inputs: Mapping[str, ArrayLike], signature: str = "serving_default", version: int | None = None
    ) -> Prediction:
        """Runs a signature; see `unroll.Client.predict`.

        Raises:
            UserError: no such signature, or inputs that the model refuses.
        """
        if signature not in self._engine.signatures:
            raise UserError(
                f"signature: no {signature!r} in {self.model}. It has: {', '.join(self._engine.signatures)}"
            )
        messages.check_inputs(inputs)
        definition, request = self._engine.signatures[signature], protos.PredictRequest()
        self._check_names(inputs, definition)
        messages.add_inputs(request, inputs, self._metadata[signature].inputs)
        try:
            feeds = predict_feeds(definition, request.inputs, strict_shapes=True)
            outputs = self._engine.run(signature, feeds)
        except StatusError as error:
            raise ServingError(error.code, error.message, "") from None
        answer = Prediction(
            (name, messages.readable(name, np.asarray(output)))
            for name, output in zip(definition.outputs, outputs, strict=True)
        )
        answer.version, answer.request_id = self._version, ""
        return answer

    def _check_names(self, inputs: Mapping[str, ArrayLike], signature: Signature) -> None:
        taken = f"{self.model} takes {', '.join(signature.inputs) or 'nothing'}"
        if unknown := [name for name in inputs if name not in signature.inputs]:
            raise UserError(f"inputs: there is no input {unknown[0]!r}. {taken}")
        missing = [name for name in signature.inputs if name not in inputs and name not in signature.defaults]
        if missing:
            raise UserError(f"inputs: {missing[0]!r} is missing. {taken}")
