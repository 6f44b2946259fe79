"""One version of a model in this process, loaded as TensorFlow Serving loads it: in a v1 Session."""

import functools
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from unroll.serving.engine import memory
from unroll.serving.engine.executors import executor_type
from unroll.serving.engine.graph_session import GraphSession, Run, device_types, read_meta_graph
from unroll.serving.engine.load_error import LoadError
from unroll.serving.engine.parallelism import Parallelism
from unroll.serving.engine.tensorflow_runtime import errors
from unroll.serving.protocol import dtypes, protos, tensors
from unroll.serving.protocol.status import StatusError

_log = logging.getLogger(__name__)
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_UNSPECIFIC = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
_GRAPH_NOISE = re.compile(
    r"\{\{(?:function_)?node [^}]*\}\}\s*|\s*\[\[\{\{.*|\s*\[Op:\w+\].*|\s*Stack trace for op definition:.*", re.DOTALL
)
_ASSERTION = re.compile(r"assertion failed: \[((?:(?!\] \[).)*)\]\Z", re.DOTALL)  # of one text alone
_ESCAPED = re.compile(r"\\([\\'\"])")  # as an assertion shows its text


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
        parallelism: how ops are spread over threads.
        tags: of the graph to load.
        session_config: a ConfigProto for all but threads.

    Raises:
        LoadError: the directory holds no SavedModel that this server can run.

    Each signature is prepared at its first run, or all by `prepare`.
    """

    def __init__(
        self,
        directory: Path,
        parallelism: Parallelism = Parallelism(),  # noqa: B008 - frozen
        tags: Sequence[str] = ("serve",),
        session_config: Any = None,
    ) -> None:
        self._directory = directory
        self.parallelism = parallelism
        try:
            meta_graph = read_meta_graph(directory, tags)
            config = parallelism.config(session_config)
            if parallelism.executor is None and parallelism.inter_op == -1 and not config.experimental.executor_type:
                config.experimental.executor_type = executor_type(meta_graph.graph_def, device_types())
            self._session = GraphSession(directory, meta_graph, config)
        except Exception as error:
            raise _load_error(error) from error
        try:
            self.signature_defs = {
                name: protos.SignatureDef.FromString(definition.SerializeToString())
                for name, definition in meta_graph.signature_def.items()
            }
        except Exception as error:
            self._session.close()
            raise _load_error(error) from error
        self.signatures: dict[str, Signature] = {}
        self._calls: dict[tuple[str, bool], Run] = {}
        for name, definition in self.signature_defs.items():
            if not name.startswith("__saved_model"):
                try:
                    self.signatures[name] = _signature(name, definition)
                except (LoadError, ValueError) as error:
                    self._leave_out(name, error)

    def prepare(self) -> None:
        """Has every signature ready to run.

        One of tensors that requests cannot hold (sparse, variant, ...), or that the graph does not have, is left out,
        with a line in the log: the others are served.
        """
        for name in list(self.signatures):
            try:
                for alone in self.modes:
                    self._call(name, alone)
            except (ValueError, errors.OpError) as error:
                del self.signatures[name]
                self._leave_out(name, error)

    @property
    def modes(self) -> tuple[bool, ...]:
        """What `run`'s `alone` may be, as far as that makes a difference."""
        return (False, True) if self.parallelism.only_alone else (False,)

    def run(self, signature: str, feeds: Sequence[NDArray[Any]], alone: bool = False) -> list[NDArray[Any]]:
        """Runs one signature.

        Args:
            signature: its name.
            feeds: one array an input, in the order of `Signature.inputs`, of its dtype.
            alone: whether nothing else runs meanwhile, so that it may have the other cores.

        Returns:
            One array an output, in the order of `Signature.outputs`; strings as `object` arrays of bytes.

        Raises:
            StatusError: an op refused the data, with the op's own code; INVALID_ARGUMENT where that is INTERNAL or
                UNKNOWN, since of all that an op meets only the data changes between requests.
        """
        try:
            outputs = self._call(signature, alone)(*feeds)
        except errors.OpError as error:
            code = _CODES[error.error_code]
            raise StatusError(_INVALID if code in _UNSPECIFIC else code, _trimmed(error.message)) from None
        except UnicodeDecodeError as error:  # the op's message quotes bytes that are not text
            raise StatusError(_INVALID, _trimmed(error.object.decode(errors="replace"))) from None
        # The runtime gives a scalar text as bytes.
        return [np.array(output, object) if isinstance(output, bytes) else output for output in outputs]

    def close(self) -> None:
        """Gives its memory back. Nothing runs, and nothing will."""
        self._session.close()
        memory.give_back()

    def _call(self, name: str, alone: bool) -> Run:
        """What runs a signature. TensorFlow takes tenths of a second to make it."""
        alone = alone or not self.parallelism.only_alone
        call = self._calls.get((name, alone))
        if call is None:
            signature = self.signatures[name]
            feeds = [spec.tensor for spec in signature.inputs.values()]
            fetches = [spec.tensor for spec in signature.outputs.values()]
            call = self._session.callable(feeds, fetches, inter_op_pool=0 if alone else -1)
            outputs = [spec.dtype for spec in signature.outputs.values()]
            if any(dtype.names for dtype in outputs):
                call = functools.partial(_run_quantised, call, outputs)
            call = self._calls.setdefault((name, alone), call)
        return call

    def _leave_out(self, name: str, error: Exception) -> None:
        _log.warning("%s: signature %r is not served: %s", self._directory, name, _trimmed(str(error)))


def _load_error(error: Exception) -> LoadError:
    """Loading raises whatever the damage provokes: OpError, OSError, ValueError, RuntimeError, ..."""
    if isinstance(error, LoadError):
        return error
    return LoadError(_trimmed(str(error)) or type(error).__name__)


def _run_quantised(run: Run, outputs: Sequence[np.dtype[Any]], *arrays: NDArray[Any]) -> list[NDArray[Any]]:
    """What the runtime gives as int8 and the like, as the quantised types that the signature has."""
    given = zip(outputs, run(*arrays), strict=True)
    return [np.asarray(output).view(dtype) if dtype.names else output for dtype, output in given]


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
        raise LoadError(f"{alias!r} is not a dense tensor")
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
    return _ASSERTION.sub(lambda found: _ESCAPED.sub(r"\1", found[1]), _GRAPH_NOISE.sub("", message).strip())
