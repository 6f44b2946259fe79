"""An OpenAPI document of the served models, made from their signatures.

https://spec.openapis.org/oas/v3.1.0
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from serving.model_spec import CLASSIFY, DEFAULT_SIGNATURE, REGRESS
from serving.rest.json_tensors import SUPPORTED

_STRING, _BOOL = 7, 10
_FORMATS = {
    1: "float",
    2: "double",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    9: "int64",
    22: "uint32",
    23: "uint64",
}
_BASE64 = {"$ref": "#/components/schemas/Base64"}
_PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
_EXAMPLE_SIZE = 2  # of a dimension that is free

Schema = dict[str, Any]


def document(models: Mapping[str, tuple[int, Mapping[str, Any]]]) -> bytes:
    """Describes what can be asked.

    Args:
        models: by name the version that answers and its SignatureDefs by name.

    Returns:
        An OpenAPI 3.1 document, JSON.
    """
    schemas: dict[str, Schema] = {
        "Base64": _object({"b64": {"type": "string", "contentEncoding": "base64"}}),
        "Error": _object({"error": {"type": "string"}}),
        "Status": {"type": "object", "properties": {"model_version_status": {"type": "array", "items": {}}}},
    }
    paths: Schema = {}
    for number, (name, (version, definitions)) in enumerate(models.items()):
        _describe(name, version, definitions, f"{re.sub('[^A-Za-z0-9._-]', '_', name)}-{number}", paths, schemas)
    described = {
        "openapi": "3.1.0",
        "info": {
            "title": "Models",
            "version": "v1",
            "description": "TensorFlow Serving's REST API. NaN, Infinity and -Infinity may stand where a number does.",
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
    }
    return json.dumps(described, ensure_ascii=False, indent=1).encode()


def _describe(
    name: str, version: int, definitions: Mapping[str, Any], key: str, paths: Schema, schemas: dict[str, Schema]
) -> None:
    url = f"/v1/models/{quote(name, safe='')}"
    paths[url] = {"get": _operation(name, f"State of {name}", {"$ref": "#/components/schemas/Status"})}
    paths[f"{url}/metadata"] = {"get": _operation(name, f"Signatures of {name}", {"type": "object"})}
    requests, responses, examples = [], [], {}
    for signature in sorted(definitions):
        definition = definitions[signature]
        if definition.method_name in (CLASSIFY, REGRESS) or not _by_json(definition):
            continue  # what takes serialized tf.Examples is asked by the methods made for it
        for form, request, response, example in _formats(signature, definition):
            full = f"{key}.{re.sub('[^A-Za-z0-9._-]', '_', signature)}.{form}"
            schemas[f"{full}.request"], schemas[f"{full}.response"] = request, response
            requests.append({"$ref": f"#/components/schemas/{full}.request"})
            responses.append({"$ref": f"#/components/schemas/{full}.response"})
            examples[f"{signature}.{form}"] = {"value": example}
    if requests:
        predict = _operation(name, f"Ask version {version} of {name}, or the one in charge", {"anyOf": responses})
        predict["requestBody"] = _body({"anyOf": requests}, examples)
        paths[f"{url}:predict"] = {"post": predict}
        number = {"name": "version", "in": "path", "required": True, "schema": {"type": "integer"}, "example": version}
        label = {"name": "label", "in": "path", "required": True, "schema": {"type": "string"}, "example": "canary"}
        paths[f"{url}/versions/{{version}}:predict"] = {"post": {**predict, "parameters": [number]}}
        paths[f"{url}/labels/{{label}}:predict"] = {"post": {**predict, "parameters": [label]}}
    for what, method in (("classify", CLASSIFY), ("regress", REGRESS)):
        names = sorted(signature for signature, one in definitions.items() if one.method_name == method)
        if names:
            paths[f"{url}:{what}"] = {"post": _of_examples(name, what, names)}


def _formats(signature: str, definition: Any) -> list[tuple[str, Schema, Schema, Schema]]:
    """Format, request and response schema, example of each format that a signature can be asked in."""
    tensors = [*definition.inputs.values(), *definition.outputs.values()]
    formats = []
    for form, sent, got in (("row", "instances", "predictions"), ("column", "inputs", "outputs")):
        row = form == "row"
        if row and not all(_rows_first(info) for info in tensors):
            continue
        inputs = {alias: _schema(definition.inputs[alias], alias, row) for alias in sorted(definition.inputs)}
        outputs = {
            alias: _schema(definition.outputs[alias], alias, row, out=True) for alias in sorted(definition.outputs)
        }
        example: Any = {alias: _example(definition.inputs[alias], alias, row) for alias in sorted(definition.inputs)}
        answer = next(iter(outputs.values())) if len(outputs) == 1 else _object(outputs)
        request = _object(inputs)
        if row:
            request = {"type": "array", "items": request, "minItems": 1}
            answer = {"type": "array", "items": answer}
            example = [example]
        name = {"signature_name": {"const": signature}}
        schema = _object({**name, sent: request})
        if signature == DEFAULT_SIGNATURE:
            schema["required"] = [sent]
        formats.append((form, schema, _object({got: answer}), {"signature_name": signature, sent: example}))
    return formats


def _schema(info: Any, alias: str, row: bool, out: bool = False) -> Schema:
    if info.dtype == _STRING:
        text: Schema = {"type": "string"}
        element = (_BASE64 if alias.endswith("_bytes") else text) if out else {"anyOf": [text, _BASE64]}
    elif info.dtype == _BOOL:
        element = {"type": "boolean"}
    else:
        element = {"type": "number" if info.dtype in (1, 2) else "integer", "format": _FORMATS[info.dtype]}
    if info.tensor_shape.unknown_rank:
        return {"description": f"{_FORMATS.get(info.dtype, 'string')} in lists of any depth"}
    for dim in reversed(info.tensor_shape.dim[1 if row else 0 :]):
        element = {"type": "array", "items": element}
        if dim.size >= 0:
            element["minItems"] = element["maxItems"] = dim.size
    return element


def _example(info: Any, alias: str, row: bool) -> Any:
    value: Any = 0 if info.dtype not in (1, 2) else 0.5
    if info.dtype == _BOOL:
        value = True
    elif info.dtype == _STRING:
        picture = any(word in alias.lower() for word in ("image", "picture", "bytes"))
        value = {"b64": _PICTURE} if picture else "A text."
    if info.tensor_shape.unknown_rank:
        return value if row else [value]
    sizes = [dim.size for dim in info.tensor_shape.dim]
    if sizes and sizes[0] < 0:
        sizes[0] = 1
    for size in reversed(sizes[1 if row else 0 :]):
        value = [value] * (size if size >= 0 else _EXAMPLE_SIZE)
    return value


def _by_json(definition: Any) -> bool:
    tensors = [*definition.inputs.values(), *definition.outputs.values()]
    return bool(definition.inputs) and bool(definition.outputs) and all(one.dtype in SUPPORTED for one in tensors)


def _rows_first(info: Any) -> bool:
    shape = info.tensor_shape
    return shape.unknown_rank or (len(shape.dim) > 0 and shape.dim[0].size < 0)


def _of_examples(name: str, what: str, signatures: list[str]) -> Schema:
    scalar = {"anyOf": [{"type": ["number", "string", "boolean"]}, _BASE64]}
    feature = {"anyOf": [scalar, {"type": "array", "items": scalar}]}
    example = {"type": "object", "additionalProperties": feature}
    request = _object(
        {
            "signature_name": {"enum": signatures},
            "context": example,
            "examples": {"type": "array", "minItems": 1, "items": example},
        }
    )
    request["required"] = ["examples"] if DEFAULT_SIGNATURE in signatures else ["signature_name", "examples"]
    pair = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "minItems": 2, "maxItems": 2}
    result = {"type": "array", "items": pair} if what == "classify" else {"type": "number"}
    operation = _operation(
        name, f"{what.title()} tf.Examples", _object({"results": {"type": "array", "items": result}})
    )
    shown = {"signature_name": signatures[0], "examples": [{"feature": "A text."}]}
    operation["requestBody"] = _body(request, {what: {"value": shown}})
    return operation


def _operation(model: str, summary: str, answer: Schema) -> Schema:
    return {
        "tags": [model],
        "summary": summary,
        "responses": {
            "200": {"description": "The answer", "content": {"application/json": {"schema": answer}}},
            "default": {
                "description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }


def _body(schema: Schema, examples: Schema) -> Schema:
    return {"required": True, "content": {"application/json": {"schema": schema, "examples": examples}}}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}
