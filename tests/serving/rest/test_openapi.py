"""The OpenAPI document and the page: whole, true of the server, and in need of nothing else."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.rest_fixtures import Rest, export_parsing
from tests.serving_fixtures import ROOT
from unroll.serving.front.dispatcher import Dispatcher
from unroll.serving.front.metrics import Metrics
from unroll.serving.protocol import protos
from unroll.serving.protocol.call import Call
from unroll.serving.protocol.model_spec import METADATA
from unroll.serving.protocol.status import StatusError
from unroll.serving.rest import RestApplication
from unroll.serving.versions.store import Store


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

    application = RestApplication(Dispatcher({METADATA: metadata}), lambda: ["another", "own"], Metrics())
    asked = {"type": "http", "method": "GET", "path": "/openapi.json", "query_string": b"", "headers": []}
    await application(asked, lambda: asyncio.sleep(0, {"type": "http.disconnect"}), send)
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
        if name not in ("uneven.row", "regress.row", "regress.column"):  # no rows; tf.Examples, though no name says so
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
    assert "the refusal names it" in request["properties"]["examples"]["description"]


def test_no_example_is_made_up_for_features_whose_names_are_not_known(
    start_rest: Callable[..., Rest], document: Any, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    store.put("parsing", 1, export_parsing(tmp_path / "1"))
    described = start_rest(store=store).ask("GET", "/openapi.json").json
    for post in (document["paths"]["/v1/models/sample:classify"], described["paths"]["/v1/models/parsing:predict"]):
        assert "examples" not in post["post"]["requestBody"]["content"]["application/json"]
    (row,) = (schema for name, schema in described["components"]["schemas"].items() if name.endswith("row.request"))
    examples = row["properties"]["instances"]["items"]["properties"]["examples"]
    assert examples["description"].startswith("Serialized tf.Examples, as base64.")
    pytest.importorskip("openapi_spec_validator").validate(described)


def test_the_requests_of_the_documentation_are_answered(rest: Rest) -> None:
    clients = (ROOT / "docs" / "clients.md").read_text()
    requests = re.findall(r"^curl -d '(.*)' localhost:8501/v1/models/sentiment(?:/versions/3)?(:\w+)$", clients, re.M)
    assert [method for _, method in requests] == [":predict", ":predict", ":classify"]
    for body, method in requests:
        reply = rest.ask("POST", f"/v1/models/sample{method}", body.encode())
        assert reply.status == 200, reply.body


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_page_needs_no_other_server(rest: Rest, path: str) -> None:
    reply = rest.ask("GET", path)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    page = reply.body.decode()
    assert not re.search(r"""(?:src|href)=["'](?!openapi\.json|data:)|https?://|@import|:\s*url\(""", page)
