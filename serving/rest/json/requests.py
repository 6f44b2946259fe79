"""A parsed JSON request to the bytes of the gRPC message that it stands for.

The conditions and the words are those of tensorflow_serving/util/json_tensor.cc.
"""

import functools
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from unroll.serving.protocol import protos, wire
from unroll.serving.protocol.status import StatusError, invalid
from unroll.serving.rest.json import tensors as json_tensors
from unroll.serving.rest.json import text as json_text
from unroll.serving.rest.json.numbers import LISTS, Items, Numbers
from unroll.serving.rest.json.refusals import dense_shape, refusal, suspect
from unroll.serving.rest.json.tensors import Column, Mismatch

_MANY = 4096
Format = Literal["row", "column"]


@dataclass(frozen=True)
class Inputs:
    """What a signature takes.

    Args:
        types: DataType's number of each input.
        optional: those that have a default.
    """

    types: Mapping[str, int]
    optional: frozenset[str] = frozenset()

    @property
    def required(self) -> frozenset[str]:
        return frozenset(self.types) - self.optional

    @property
    def only(self) -> str | None:
        """The input that values without a name are for."""
        candidates = self.required or self.types
        return next(iter(candidates)) if len(candidates) == 1 else None

    def take(self, names: Collection[str]) -> bool:
        """Whether these inputs make a request."""
        return self.required <= set(names) <= self.types.keys()


Example = dict[str, Any]
Rows = list[Any] | Numbers | Items


class Refused(Exception):  # noqa: N818 - no error yet: `words` makes one
    """A request does not fit its signature.

    Args:
        words: goes through the request, value by value, for what to say.
    """

    def __init__(self, words: Callable[[], StatusError]) -> None:
        self.words = words


