"""What a client's requests and answers are in Python's terms: built and read without any connection.

It needs no TensorFlow.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from numpy.typing import ArrayLike, NDArray

from unroll.errors import UserError
from unroll.serving.protocol import arguments, dtypes, protos, tensors
from unroll.serving.protocol.arguments import shown


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


Example = str | Mapping[str, Any]
"""A text, which is the feature `text`; or features by name: str, bytes, float, int, or lists of one of these."""

Classes = list[tuple[str, float]]
"""Of one example: classes with their scores, in the model's order."""


def specify(spec: Any, model: str, signature: str = "", version: int | None = None, label: str | None = None) -> None:
    """Fills in a ModelSpec; a version goes before a label."""
    spec.name = model
    if signature:
        spec.signature_name = signature
    if version is not None:
        spec.version.value = version
    elif label is not None:
        spec.version_label = label


def check_inputs(inputs: Any) -> None:
    """Refuses what does not name its inputs.

    Raises:
        UserError: it is not a mapping.
    """
    if not isinstance(inputs, Mapping):
        raise UserError(
            f"inputs: expected a dict of arrays by input name, received {shown(inputs)}. "
            "client.metadata() tells the names that each signature takes"
        )


def add_inputs(request: Any, inputs: Mapping[str, ArrayLike], infos: Mapping[str, TensorInfo]) -> None:
    """Adds arrays to a PredictRequest, numbers as the signature's own type where they fit it.

    Raises:
        UserError: a value that no tensor holds, or that does not fit.
    """
    for name, given in inputs.items():
        arguments.check_name("inputs", name)
        array = _array(name, given)
        if name in infos and array.dtype.kind in "biuf" and (array.size == 0 or infos[name].dtype != object):
            array = _as_type(name, array, infos[name].dtype)
        try:
            request.inputs[name].MergeFromString(tensors.encode(array))
        except KeyError:
            raise UserError(f"Input {name!r}: no tensor holds {array.dtype}. Convert it first") from None


def add_examples(request: Any, examples: Sequence[Example]) -> None:
    """Adds examples to a request of Classify, Regress or MultiInference.

    Raises:
        UserError: what is not a list of examples, or a value that no feature holds.
    """
    arguments.check_list("examples", examples, "texts or dicts of features")
    for example in examples:
        features = {"text": example} if isinstance(example, str) else example
        if not isinstance(features, Mapping):
            raise UserError(f"examples: expected texts or dicts of features, received {shown(example)}")
        request.input.example_list.examples.add().CopyFrom(_example(features))


def prediction(response: Any, request_id: str) -> Prediction:
    """Reads a PredictResponse. Strings are `str`; `bytes` in outputs named `*_bytes`, or where one is not UTF-8."""
    read = Prediction(
        (name, readable(name, tensors.decode(response.outputs[name]))) for name in sorted(response.outputs)
    )
    read.version = response.model_spec.version.value
    read.request_id = request_id
    return read


def classes(result: Any) -> list[Classes]:
    """Reads a ClassificationResult."""
    return [[(entry.label, entry.score) for entry in one.classes] for one in result.classifications]


def values(result: Any) -> list[float]:
    """Reads a RegressionResult."""
    return [regression.value for regression in result.regressions]


def signatures(response: Any) -> dict[str, SignatureInfo]:
    """Reads a GetModelMetadataResponse."""
    definitions = protos.SignatureDefMap.FromString(response.metadata["signature_def"].value).signature_def
    return {
        name: SignatureInfo(_infos(definition.inputs, definition.defaults), _infos(definition.outputs))
        for name, definition in sorted(definitions.items())
        if not name.startswith("__saved_model")
    }


def _array(name: str, given: ArrayLike) -> NDArray[Any]:
    try:
        return tensors.from_python(given)
    except TypeError as error:
        raise UserError(f"Input {name!r}: {error}") from None
    except ValueError:
        raise UserError(f"Input {name!r}: rows of different lengths. Fill them up, or send them one by one") from None


def _as_type(name: str, array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The same numbers in the signature's type; only floats may lose digits."""
    if dtype.names:  # quantised: a record of one integer
        return _as_type(name, array, dtype[0]).view(dtype)
    if array.size == 0 or np.can_cast(array.dtype, dtype):
        return array.astype(dtype)
    if array.dtype.kind in "iu" and dtype.kind in "iu":
        fits = array.astype(dtype) == array
    else:
        fits = np.full(array.shape, np.can_cast(array.dtype, dtype, "same_kind"))
    if not fits.all():
        raise UserError(f"Input {name!r}: expected {dtype}, received {array.dtype}: {array[~fits][0]}")
    return array.astype(dtype)


def _infos(tensor_infos: Mapping[str, Any], defaults: Container[str] = ()) -> dict[str, TensorInfo]:
    return {name: _info(tensor_infos[name], name in defaults) for name in sorted(tensor_infos)}


def _info(info: Any, optional: bool) -> TensorInfo:
    sizes = tuple(dim.size if dim.size >= 0 else None for dim in info.tensor_shape.dim)
    return TensorInfo(dtypes.dtype_of(info.dtype), None if info.tensor_shape.unknown_rank else sizes, optional)


def readable(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """An output as a person reads it: texts as `str`, but where it is named `*_bytes` or one is not UTF-8."""
    if array.dtype.names:
        return array.view(array.dtype[0])
    if array.dtype != object or name.endswith("_bytes"):
        return array
    texts = np.empty(array.size, dtype=object)
    try:
        texts[:] = [value.decode() for value in array.flat]
    except UnicodeDecodeError:
        return array
    return texts.reshape(array.shape)


def _example(features: Mapping[str, Any]) -> Any:
    example = protos.Example()
    for name, value in features.items():
        arguments.check_name("examples", name)
        items = value if isinstance(value, list | tuple | np.ndarray) else [value]
        feature = example.features.feature[name]
        if all(isinstance(item, str | bytes) for item in items):
            feature.bytes_list.value.extend(tensors.from_python(items).tolist())
        elif all(isinstance(item, int | np.integer) for item in items):
            try:
                feature.int64_list.value.extend(int(item) for item in items)
            except ValueError:
                raise UserError(
                    f"Feature {name!r}: expected whole numbers of 64 bits, received {shown(value)}"
                ) from None
        else:
            try:
                feature.float_list.value.extend(float(item) for item in items)
            except (TypeError, ValueError):
                raise UserError(f"Feature {name!r}: expected texts or numbers, received {shown(value)}") from None
    return example
