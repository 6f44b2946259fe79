"""An OpenAPI document of the served models, made from their signatures.

https://spec.openapis.org/oas/v3.1.0
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from unroll.serving.protocol.model_spec import CLASSIFY, DEFAULT_SIGNATURE, REGRESS
from unroll.serving.rest import samples
from unroll.serving.rest.json.requests import Format
from unroll.serving.rest.samples import BOOL, FLOATS, STRING

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
_FEATURES = "No signature tells the names of their features; if one is missing, the refusal names it."

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
        for form in samples.formats(definition):
            request, response = _schemas(signature, definition, form)
            full = f"{key}.{re.sub('[^A-Za-z0-9._-]', '_', signature)}.{form}"
            schemas[f"{full}.request"], schemas[f"{full}.response"] = request, response
            requests.append({"$ref": f"#/components/schemas/{full}.request"})
            responses.append({"$ref": f"#/components/schemas/{full}.response"})
            if example := samples.request(signature, definition, form):
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


def _schemas(signature: str, definition: Any, form: Format) -> tuple[Schema, Schema]:
    """Of the request to a signature and of its answer."""
    row = form == "row"
    inputs = {alias: _schema(definition.inputs[alias], alias, row) for alias in sorted(definition.inputs)}
    for alias in inputs:
        if samples.holds_examples(definition, alias):
            inputs[alias]["description"] = f"Serialized tf.Examples, as base64. {_FEATURES}"
    outputs = {alias: _schema(definition.outputs[alias], alias, row, out=True) for alias in sorted(definition.outputs)}
    answer = next(iter(outputs.values())) if len(outputs) == 1 else _object(outputs)
    request = {**_object(inputs), "required": samples.required(definition)}
    if row:
        request = {"type": "array", "items": request, "minItems": 1}
        answer = {"type": "array", "items": answer}
    schema = _object({"signature_name": {"const": signature}, samples.KEYS[form]: request})
    if signature == DEFAULT_SIGNATURE:
        schema["required"] = [samples.KEYS[form]]
    return schema, _object({"predictions" if row else "outputs": answer})


def _schema(info: Any, alias: str, row: bool, out: bool = False) -> Schema:
    if info.dtype == STRING:
        text: Schema = {"type": "string"}
        element = (_BASE64 if alias.endswith("_bytes") else text) if out else {"anyOf": [text, _BASE64]}
    elif info.dtype == BOOL:
        element = {"type": "boolean"}
    else:
        element = {"type": "number" if info.dtype in FLOATS else "integer", "format": _FORMATS[info.dtype]}
    if info.tensor_shape.unknown_rank:
        return {"description": f"{_FORMATS.get(info.dtype, 'string')} in lists of any depth"}
    for dim in reversed(info.tensor_shape.dim[1 if row else 0 :]):
        element = {"type": "array", "items": element}
        if dim.size >= 0:
            element["minItems"] = element["maxItems"] = dim.size
    return element


def _of_examples(name: str, what: str, signatures: list[str]) -> Schema:
    scalar = {"anyOf": [{"type": ["number", "string", "boolean"]}, _BASE64]}
    feature = {"anyOf": [scalar, {"type": "array", "items": scalar}]}
    example = {"type": "object", "additionalProperties": feature}
    request = _object(
        {
            "signature_name": {"enum": signatures},
            "context": example,
            "examples": {"type": "array", "minItems": 1, "items": example, "description": f"tf.Examples. {_FEATURES}"},
        }
    )
    request["required"] = ["examples"] if DEFAULT_SIGNATURE in signatures else ["signature_name", "examples"]
    pair = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "minItems": 2, "maxItems": 2}
    result = {"type": "array", "items": pair} if what == "classify" else {"type": "number"}
    operation = _operation(
        name, f"{what.title()} tf.Examples", _object({"results": {"type": "array", "items": result}})
    )
    operation["requestBody"] = _body(request, {})
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
    content = {"schema": schema, **({"examples": examples} if examples else {})}
    return {"required": True, "content": {"application/json": content}}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}
