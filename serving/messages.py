"""What a client's requests and answers are in Python's terms: built and read without any connection.

It needs no TensorFlow.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from numpy.typing import ArrayLike, NDArray

from serving import protos, tensors


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
class Forecast:
    """What a forecasting model expects, in the series' own units.

    Args:
        forecast: float `[n, horizon, targets]`.
        quantiles: the same shape by level, such as 0.1 and 0.9 for the ends of the 80 % interval.
        version: of the model that answered.
        request_id: to match what happens later.
    """

    forecast: NDArray[Any]
    quantiles: dict[float, NDArray[Any]]
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


def add_inputs(request: Any, inputs: Mapping[str, ArrayLike], infos: Mapping[str, TensorInfo]) -> None:
    """Adds arrays to a PredictRequest, numbers as the signature's own type where they fit it."""
    for name, values in inputs.items():
        array = tensors.from_python(values)
        if name in infos and array.dtype.kind in "biuf" and (array.size == 0 or infos[name].dtype != object):
            array = array.astype(infos[name].dtype, casting="unsafe" if array.size == 0 else "same_kind")
        request.inputs[name].MergeFromString(tensors.encode(array))


def add_examples(request: Any, examples: Sequence[Example]) -> None:
    """Adds examples to a request of Classify, Regress or MultiInference."""
    for example in examples:
        features = {"text": example} if isinstance(example, str) else example
        request.input.example_list.examples.add().CopyFrom(_example(features))


def prediction(response: Any, request_id: str) -> Prediction:
    """Reads a PredictResponse. Strings are `str`, except in outputs named `*_bytes`."""
    read = Prediction(
        (name, _readable(name, tensors.decode(response.outputs[name]))) for name in sorted(response.outputs)
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


def histories(series: Sequence[ArrayLike]) -> NDArray[np.float32]:
    """Stacks histories `[T, columns]`, or `[T]` of one column, to `[n, longest T, columns]`, with NaN before the short.

    Raises:
        ValueError: they differ in their columns.
    """
    arrays = [np.asarray(one, np.float32) for one in series]
    arrays = [array[:, None] if array.ndim == 1 else array for array in arrays]
    if len({array.shape[1:] for array in arrays}) > 1:
        raise ValueError(f"histories have different columns: {sorted({array.shape[1:] for array in arrays})}")
    longest = max((len(array) for array in arrays), default=0)
    padded = [np.pad(one, ((longest - len(one), 0), (0, 0)), constant_values=np.nan) for one in arrays]
    return np.stack(padded) if padded else np.empty((0, 0, 0), np.float32)


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
        items = value if isinstance(value, list | tuple | np.ndarray) else [value]
        feature = example.features.feature[name]
        if all(isinstance(item, str | bytes) for item in items):
            feature.bytes_list.value.extend(tensors.from_python(items).tolist())
        elif all(isinstance(item, int | np.integer) for item in items):
            feature.int64_list.value.extend(int(item) for item in items)
        else:
            feature.float_list.value.extend(float(item) for item in items)
    return example
