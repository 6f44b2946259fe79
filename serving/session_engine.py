"""One version of a model in this process, loaded as TensorFlow Serving loads it: in a v1 Session."""

import functools
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from serving import dtypes, protos, tensors
from serving.executors import executor_type
from serving.graph_session import GraphSession, device_types, read_meta_graph
from serving.status import StatusError
from serving.tensorflow_runtime import config_pb2, errors

_log = logging.getLogger(__name__)
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_UNSPECIFIC = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
_GRAPH_NOISE = re.compile(
    r"\{\{(?:function_)?node [^}]*\}\}\s*|\s*\[\[\{\{.*|\s*\[Op:\w+\].*|\s*Stack trace for op definition:.*", re.DOTALL
)
_ASSERTION = re.compile(r"assertion failed: \[((?:(?!\] \[).)*)\]\Z", re.DOTALL)  # of one text alone


class LoadError(Exception):
    """A version directory that cannot be served. The message says what is wrong with it."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature. Unknown sizes are None; an unknown rank is a shape of None."""

    tensor: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...] | None

    @property
    def rows_first(self) -> bool:
        return bool(self.shape) and self.shape[0] is None  # type: ignore[index]

    def admits(self, shape: Sequence[int]) -> bool:
        return self.shape is None or (
            len(self.shape) == len(shape)
            and all(want is None or want == got for want, got in zip(self.shape, shape, strict=True))
        )


@dataclass(frozen=True)
class Signature:
    """A function of the graph: inputs and outputs by name, each in alphabetical order.

    `defaults` holds what stands for an input that a request leaves out.
    """

    name: str
    method: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    defaults: dict[str, NDArray[Any]]

    @functools.cached_property
    def batchable(self) -> bool:
        """Whether rows of several requests may run as one: every tensor's first dimension is free."""
        return bool(self.inputs) and all(spec.rows_first for spec in (*self.inputs.values(), *self.outputs.values()))


class SessionEngine:
    """Runs the signatures of one SavedModel.

    Args:
        directory: the version's directory.
        intra_op: threads within one op. One is fastest for recurrent steps, which are small.
        inter_op: threads across ops; -1 runs them all in the calling thread.
        tags: of the graph to load.
        session_config: a ConfigProto for all but threads.

    Raises:
        LoadError: the directory holds no SavedModel that this server can run.

    A signature of tensors that requests cannot hold (sparse, variant, ...) is left out, with a line in the log: the
    others are served.
    """

    def __init__(
        self,
        directory: Path,
        intra_op: int = 1,
        inter_op: int = -1,
        tags: Sequence[str] = ("serve",),
        session_config: Any = None,
    ) -> None:
        config = config_pb2.ConfigProto(allow_soft_placement=True)
        config.gpu_options.allow_growth = True
        config.MergeFrom(session_config or config_pb2.ConfigProto())
        config.intra_op_parallelism_threads, config.inter_op_parallelism_threads = intra_op, inter_op
        try:
            meta_graph = read_meta_graph(directory, tags)
            if inter_op == -1 and not config.experimental.executor_type:
                config.experimental.executor_type = executor_type(meta_graph.graph_def, device_types(config))
            self._session = GraphSession(directory, meta_graph, config)
        except Exception as error:
            raise _load_error(error) from error
        try:
            self.signature_defs = {
                name: protos.SignatureDef.FromString(definition.SerializeToString())
                for name, definition in meta_graph.signature_def.items()
            }
            self.signatures: dict[str, Signature] = {}
            self._calls: dict[str, Callable[..., list[NDArray[Any]]]] = {}
            for name, definition in self.signature_defs.items():
                if name.startswith("__saved_model"):
                    continue
                try:
                    signature = _signature(name, definition)
                    self._calls[name] = self._callable(signature)
                    self.signatures[name] = signature
                except (LoadError, ValueError, errors.OpError) as error:
                    _log.warning("%s: signature %r is not served: %s", directory, name, _trimmed(str(error)))
        except Exception as error:
            self._session.close()
            raise _load_error(error) from error

    def run(self, signature: str, feeds: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Runs one signature.

        Args:
            signature: its name.
            feeds: one array an input, in the order of `Signature.inputs`, of its dtype.

        Returns:
            One array an output, in the order of `Signature.outputs`; strings as `object` arrays of bytes.

        Raises:
            StatusError: an op refused the data, with the op's own code; INVALID_ARGUMENT where that is INTERNAL or
                UNKNOWN, since of all that an op meets only the data changes between requests.
        """
        try:
            outputs = self._calls[signature](*feeds)
        except errors.OpError as error:
            code = _CODES[error.error_code]
            raise StatusError(_INVALID if code in _UNSPECIFIC else code, _trimmed(error.message)) from None
        except UnicodeDecodeError as error:  # the op's message quotes bytes that are no text
            raise StatusError(_INVALID, _trimmed(error.object.decode(errors="replace"))) from None
        # The runtime gives a scalar text as bytes.
        return [np.array(output, object) if isinstance(output, bytes) else output for output in outputs]

    def close(self) -> None:
        self._session.close()

    def _callable(self, signature: Signature) -> Callable[..., list[NDArray[Any]]]:
        feeds, fetches = signature.inputs.values(), signature.outputs.values()
        run = self._session.callable([spec.tensor for spec in feeds], [spec.tensor for spec in fetches])
        kinds = [spec.dtype for spec in fetches]
        if not any(dtype.names for dtype in kinds):
            return run

        def run_quantised(*arrays: NDArray[Any]) -> list[NDArray[Any]]:  # the runtime gives qint8 as int8
            return [
                np.asarray(output).view(dtype) if dtype.names else output
                for dtype, output in zip(kinds, run(*arrays), strict=True)
            ]

        return run_quantised


def _load_error(error: Exception) -> LoadError:
    """Loading raises whatever the damage provokes: OpError, OSError, ValueError, RuntimeError, ..."""
    return LoadError(_trimmed(str(error)) or type(error).__name__)


def _signature(name: str, definition: Any) -> Signature:
    return Signature(
        name,
        definition.method_name,
        {alias: _spec(alias, definition.inputs[alias]) for alias in sorted(definition.inputs)},
        {alias: _spec(alias, definition.outputs[alias]) for alias in sorted(definition.outputs)},
        {alias: tensors.decode(definition.defaults[alias]) for alias in sorted(definition.defaults)},
    )


def _spec(alias: str, info: Any) -> TensorSpec:
    if not info.name:
        raise LoadError(f"{alias!r} is no dense tensor")
    try:
        dtype = dtypes.dtype_of(info.dtype)
    except KeyError:
        raise LoadError(f"{alias!r} has dtype {protos.DataType.Name(info.dtype)}") from None
    if info.tensor_shape.unknown_rank:
        return TensorSpec(info.name, dtype, None)
    shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
    return TensorSpec(info.name, dtype, shape)


def _trimmed(message: str) -> str:
    """An op's error without the names of graph nodes, which mean nothing to who sent the data."""
    return _ASSERTION.sub(r"\1", _GRAPH_NOISE.sub("", message).strip())
