"""A parsed JSON request to the bytes of the gRPC message that it stands for.

The conditions and the words are those of tensorflow_serving/util/json_tensor.cc.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

from serving import protos, wire
from serving.rest import json_tensors, json_text
from serving.rest.json_tensors import Mismatch
from serving.status import StatusError, invalid

Format = Literal["row", "column"]
Inputs = Mapping[str, int]
"""DataType's number of each input of a signature."""

Example = dict[str, Any]


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
        inputs: what the signature takes; at least one.

    Returns:
        The serialized message, and the format to answer in.

    Raises:
        StatusError: INVALID_ARGUMENT or UNIMPLEMENTED, in TensorFlow Serving's words.
    """
    if "instances" in document:
        if "inputs" in document:
            raise json_text.malformed(
                document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
            )
        rows = document["instances"]
        if not isinstance(rows, list):
            raise json_text.malformed(document, "Expecting 'instances' to be an list/array")
        if not rows:
            raise json_text.malformed(document, "No values in 'instances' array")
        form: Format = "row"
        tensors = _from_rows(rows, inputs)
    elif "inputs" in document:
        form = "column"
        tensors = _from_columns(document["inputs"], inputs)
    else:
        raise invalid("Missing 'inputs' or 'instances' key")
    entries = (wire.block(1, alias.encode()) + wire.block(2, tensor) for alias, tensor in tensors.items())
    return wire.block(1, spec) + wire.blocks(2, entries), form


def examples_request(document: Example, spec: bytes) -> bytes:
    """Writes a ClassificationRequest, or a RegressionRequest, which is the same on the wire.

    Raises:
        StatusError: INVALID_ARGUMENT, in TensorFlow Serving's words.
    """
    context = _example(document["context"]) if "context" in document else None
    if "examples" not in document:
        raise json_text.malformed(document, "When method is classify, key 'examples' is expected and was not found")
    examples = document["examples"]
    if not isinstance(examples, list):
        raise json_text.malformed(document, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise json_text.malformed(document, "'examples' value is an empty array")
    message = wire.blocks(1, [_example(example) for example in examples])
    with_context = b"" if context is None else wire.block(2, context)
    # Input: example_list = 1; example_list_with_context = 2, whose context = 2.
    return wire.block(1, spec) + wire.block(2, wire.block(1 if context is None else 2, message + with_context))


def _from_rows(rows: list[Any], inputs: Inputs) -> dict[str, bytes]:
    if not isinstance(rows[0], dict) and len(inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    try:
        if not _is_object(rows[0]):
            alias, data_type = min(inputs.items())
            return {alias: json_tensors.tensor(rows, data_type, alias)}
        names = inputs.keys()
        if not all(isinstance(row, dict) and row.keys() == names for row in rows):
            raise Mismatch
        return {
            alias: json_tensors.tensor([row[alias] for row in rows], data_type, alias)
            for alias, data_type in inputs.items()
        }
    except Mismatch:
        raise _row_refusal(rows, inputs) from None


def _row_refusal(rows: list[Any], inputs: Inputs) -> StatusError:
    """What TensorFlow Serving says of the first row that does not fit."""
    objects = _is_object(rows[0])
    shapes: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        where = f"Failed to process element: {number}"
        if _is_object(row) != objects:
            if objects:
                return invalid(f"Expecting object but got list at item {number} of input list")
            return invalid(f"Expecting value/list but got object at item {number} of input list")
        if not objects:
            if error := _item_refusal(row, min(inputs), inputs, shapes):
                return invalid(f"{where} of 'instances' list. Error: {error.code.name}: {error.message}")
            continue
        for alias, value in row.items():
            if error := _item_refusal(value, alias, inputs, shapes):
                return invalid(f"{where} key: {alias} of 'instances' list. Error: {error.code.name}: {error.message}")
        if row.keys() != inputs.keys():
            return invalid(
                f"{where} of 'instances' list. JSON object: {json_text.debug(row)} keys must be equal to: "
                + ",".join(sorted(inputs))
            )
    raise AssertionError("a request that does not fit has a row that does not fit")


def _item_refusal(value: Any, alias: str, inputs: Inputs, shapes: dict[str, list[int]]) -> StatusError | None:
    if alias not in inputs:
        return invalid(f"JSON object: does not have named input: {alias}")
    if error := json_tensors.refusal(value, inputs[alias]):
        return error
    shape = json_tensors.dense_shape(value)
    expected = shapes.setdefault(alias, shape)
    if math.prod(expected) != math.prod(shape):
        return invalid(f"Expecting tensor size: {math.prod(expected)} but got: {math.prod(shape)}")
    if expected != shape:
        return invalid(f"Expecting shape {_shown(expected)} but got: {_shown(shape)}")
    return None


def _from_columns(value: Any, inputs: Inputs) -> dict[str, bytes]:
    if not _is_object(value):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        value = {min(inputs): value}
    tensors = {}
    for alias, data_type in inputs.items():
        if alias not in value:
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
        try:
            tensors[alias] = json_tensors.tensor(value[alias], data_type, alias)
        except Mismatch:
            error = json_tensors.refusal(value[alias], data_type)
            assert error is not None
            raise error from None
    return tensors


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
        for item in content if isinstance(content, list) else [content]:
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
