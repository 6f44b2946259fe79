"""The messages of answers, written as wire format from arrays.

What a signature must be like for Classify and Regress, and what TensorFlow Serving says where it, or what it gave, is
not: servables/tensorflow/classifier.cc and regressor.cc there.
"""

import functools
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from unroll.serving.engine.session_engine import Signature
from unroll.serving.protocol import tensors, wire
from unroll.serving.protocol.model_spec import CLASSIFY, REGRESS
from unroll.serving.protocol.status import StatusError, invalid

Arrays = list[NDArray[Any]]

MAX_BYTES = 2**31 - 1 - (1 << 16)
"""Of the outputs in one answer: protobuf reads no message of 2 GiB, and their ModelSpec follows them."""


def predictions(outputs: Iterable[tuple[int, str]], arrays: Arrays, content: bool) -> bytes:
    """Writes the `outputs` of a PredictResponse.

    Args:
        outputs: position among the arrays, and name, of each output to write.
        arrays: what the signature gave.
        content: whether values go into `tensor_content`.

    Raises:
        StatusError: RESOURCE_EXHAUSTED: no message can hold them.
    """
    outputs = list(outputs)
    if sum([arrays[position].nbytes for position, _ in outputs]) > MAX_BYTES:  # then before they are written
        check_size(sum([tensors.least_bytes(arrays[position], content) for position, _ in outputs]))
    parts: list[bytes] = []
    size = 0
    for position, name in outputs:
        head, values = tensors.parts(arrays[position], content)
        parts += (_start(name, head, len(values)), values)
        size += len(values)
        check_size(size)
    return b"".join(parts)


def check_size(size: int) -> None:
    """Refuses an answer that no message can hold.

    Args:
        size: the bytes of its outputs.

    Raises:
        StatusError: RESOURCE_EXHAUSTED.
    """
    if size > MAX_BYTES:
        raise StatusError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"The outputs have {size} bytes or more; one message holds at most {MAX_BYTES}. Send fewer rows a request, "
            "or ask for some of the outputs with output_filter.",
        )


@functools.lru_cache(4096)
def _start(name: str, head: bytes, size: int) -> bytes:
    """What stands before the last `size` bytes of an output's tensor, which begins with `head`."""
    entry = wire.block(1, name.encode()) + wire.prefix(2, len(head) + size) + head
    return wire.prefix(1, len(entry) + size) + entry


@dataclass(frozen=True)
class ExampleTask:
    """Classify or Regress: what is asked of tf.Examples.

    Args:
        method: the method name that signatures made for it carry.
        noun: "classification" or "regression", as TensorFlow Serving's messages have it.
        check: raises StatusError for the definition of a signature that does not fit.
        write: from a signature, its arrays and the number of examples, the task's result as a serialized message;
            raises StatusError for arrays that do not fit.
    """

    method: str
    noun: str
    check: Callable[[Any], None]
    write: Callable[[Signature, Arrays, int], bytes]

    def check_method(self, definition: Any) -> None:
        """Refuses a signature that was made for something else."""
        if definition.method_name != self.method:
            raise invalid(
                f"Expected {self.noun} signature method_name to be {self.method}. Was: {definition.method_name}"
            )


def _check_classify(definition: Any) -> None:
    if len(definition.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(definition.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(definition.outputs)}")
    if "inputs" not in definition.inputs:
        raise invalid(f"No classification inputs found in SignatureDef: {definition}")
    if not {"classes", "scores"} & set(definition.outputs):
        raise invalid(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {definition}"
        )


def _check_regress(definition: Any) -> None:
    if len(definition.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(definition.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if "inputs" not in definition.inputs:
        raise invalid(f"No regression inputs found in SignatureDef: {definition}")
    if "outputs" not in definition.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {definition}")


def _classifications(signature: Signature, arrays: Arrays, examples: int) -> bytes:
    by_name = dict(zip(signature.outputs, arrays, strict=True))
    columns: dict[str, NDArray[Any]] = {}
    for name, dtype in (("classes", np.dtype(object)), ("scores", np.dtype(np.float32))):
        if (array := by_name.get(name)) is not None:
            if array.ndim != 2:
                raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
            if array.dtype != dtype:
                raise invalid(f"Expected {name} Tensor of {_data_type(dtype)}. Got: {_data_type(array.dtype)}")
            if len(array) != examples:
                raise invalid(f"Expected {name} output batch size of {examples}. Got: {len(array)}")
            columns[name] = array
    widths = [array.shape[1] for array in columns.values()]
    if len(set(widths)) > 1:
        raise invalid(f"Tensors class and score should match in dim_size(1). Got {widths[0]} vs. {widths[1]}")
    labels = columns["classes"] if "classes" in columns else itertools.repeat(None, examples)
    scores = columns["scores"].astype("<f4") if "scores" in columns else itertools.repeat(None, examples)
    width, size = widths[0], 0
    rows: list[bytes] = []
    for label_row, score_row in zip(labels, scores, strict=True):  # one at a time: an entry takes 20 times its bytes
        entries = [b""] * width
        if label_row is not None:
            entries = [wire.block(1, _text(label)) for label in label_row.tolist()]
        if score_row is not None:
            data = score_row.tobytes()
            entries = [entry + b"\x15" + data[4 * column : 4 * column + 4] for column, entry in enumerate(entries)]
        rows.append(wire.blocks(1, entries))
        size += len(rows[-1])
        check_size(size)
    return wire.blocks(1, rows)


def _regressions(signature: Signature, arrays: Arrays, examples: int) -> bytes:
    (array,) = arrays
    if array.ndim != 1 and not (array.ndim == 2 and array.shape[1] == 1):
        raise invalid(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(array)}"
        )
    if len(array) != examples:
        raise invalid(f"Input batch size did not match output batch size: {examples} vs. {len(array)}")
    if array.dtype != np.float32:
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {_data_type(array.dtype)}")
    values = array.astype("<f4").tobytes()
    return wire.blocks(1, (b"\x0d" + values[start : start + 4] for start in range(0, len(values), 4)))


def _text(label: bytes) -> bytes:
    """What a `string` field may hold."""
    return label if label.isascii() else label.decode(errors="replace").encode()


def _shape(array: NDArray[Any]) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def _data_type(dtype: np.dtype[Any]) -> str:
    return f"DT_{tensors.data_type_of(dtype).upper()}"


EXAMPLE_TASKS = {
    CLASSIFY: ExampleTask(CLASSIFY, "classification", _check_classify, _classifications),
    REGRESS: ExampleTask(REGRESS, "regression", _check_regress, _regressions),
}
"""By method name."""


def task_named(method: str) -> ExampleTask:
    """What a task of a MultiInferenceRequest asks for.

    Raises:
        StatusError: UNIMPLEMENTED for an unknown name.
    """
    if method not in EXAMPLE_TASKS:
        raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"Unsupported signature method_name: {method}")
    return EXAMPLE_TASKS[method]
