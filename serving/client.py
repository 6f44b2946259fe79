"""A client for Unroll's server and for any TensorFlow Serving. It needs no TensorFlow."""

import random
import time
import uuid
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import grpc
import numpy as np
from numpy.typing import ArrayLike, NDArray

from serving import protos, tensors

_PREDICTION = "/tensorflow.serving.PredictionService"
_MODEL = "/tensorflow.serving.ModelService"
_FIRST_WAIT, _LONGEST_WAIT, _ATTEMPTS = 0.05, 1.0, 5
_MESSAGE_BYTES = 32 << 20


class ServingError(Exception):
    """A call that the server refused or did not answer.

    Args:
        code: gRPC's status code.
        message: what the server said.
        request_id: the call's `x-request-id`, by which the server's operator finds it.
    """

    def __init__(self, code: grpc.StatusCode, message: str, request_id: str) -> None:
        super().__init__(f"{code.name}: {message} (request id {request_id})")
        self.code = code
        self.message = message
        self.request_id = request_id


class Prediction(dict[str, NDArray[Any]]):
    """Outputs by name, with `version` (who answered) and `request_id` (to match a label that comes later)."""

    version: int
    request_id: str


@dataclass(frozen=True)
class TensorInfo:
    """What a signature takes or gives: numpy dtype, shape with None for a free size, whether it may be left out."""

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...] | None
    optional: bool = False


@dataclass(frozen=True)
class SignatureInfo:
    """Inputs and outputs of a signature by name."""

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]


