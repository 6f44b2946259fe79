"""The OpenAPI document and the page: whole, true of the server, and in need of nothing else."""

import asyncio
import json
import re
from typing import Any

import grpc
import pytest

from serving import protos
from serving.call import Call
from serving.front import Front
from serving.metrics import Metrics
from serving.model_spec import METADATA
from serving.rest import app
from serving.status import StatusError
from tests.rest_fixtures import Rest


@pytest.fixture(scope="module")
def document(rest: Rest) -> Any:
    reply = rest.ask("GET", "/openapi.json")
    assert reply.status == 200
    return reply.json


async def test_what_the_caller_may_not_ask_is_left_out() -> None:
    async def metadata(message: bytes, call: Call) -> bytes:
        asked = protos.GetModelMetadataRequest.FromString(message).model_spec.name
        if asked != "own":
            raise StatusError(grpc.StatusCode.PERMISSION_DENIED, "The token of app may not ask it")
        answer = protos.GetModelMetadataResponse(model_spec=protos.ModelSpec(name=asked))
        answer.metadata["signature_def"].Pack(protos.SignatureDefMap())
        return answer.SerializeToString()

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    door = app(Front({METADATA: metadata}), lambda: ["another", "own"], Metrics())
    asked = {"type": "http", "method": "GET", "path": "/openapi.json", "query_string": b"", "headers": []}
    await door(asked, lambda: asyncio.sleep(0, {"type": "http.disconnect"}), send)
    assert sent[0]["status"] == 200
    assert set(json.loads(sent[1]["body"])["paths"]) == {"/v1/models/own", "/v1/models/own/metadata"}


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_it_is_valid(document: Any) -> None:
    pytest.importorskip("openapi_spec_validator").validate(document)


def test_every_reference_leads_to_a_schema_with_a_permitted_name(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    names = set(document["components"]["schemas"])
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names)
    assert references(document) == {f"#/components/schemas/{name}" for name in names}


@pytest.mark.parametrize("model", ["types", "sample"])
def test_every_example_is_answered(rest: Rest, document: Any, model: str) -> None:
    body = document["paths"][f"/v1/models/{model}:predict"]["post"]["requestBody"]
    examples = body["content"]["application/json"]["examples"]
    assert "serving_default.row" in examples
    assert "serving_default.column" in examples
    for name, example in examples.items():
        if name.startswith("hold."):  # runs until a file says so
            continue
        reply = rest.predict(example["value"], model)
        if name not in ("uneven.row", "regress.row", "regress.column"):  # no rows; serialized tf.Examples
            assert reply.status == 200, (name, reply.body)


def test_schemas_tell_types_and_shapes(document: Any) -> None:
    schemas = document["components"]["schemas"]
    key = next(name for name in schemas if name.startswith("types-") and name.endswith("serving_default.row.request"))
    row = schemas[key]["properties"]["instances"]["items"]
    assert row["properties"]["x"] == {
        "type": "array",
        "items": {"type": "number", "format": "float"},
        "minItems": 2,
        "maxItems": 2,
    }
    answer = schemas[key.replace(".request", ".response")]["properties"]["predictions"]["items"]
    assert answer == row["properties"]["x"]
    assert not any(".half." in name or ".to_half." in name for name in schemas)  # JSON has no such number
    assert any(".scalar.column." in name for name in schemas)
    assert not any(".scalar.row." in name for name in schemas)
    raw = next(schema for name, schema in schemas.items() if name.endswith("raw.column.response"))
    assert raw["properties"]["outputs"]["properties"]["data_bytes"]["items"] == {"$ref": "#/components/schemas/Base64"}


def test_classify_is_described_where_a_signature_is_made_for_it(document: Any) -> None:
    post = document["paths"]["/v1/models/sample:classify"]["post"]
    request = post["requestBody"]["content"]["application/json"]["schema"]
    assert request["properties"]["signature_name"] == {"enum": ["classify"]}


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_page_needs_no_other_server(rest: Rest, path: str) -> None:
    reply = rest.ask("GET", path)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    page = reply.body.decode()
    assert not re.search(r"""(?:src|href)=["'](?!openapi\.json|data:)|https?://|@import|:\s*url\(""", page)