def signature_name(document: Example) -> str:
    """The signature that a request asks for; empty for the default.

    Raises:
        StatusError: INVALID_ARGUMENT.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise json_text.malformed(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return name.encode(errors="replace").decode()


def predict_request(document: Example, spec: bytes, inputs: Inputs) -> tuple[bytes, Format]:
    """Writes a PredictRequest.

    Args:
        document: with `instances` (row format) or `inputs` (column format).
        spec: the serialized ModelSpec, signature name included.
        inputs: what the signature takes. One that takes nothing, or nothing that has no default, needs no values.

    Returns:
        The serialized message, and the format to answer in.

    Raises:
        Refused: INVALID_ARGUMENT or UNIMPLEMENTED, in TensorFlow Serving's words, which are yet to be found.
        StatusError: what can be told at once.
    """
    if "instances" in document:
        if "inputs" in document:
            raise json_text.malformed(
                document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
            )
        rows = document["instances"]
        if not isinstance(rows, LISTS):
            raise json_text.malformed(document, "Expecting 'instances' to be an list/array")
        if not len(rows):
            raise json_text.malformed(document, "No values in 'instances' array")
        form: Format = "row"
        tensors = _from_rows(rows, inputs)
    elif "inputs" in document:
        form = "column"
        tensors = _from_columns(document["inputs"], inputs)
    elif not inputs.required:
        form, tensors = "column", {}
    else:
        raise invalid("Missing 'inputs' or 'instances' key")
    parts: list[json_tensors.Content] = [wire.block(1, spec)]
    for alias, tensor in tensors.items():
        parts += wire.nested(2, [wire.block(1, alias.encode()), *wire.nested(2, tensor)])
    return json_tensors.written(parts), form


def examples_request(document: Example, spec: bytes) -> bytes:
    """Writes a ClassificationRequest, or a RegressionRequest, which is the same on the wire.

    Raises:
        StatusError: INVALID_ARGUMENT, in TensorFlow Serving's words.
    """
    context = _example(document["context"]) if "context" in document else None
    if "examples" not in document:
        raise json_text.malformed(document, "When method is classify, key 'examples' is expected and was not found")
    examples = document["examples"]
    if not isinstance(examples, LISTS):
        raise json_text.malformed(document, "Expecting 'examples' value to be an list/array")
    if not len(examples):
        raise json_text.malformed(document, "'examples' value is an empty array")
    message = wire.blocks(1, [_example(example) for example in examples])
    with_context = b"" if context is None else wire.block(2, context)
    # Input: example_list = 1; example_list_with_context = 2, whose context = 2.
    return wire.block(1, spec) + wire.block(2, wire.block(1 if context is None else 2, message + with_context))


def _from_rows(rows: Rows, inputs: Inputs) -> dict[str, list[json_tensors.Content]]:
    first: Any = None if isinstance(rows, Numbers) else rows[0]  # of numbers, it would have all of them read
    only = inputs.only
    if not _is_object(first) and only is None:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    names: Collection[str] = first.keys() if _is_object(first) else (str(only),)
    if not names and not inputs.required:
        raise invalid("'instances' holds objects without inputs. Send \"inputs\": {} instead")
    try:
        if not inputs.take(names):
            raise Mismatch
        columns = {alias: Column(data_type, alias) for alias, data_type in inputs.types.items() if alias in names}
        for batch in rows.batches() if isinstance(rows, Items) else (rows,):
            if not _is_object(first):
                columns[str(only)].add(batch)
                continue
            if not all(isinstance(row, dict) and row.keys() == names for row in batch):
                raise Mismatch
            for alias, column in columns.items():
                column.add([row[alias] for row in batch])
    except Mismatch:
        raise Refused(functools.partial(_row_refusal, rows, inputs)) from None
    return {alias: column.tensor() for alias, column in columns.items()}


def _row_refusal(rows: Rows, inputs: Inputs) -> StatusError:
    """What TensorFlow Serving says of the first row that does not fit."""
    objects = _is_object(rows[0])
    names = rows[0].keys() if objects and inputs.take(rows[0]) else inputs.types.keys()
    shapes: dict[str, list[int]] = {}
    for number, row in _suspects(rows, inputs):
        where = f"Failed to process element: {number}"
        if _is_object(row) != objects:
            if objects:
                return invalid(f"Expecting object but got list at item {number} of input list")
            return invalid(f"Expecting value/list but got object at item {number} of input list")
        if not objects:
            if error := _item_refusal(row, str(inputs.only), inputs, shapes):
                return invalid(f"{where} of 'instances' list. Error: {error.code.name}: {error.message}")
            continue
        for alias, value in row.items():
            if error := _item_refusal(value, alias, inputs, shapes):
                return invalid(f"{where} key: {alias} of 'instances' list. Error: {error.code.name}: {error.message}")
        if row.keys() != names:
            return invalid(
                f"{where} of 'instances' list. JSON object: {json_text.debug(row)} keys must be equal to: "
                + ",".join(sorted(names))
            )
    raise AssertionError("a request that does not fit has a row that does not fit")


def _suspects(rows: Rows, inputs: Inputs) -> Iterator[tuple[int, Any]]:
    """The rows that may be why a request is refused, and their numbers."""
    if isinstance(rows, Numbers) and inputs.only is not None:
        number = suspect(rows, inputs.types[inputs.only]) // math.prod(rows.shape[1:])
        return iter([(number, rows[number])])
    return enumerate(rows)


def _item_refusal(value: Any, alias: str, inputs: Inputs, shapes: dict[str, list[int]]) -> StatusError | None:
    if alias not in inputs.types:
        return invalid(f"JSON object: does not have named input: {alias}")
    if error := refusal(value, inputs.types[alias]):
        return error
    shape = dense_shape(value)
    expected = shapes.setdefault(alias, shape)
    if math.prod(expected) != math.prod(shape):
        return invalid(f"Expecting tensor size: {math.prod(expected)} but got: {math.prod(shape)}")
    if expected != shape:
        return invalid(f"Expecting shape {_shown(expected)} but got: {_shown(shape)}")
    return None


def _from_columns(value: Any, inputs: Inputs) -> dict[str, list[json_tensors.Content]]:
    if not _is_object(value):
        if inputs.only is None:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        value = {inputs.only: value}
    tensors = {}
    for alias, data_type in inputs.types.items():
        if alias not in value:
            if alias in inputs.optional:
                continue
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
        try:
            tensors[alias] = json_tensors.tensor(value[alias], data_type, alias)
        except Mismatch:
            raise Refused(functools.partial(_value_refusal, value[alias], data_type)) from None
    return tensors


def _value_refusal(value: Any, data_type: int) -> StatusError:
    error = refusal(value, data_type)
    assert error is not None
    return error


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not json_text.is_base64(value)


def _shown(shape: list[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _example(value: Any) -> bytes:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {json_text.kind(value)}")
    example = protos.Example()
    for name, content in value.items():
        feature = example.features.feature[name.encode(errors="replace").decode()]
        if isinstance(content, Numbers) and len(content.shape) == 1:
            _add_numbers(content, name, feature)
            continue
        for item in content if isinstance(content, LISTS) else [content]:
            _add(item, name, feature)
    return example.SerializeToString()


def _add(value: Any, name: str, feature: Any) -> None:
    if isinstance(value, bool):
        field, value = "int64_list", int(value)
    elif isinstance(value, str):
        field, value = "bytes_list", json_text.utf8(value)
    elif json_text.is_base64(value):
        field, value = "bytes_list", json_text.unbase64(value)
    elif isinstance(value, int) and -(2**63) <= value < 2**64:
        field = "int64_list"
    elif isinstance(value, int | float):
        field = "float_list"
    else:
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {json_text.kind(value)}")
    known = feature.WhichOneof("kind")
    if known not in (None, field):
        raise invalid(f"Unexpected element type in feature: {name} expecting type: {known.removesuffix('_list')}")
    if field == "int64_list" and value >= 2**63:
        raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    try:
        getattr(feature, field).value.append(value)
    except OverflowError:
        raise invalid(json_text.TOO_BIG) from None


def _add_numbers(numbers: Numbers, name: str, feature: Any) -> None:
    """As `_add` for each, some thousand at a time."""
    flat = numbers.flat
    if flat.dtype.kind == "u":
        _add(flat.max().item(), name, feature)  # which int64 does not hold
    values = (feature.int64_list if flat.dtype.kind == "i" else feature.float_list).value
    for start in range(0, len(flat), _MANY):
        values.extend(flat[start : start + _MANY].tolist())