class Client:
    """Asks one model on one server. Threads may share it.

    Calls that find the server unavailable are tried again, with a growing pause, within the timeout;
    others never are.

    Args:
        address: `host:port` of the server's gRPC port.
        model: the model's name.
        timeout: seconds that a call may take, retries included.

    Example:
        >>> with Client("127.0.0.1:8500", model="sentiment") as client:
        ...     answer = client.predict({"text": ["A fine film.", "Dreadful."]})
        >>> answer["label"]
        array(['positive', 'negative'], dtype=object)
    """

    def __init__(self, address: str = "127.0.0.1:8500", *, model: str, timeout: float = 10.0) -> None:
        self.address = address
        self.model = model
        self.timeout = timeout
        self._channel = grpc.insecure_channel(
            address,
            options=(
                ("grpc.max_receive_message_length", _MESSAGE_BYTES),
                ("grpc.max_send_message_length", _MESSAGE_BYTES),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ),
        )
        self._methods: dict[str, Callable[..., Any]] = {}
        self._signatures: dict[str, SignatureInfo] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def predict(
        self,
        inputs: Mapping[str, ArrayLike],
        signature: str = "serving_default",
        version: int | None = None,
        request_id: str | None = None,
    ) -> Prediction:
        """Runs a signature.

        Args:
            inputs: arrays or lists by input name; optional ones (see `metadata`) may be left out. Text may
                be str; numbers are converted to the signature's own type.
            signature: its name.
            version: a version number; the server's choice where None.
            request_id: your own id of the request; a new one where None.

        Returns:
            Outputs by name. Strings are `str`, except in outputs named `*_bytes`.

        Raises:
            ServingError: the server refused the request or did not answer in time.
        """
        request = protos.PredictRequest()
        self._specify(request.model_spec, signature, version)
        infos = self._signature(signature).inputs
        for name, values in inputs.items():
            array = tensors.from_python(values)
            if name in infos and array.dtype.kind in "biuf" and (array.size == 0 or infos[name].dtype != object):
                array = array.astype(infos[name].dtype, casting="unsafe" if array.size == 0 else "same_kind")
            request.inputs[name].MergeFromString(tensors.encode(array))
        request_id = request_id or uuid.uuid4().hex
        try:
            response = self._call(f"{_PREDICTION}/Predict", request, protos.PredictResponse, request_id)
        except ServingError as error:
            if error.code is grpc.StatusCode.INVALID_ARGUMENT:
                self._signatures.clear()  # a new version may take other types
            raise
        prediction = Prediction(
            (name, _readable(name, tensors.decode(response.outputs[name]))) for name in sorted(response.outputs)
        )
        prediction.version = response.model_spec.version.value
        prediction.request_id = request_id
        return prediction

    def classify(
        self,
        examples: Sequence[str | Mapping[str, Any]],
        signature: str = "classify",
        version: int | None = None,
        request_id: str | None = None,
    ) -> list[list[tuple[str, float]]]:
        """Runs a Classify signature.

        Args:
            examples: a text each, or features by name: str, bytes, float, int, or lists of one of these.
                A text alone is the feature `text`.
            signature: its name.
            version: a version number; the server's choice where None.
            request_id: your own id of the request; a new one where None.

        Returns:
            For each example its classes with their scores, in the model's order.

        Raises:
            ServingError: the server refused the request or did not answer in time.
        """
        request = protos.ClassificationRequest()
        self._specify(request.model_spec, signature, version)
        for example in examples:
            features = {"text": example} if isinstance(example, str) else example
            request.input.example_list.examples.add().CopyFrom(_example(features))
        response = self._call(f"{_PREDICTION}/Classify", request, protos.ClassificationResponse, request_id)
        return [
            [(entry.label, entry.score) for entry in classification.classes]
            for classification in response.result.classifications
        ]

    def metadata(self) -> dict[str, SignatureInfo]:
        """The model's signatures by name."""
        request = protos.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._specify(request.model_spec)
        response = self._call(f"{_PREDICTION}/GetModelMetadata", request, protos.GetModelMetadataResponse)
        signatures = protos.SignatureDefMap.FromString(response.metadata["signature_def"].value)
        return {
            name: SignatureInfo(_infos(definition.inputs, definition.defaults), _infos(definition.outputs))
            for name, definition in sorted(signatures.signature_def.items())
            if not name.startswith("__saved_model")
        }

    def status(self) -> dict[int, str]:
        """States by version: START, LOADING, AVAILABLE, UNLOADING or END."""
        request = protos.GetModelStatusRequest()
        self._specify(request.model_spec)
        response = self._call(f"{_MODEL}/GetModelStatus", request, protos.GetModelStatusResponse)
        name_of = protos.ModelVersionStatus.State.Name
        return {entry.version: name_of(entry.state) for entry in response.model_version_status}

    def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Returns once a version is AVAILABLE.

        Raises:
            ServingError: none is after `timeout` seconds.
        """
        give_up = time.monotonic() + timeout
        while True:
            try:
                states = self.status()
                if "AVAILABLE" in states.values():
                    return
                error = ServingError(grpc.StatusCode.UNAVAILABLE, f"{self.model}: versions are {states}", "-")
            except ServingError as refused:
                error = refused
            if time.monotonic() >= give_up:
                raise error
            time.sleep(0.1)

    def _specify(self, spec: Any, signature: str = "", version: int | None = None) -> None:
        spec.name = self.model
        if signature:
            spec.signature_name = signature
        if version is not None:
            spec.version.value = version

    def _signature(self, name: str) -> SignatureInfo:
        if name not in self._signatures:
            self._signatures = self.metadata()
        return self._signatures.get(name) or SignatureInfo({}, {})

    def _call(self, method: str, request: Any, response_class: Any, request_id: str | None = None) -> Any:
        request_id = request_id or uuid.uuid4().hex
        if method not in self._methods:
            self._methods[method] = self._channel.unary_unary(method, response_deserializer=response_class.FromString)
        message = request.SerializeToString()
        give_up = time.monotonic() + self.timeout
        for attempt in range(1, _ATTEMPTS + 1):
            left = give_up - time.monotonic()
            try:
                return self._methods[method](
                    message, timeout=max(left, 0.001), metadata=(("x-request-id", request_id),)
                )
            except grpc.RpcError as error:
                wait = min(_FIRST_WAIT * 2**attempt, _LONGEST_WAIT) * random.uniform(0.5, 1.0)
                if error.code() is not grpc.StatusCode.UNAVAILABLE or attempt == _ATTEMPTS or wait >= left:
                    raise ServingError(error.code(), self._explained(error), request_id) from None
            time.sleep(wait)
        raise AssertionError("unreachable")

    def _explained(self, error: Any) -> str:
        details = error.details() or ""
        if error.code() is grpc.StatusCode.UNAVAILABLE and "connect" in details:
            return f"no server answers at {self.address}. Start one with `unroll serve`, or check the address"
        if "errors resolving" in details or "target uri is not valid" in details:
            return "no server of that name is found. Give its host:port, as in 127.0.0.1:8500"
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"no answer from {self.address} within {self.timeout:g} seconds"
        if error.code() is grpc.StatusCode.NOT_FOUND and details.startswith("Servable not found"):
            return (
                f"{details}. It is not served there: `unroll models` lists what is trained, and `unroll promote` has a "
                "version served"
            )
        return details


def _infos(tensor_infos: Mapping[str, Any], defaults: Container[str] = ()) -> dict[str, TensorInfo]:
    return {name: _info(tensor_infos[name], name in defaults) for name in sorted(tensor_infos)}


def _info(info: Any, optional: bool) -> TensorInfo:
    sizes = tuple(dim.size if dim.size >= 0 else None for dim in info.tensor_shape.dim)
    return TensorInfo(tensors.dtype_of(info.dtype), None if info.tensor_shape.unknown_rank else sizes, optional)


def _readable(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype != object or name.endswith("_bytes"):
        return array
    texts = np.empty(array.size, dtype=object)
    texts[:] = [value.decode(errors="replace") for value in array.flat]
    return texts.reshape(array.shape)


def _example(features: Mapping[str, Any]) -> Any:
    example = protos.Example()
    for name, value in features.items():
        values = value if isinstance(value, list | tuple | np.ndarray) else [value]
        feature = example.features.feature[name]
        if all(isinstance(item, str | bytes) for item in values):
            feature.bytes_list.value.extend(tensors.from_python(values).tolist())
        elif all(isinstance(item, int | np.integer) for item in values):
            feature.int64_list.value.extend(int(item) for item in values)
        else:
            feature.float_list.value.extend(float(item) for item in values)
    return example
