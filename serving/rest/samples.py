"""Requests to begin with, as far as a model's signatures suggest one."""

import re
from collections.abc import Mapping
from typing import Any

from unroll.serving.protocol.model_spec import CLASSIFY, DEFAULT_SIGNATURE, REGRESS
from unroll.serving.rest.json.requests import Format
from unroll.serving.rest.json.types import SUPPORTED

STRING, BOOL = 7, 10
FLOATS = (1, 2)
KEYS: dict[Format, str] = {"row": "instances", "column": "inputs"}
_PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
_SIZE = 2  # of a dimension that is free


def formats(definition: Any) -> list[Format]:
    """The formats in which `:predict` takes a signature; none if JSON cannot hold its tensors.

    What takes serialized tf.Examples for Classify or Regress is asked by the methods made for it.
    """
    tensors = [*definition.inputs.values(), *definition.outputs.values()]
    by_json = definition.outputs and all(one.dtype in SUPPORTED for one in tensors)
    if not by_json or definition.method_name in (CLASSIFY, REGRESS):
        return []
    return ["row", "column"] if required(definition) and all(_rows_first(info) for info in tensors) else ["column"]


def required(definition: Any) -> list[str]:
    """The inputs that have no default."""
    return sorted(set(definition.inputs) - set(definition.defaults))


def request(signature: str, definition: Any, form: Format) -> dict[str, Any] | None:
    """What to send, or None where an input holds tf.Examples: no signature tells the names of their features."""
    if any(holds_examples(definition, alias) for alias in required(definition)):
        return None
    row = form == "row"
    values = {alias: _value(definition.inputs[alias], alias, row) for alias in required(definition)}
    return {"signature_name": signature, KEYS[form]: [values] if row else values}


def first(definitions: Mapping[str, Any]) -> dict[str, Any] | None:
    """What to send to a model, to its default signature if that is possible; None where nothing suggests it."""
    for signature in sorted(definitions, key=lambda name: (name != DEFAULT_SIGNATURE, name)):
        for form in formats(definitions[signature]):
            if found := request(signature, definitions[signature], form):
                return found
    return None


def predict_input(definitions: Mapping[str, Any]) -> str:
    """What `unroll predict` can send to a model: TEXT_OR_FILE, or FILE; empty where it has nothing for it."""
    default = definitions.get(DEFAULT_SIGNATURE)
    if default and len(needed := required(default)) == 1:
        alias, info = needed[0], default.inputs[needed[0]]
        texts = info.dtype == STRING and len(info.tensor_shape.dim) == 1
        if texts and not holds_examples(default, alias) and not holds_picture(alias):
            return "TEXT_OR_FILE"
    return "FILE" if "describe" in definitions else ""  # by which a model tells `unroll predict` what it takes


def holds_examples(definition: Any, alias: str) -> bool:
    """Whether an input takes serialized tf.Examples, as far as names tell."""
    # TensorFlow's own names for what Classify takes and gives, whatever the method is called.
    classifies = alias == "inputs" and set(definition.outputs) <= {"classes", "scores"}
    named_so = classifies or re.search("example|serialized", alias, re.IGNORECASE)
    return definition.inputs[alias].dtype == STRING and bool(named_so)


def holds_picture(alias: str) -> bool:
    """Whether an input of strings takes pictures, or other bytes, as far as its name tells."""
    return bool(re.search("image|picture|bytes", alias, re.IGNORECASE))


def _value(info: Any, alias: str, row: bool) -> Any:
    value: Any = 0.5 if info.dtype in FLOATS else 0
    if info.dtype == BOOL:
        value = True
    elif info.dtype == STRING:
        value = {"b64": _PICTURE} if holds_picture(alias) else "A text."
    if info.tensor_shape.unknown_rank:
        return value if row else [value]
    sizes = [dim.size for dim in info.tensor_shape.dim]
    if sizes and sizes[0] < 0:
        sizes[0] = 1
    for size in reversed(sizes[1 if row else 0 :]):
        value = [value] * (size if size >= 0 else _SIZE)
    return value


def _rows_first(info: Any) -> bool:
    shape = info.tensor_shape
    return shape.unknown_rank or (len(shape.dim) > 0 and shape.dim[0].size < 0)
