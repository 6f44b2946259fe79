"""The REST API by the letter of TensorFlow Serving's sources and tests, through real HTTP."""

import base64
import gzip
import json
import math
from typing import Any

import pytest

from tests.rest_fixtures import Rest

PREDICT = "/v1/models/types:predict"


def element(number: int, what: str, key: str = "") -> str:
    return f"Failed to process element: {number}{key and f' key: {key}'} of 'instances' list. Error: {what}"


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        (PREDICT, {"instances": [[1.0, 2.0], [3.0, 4.0]]}, {"predictions": [[0.5, 1.0], [1.5, 2.0]]}),
        (PREDICT, {"instances": [{"x": [1, 2]}]}, {"predictions": [[0.5, 1.0]]}),
        (PREDICT, {"inputs": [[1, 2]]}, {"outputs": [[0.5, 1.0]]}),
        (PREDICT, {"inputs": {"x": [[1, 2]], "ignored": 1}}, {"outputs": [[0.5, 1.0]]}),
        ("/v1/models/types/versions/3:predict", {"instances": [[1, 2]]}, {"predictions": [[0.5, 1.0]]}),
        ("/V1/Models/types:predict", {"instances": [[1, 2]]}, {"predictions": [[0.5, 1.0]]}),
        ("/v1/models/%74ypes:predict", {"instances": [[1, 2]]}, {"predictions": [[0.5, 1.0]]}),
        (PREDICT, {"signature_name": "scalar", "inputs": 3}, {"outputs": 6.0}),
        (PREDICT, {"signature_name": "scalar", "inputs": {"x": 3}}, {"outputs": 6.0}),
        (PREDICT, {"signature_name": "uneven", "inputs": []}, {"outputs": {"a": [], "b": []}}),
        (PREDICT, {"signature_name": "half", "inputs": []}, {"outputs": []}),
        (PREDICT, {"signature_name": "uneven", "inputs": [1]}, {"outputs": {"a": [1.0], "b": [1.0, 1.0]}}),
        (
            "/v1/models/sample:predict",
            {"instances": ["good", {"b64": base64.b64encode("naïve".encode()).decode()}]},
            {
                "predictions": [
                    {"label": "positive", "score": 4.0, "probabilities": [4.0, -4.0]},
                    {"label": "unknown", "score": 6.0, "probabilities": [6.0, -6.0]},
                ]
            },
        ),
        (
            "/v1/models/sample:predict",
            {"signature_name": "sums", "instances": [{"a": [1, 2], "b": 3}, {"a": [4, 5], "b": 6}]},
            {"predictions": [6.0, 15.0]},
        ),
        (
            "/v1/models/sample:predict",
            {"signature_name": "sums", "inputs": {"a": [[1, 2]], "b": [3]}},
            {"outputs": [6.0]},
        ),
        (
            "/v1/models/types:regress",
            {"signature_name": "regress", "examples": [{"x": 80.0}, {"x": [2.0]}]},
            {"results": [42.0, 3.0]},
        ),
        (
            "/v1/models/types:classify",
            {"signature_name": "classify", "examples": [{"name": "a", "n": 3}, {"name": {"b64": "Yg=="}}]},
            {"results": [[["a", 3.0], ["a", -1.0]], [["b", 0.0], ["b", -0.0]]]},
        ),
        (
            "/v1/models/types:classify",
            {"signature_name": "classify", "context": {"n": [True]}, "examples": [{"name": "a"}]},
            {"results": [[["a", 1.0], ["a", -0.333333343]]]},
        ),
    ],
)
def test_answers(rest: Rest, path: str, body: Any, answer: Any) -> None:
    reply = rest.ask("POST", path, body)
    assert (reply.status, reply.json) == (200, answer)
    assert reply.headers["content-type"] == "application/json"


def test_each_type_comes_back_as_it_went_in(rest: Rest) -> None:
    columns = {
        "f": [0.1, 3, 1e38], "d": [0.1, 2**53 + 2, 1e300], "i8": [-128, 0, 127], "i16": [-(2**15), 0, 1],
        "i32": [-(2**31), 0, 2**31 - 1], "i64": [-(2**63), 0, 2**63 - 1], "u8": [0, 1, 255], "u32": [0, 1, 2**32 - 1],
        "u64": [0, 1, 2**64 - 1], "b": [True, False, True], "s": ["", 'é"\\\n', "😀"],
    }  # fmt: skip
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    by_column = rest.predict({"signature_name": "echo", "inputs": columns})
    assert by_column.json == {"outputs": columns}
    assert rest.predict({"signature_name": "echo", "instances": rows}).json == {"predictions": rows}


def test_numbers_have_a_point_or_an_exponent_and_as_few_digits_as_bring_them_back(rest: Rest) -> None:
    reply = rest.predict({"inputs": [[0.4, 6], [18e6, 2 / 3], [6e-5, 246913.4]]})
    assert json.loads(reply.body, parse_float=str)["outputs"] == [
        ["0.2", "3.0"],
        ["9e+06", "0.333333343"],
        ["3e-05", "123456.703"],
    ]


def test_not_a_number_and_infinity_go_both_ways_as_tokens(rest: Rest) -> None:
    reply = rest.predict(b'{"instances": [[NaN, Infinity], [-Infinity, 1]]}')
    assert b"[NaN, Infinity], [-Infinity, 0.5]" in reply.body
    (first, second) = reply.json["predictions"]
    assert math.isnan(first[0])
    assert [first[1], *second] == [math.inf, -math.inf, 0.5]


def test_a_number_beyond_float_is_infinity_but_none_beyond_double(rest: Rest) -> None:
    assert rest.predict({"instances": [[1e300, 1]]}).json == {"predictions": [[math.inf, 0.5]]}
    assert rest.predict(b'{"instances": [[1e400, 1]]}').error.startswith(
        "JSON Parse error: Number too big to be stored in double."
    )


def test_outputs_named_bytes_are_base64_and_inputs_may_be_any_bytes(rest: Rest) -> None:
    data = base64.b64encode(b"\xff\x00\xfe").decode()
    reply = rest.predict({"signature_name": "raw", "instances": [{"data": {"b64": data}}, {"data": "a"}]})
    assert [row["data_bytes"] for row in reply.json["predictions"]] == [{"b64": data}, {"b64": "YQ=="}]
    unpadded = rest.predict({"signature_name": "raw", "instances": [{"b64": "YQ"}, {"b64": "Y\nQ=="}]})
    assert [row["data"] for row in unpadded.json["predictions"]] == ["a", "a"]
    # Bytes that are not UTF-8 pass through RapidJSON.
    reply = rest.predict(b'{"signature_name": "raw", "inputs": ["\xff"]}')
    assert reply.json["outputs"]["data_bytes"] == [{"b64": "/w=="}]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"instances = [1, 2]", "JSON Parse error: Expecting value: line 1 column 1 (char 0)"),
        (b'{"instances": [1 2]}', "JSON Parse error: Expecting ',' delimiter: line 1 column 18 (char 17)"),
        (b'{"a": 1 "b"}', "JSON Parse error: Expecting ',' delimiter: line 1 column 9 (char 8)"),
        (b'{"a" 1}', "JSON Parse error: Expecting ':' delimiter: line 1 column 6 (char 5)"),
        (
            b"{1: 2}",
            "JSON Parse error: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        (b'{"a', "JSON Parse error: Unterminated string starting at: line 1 column 2 (char 1)"),
        (b'{"a": "\\ud800"}', "JSON Parse error: The surrogate pair in string is invalid."),
        (b'{"a": ' + b"[" * 100_000, "JSON Parse error: Lists and objects are nested too deeply."),
        (b"[1, 2.0]", "JSON Value: [1, 2.0] Is not object"),
        ({}, "Missing 'inputs' or 'instances' key"),
        (
            {"signature_name": 5, "instances": [1]},
            'JSON Value: {\n    "signature_name": 5,\n    "instances": [1]\n} not formatted correctly. '
            "'signature_name' key must be a string value.",
        ),
        (
            {"instances": [1], "inputs": [1]},
            'JSON Value: {\n    "instances": [1],\n    "inputs": [1]\n} Not formatted correctly expecting only one of '
            "'inputs' or 'instances' keys to exist ",
        ),
        ({"instances": 1}, "JSON Value: {\n    \"instances\": 1\n} Expecting 'instances' to be an list/array"),
        ({"instances": []}, "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
        ({"signature_name": "q", "instances": [1]}, 'Serving signature name: "q" not found in signature def'),
        (
            {"instances": [[1, 2], [3, 4], [5, 6, 7]]},
            element(2, "INVALID_ARGUMENT: Expecting tensor size: 2 but got: 3"),
        ),
        (
            {"instances": [[1, 2], [3, 4], [[5, 6]]]},
            element(2, "INVALID_ARGUMENT: Expecting shape [2] but got: [1,2]"),
        ),
        ({"instances": [1, [1]]}, element(1, "INVALID_ARGUMENT: Expecting shape [] but got: [1]")),
        (
            {"instances": [[1, [2]]]},
            element(0, "INVALID_ARGUMENT: Encountered list at unexpected level: 1 expected < 1"),
        ),
        (
            {"instances": [[[1, 2], [3]]]},
            element(0, "INVALID_ARGUMENT: Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ),
        (
            {"instances": [[[1], 2]]},
            element(
                0,
                "INVALID_ARGUMENT: JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
            ),
        ),
        (
            {"instances": [[1, "a"]]},
            element(0, 'INVALID_ARGUMENT: JSON Value: "a" Type: String is not of expected type: float'),
        ),
        (
            {"instances": [[1, True]]},
            element(0, "INVALID_ARGUMENT: JSON Value: true Type: True is not of expected type: float"),
        ),
        (
            {"instances": [[1, None]]},
            element(0, "INVALID_ARGUMENT: JSON Value: null Type: Null is not of expected type: float"),
        ),
        ({"instances": [{"x": [1, 2]}, [1, 2]]}, "Expecting object but got list at item 1 of input list"),
        ({"instances": [[1, 2], {"x": [1, 2]}]}, "Expecting value/list but got object at item 1 of input list"),
        (
            {"instances": [{"z": [1, 2]}]},
            element(0, "INVALID_ARGUMENT: JSON object: does not have named input: z", "z"),
        ),
        (
            {"instances": [{}]},
            "Failed to process element: 0 of 'instances' list. JSON object: {} keys must be equal to: x",
        ),
        (
            {"signature_name": "echo", "instances": [1]},
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        (
            {"signature_name": "echo", "inputs": [1]},
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        ({"inputs": {"z": [1]}}, "Missing named input: x in 'inputs' object."),
        (
            b'{"instances": [{"\xff": 1}]}',
            element(0, "INVALID_ARGUMENT: JSON object: does not have named input: ?", "?"),
        ),
        ({"inputs": [[1, 2], [3]]}, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        (
            {"signature_name": "raw", "inputs": [{"a": 1}]},
            'JSON Value: {\n    "a": 1\n} not formatted correctly for base64 data',
        ),
        ({"signature_name": "raw", "inputs": [{"b64": "?"}]}, "Unable to base64 decode"),
        (
            {"signature_name": "uneven", "instances": [1]},
            "Tensor name: b has inconsistent batch size: 2 expecting: 1",
        ),
        ({"signature_name": "to_half", "inputs": [1]}, "Failed to write JSON value for tensor type: half"),
        (
            {"signature_name": "half", "instances": [1]},
            element(0, "UNIMPLEMENTED: Conversion of JSON Value: 1 to type: half"),
        ),
    ],
)
def test_predict_refuses(rest: Rest, body: Any, message: str) -> None:
    reply = rest.predict(body)
    assert (reply.status, reply.error) == (400, message)


def test_integers_take_no_fraction_and_no_number_out_of_range(rest: Rest) -> None:
    columns = {name: [1] for name in ("f", "d", "i8", "i16", "i32", "i64", "u8", "u32", "u64")}
    good = {**columns, "b": [True], "s": ["a"]}
    for name, dtype, value in [
        ("i32", "int32", 1.0), ("i32", "int32", 2**31), ("i64", "int64", 2**63), ("u32", "uint32", -1),
        ("u64", "uint64", 2**64), ("i8", "int8", 0.5), ("b", "bool", 1), ("s", "string", 1),
    ]:  # fmt: skip
        kind = "Number"
        reply = rest.predict({"signature_name": "echo", "inputs": {**good, name: [value]}})
        assert reply.status == 400
        assert reply.error == f"JSON Value: {value} Type: {kind} is not of expected type: {dtype}"
    # RapidJSON knows no smaller type than 32 bits; TensorFlow refuses what does not fit.
    assert rest.predict({"signature_name": "echo", "inputs": {**good, "i8": [300]}}).status == 400


def test_what_follows_the_document_is_ignored_and_the_first_bytes_may_mark_utf8(rest: Rest) -> None:
    assert rest.predict(b'\xef\xbb\xbf {"instances": [[1, 2]]} trailing').status == 200


def test_conversion_to_a_type_that_json_lacks_is_unimplemented(rest: Rest) -> None:
    reply = rest.predict({"signature_name": "half", "inputs": [1]})
    assert (reply.status, reply.error) == (501, "Conversion of JSON Value: 1 to type: half")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"examples": 1}, "JSON Value: {\n    \"examples\": 1\n} Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array"),
        ({}, "JSON Value: {} When method is classify, key 'examples' is expected and was not found"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        ({"context": [], "examples": [{}]}, "Example must be JSON object but got JSON Array"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[1]]}]}, "Feature: x has element with unexpected JSON type: Array"),
        ({"examples": [{"x": {"a": 1}}]}, "Feature: x has element with unexpected JSON type: Object"),
        ({"examples": [{"x": [1, 2.0]}]}, "Unexpected element type in feature: x expecting type: int64"),
        ({"examples": [{"x": ["a", True]}]}, "Unexpected element type in feature: x expecting type: bytes"),
        ({"examples": [{"x": [0.5, 1]}]}, "Unexpected element type in feature: x expecting type: float"),
        ({"examples": [{"x": 2**63}]}, "Feature: x has uint64_t element. Only int64_t is supported."),
        ({"signature_name": "s", "examples": [{"x": 1}]}, "No signature was found with the name: s"),
    ],
)
@pytest.mark.parametrize("method", ["classify", "regress"])
def test_classify_and_regress_refuse(rest: Rest, method: str, body: Any, message: str) -> None:
    reply = rest.ask("POST", f"/v1/models/types:{method}", body)
    assert (reply.status, reply.error) == (400, message)


@pytest.mark.parametrize(
    ("verb", "path", "status", "message"),
    [
        ("GET", "/v1/foo", 400, "Malformed request: GET /v1/foo"),
        ("POST", "/v1/foo", 400, "Malformed request: POST /v1/foo"),
        ("PUT", "/v1/models/types:predict", 400, "Malformed request: PUT /v1/models/types:predict"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("POST", "/v1/models", 400, "Malformed request: POST /v1/models"),
        ("GET", "/v1/models/debug/model_name", 400, "Malformed request: GET /v1/models/debug/model_name"),
        ("GET", "/v1/models/foo:predict", 400, "Malformed request: GET /v1/models/foo:predict"),
        ("POST", "/v1/models/foo:PREDICT", 400, "Malformed request: POST /v1/models/foo:PREDICT"),
        ("POST", "/v1/models/foo/metadata", 400, "Malformed request: POST /v1/models/foo/metadata"),
        ("POST", "/v1/models/foo/version/50:regress", 400, "Malformed request: POST /v1/models/foo/version/50:regress"),
        (
            "POST",
            "/v1/models/foo/versions/50/labels/l:regress",
            400,
            "Malformed request: POST /v1/models/foo/versions/50/labels/l:regress",
        ),
        (
            "POST",
            f"/v1/models/foo/versions/{2**64 - 1}:regress",
            400,
            f"Failed to convert version: {2**64 - 1} to numeric.",
        ),
        ("POST", "/v1/models/foo:predict", 404, "Servable not found for request: Latest(foo)"),
        ("POST", "/v1/models/foo/versions/50:predict", 404, "Servable not found for request: Specific(foo, 50)"),
        ("POST", "/v1/models/types/versions/9:predict", 404, "Servable not found for request: Specific(types, 9)"),
        ("POST", "/v1/models/types/labels/l:predict", 400, "Unrecognized servable version label: l"),
        ("GET", "/v1/models/foo", 404, "Could not find any versions of model foo"),
        ("GET", "/v1/models/foo?a=1", 404, "Could not find any versions of model foo?a=1"),
        ("GET", "/v1/models/types/versions/9", 404, "Could not find version 9 of model types"),
        ("GET", "/v1/models/foo/metadata", 404, "Servable not found for request: Latest(foo)"),
        ("GET", "/elsewhere", 404, "Not found: GET /elsewhere"),
    ],
)
def test_urls_are_refused(rest: Rest, verb: str, path: str, status: int, message: str) -> None:
    reply = rest.ask(verb, path, b'{"instances": [1]}' if verb == "POST" else None)
    assert (reply.status, reply.error) == (status, message)


@pytest.mark.parametrize("path", ["/v1/models/types", "/v1/models/types/versions/3"])
def test_status(rest: Rest, path: str) -> None:
    assert rest.ask("GET", path).json == {
        "model_version_status": [
            {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }


def test_metadata(rest: Rest) -> None:
    answer = rest.ask("GET", "/v1/models/types/metadata").json
    assert answer["model_spec"] == {"name": "types", "signature_name": "", "version": "3"}
    definition = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert definition["method_name"] == "tensorflow/serving/predict"
    assert definition["inputs"]["x"] == {
        "name": "serving_default_x:0",
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}], "unknown_rank": False},
    }


def test_a_gzipped_body_is_unpacked(rest: Rest) -> None:
    packed = gzip.compress(b'{"instances": [[1, 2]]}')
    assert rest.predict(packed, content_encoding="gzip").json == {"predictions": [[0.5, 1.0]]}
    for bad in (b"not gzip", packed[:-9]):
        reply = rest.predict(bad, content_encoding="gzip")
        assert (reply.status, reply.error) == (400, "Failed to uncompress the gzipped body")


def test_the_request_id_comes_back(rest: Rest) -> None:
    assert rest.predict({"instances": [[1, 2]]}, x_request_id="abc").headers["x-request-id"] == "abc"
    assert rest.ask("GET", "/v1/foo").headers["x-request-id"]


@pytest.mark.parametrize(("rank", "status"), [(32, 200), (33, 400), (60, 400), (200, 400)])
def test_a_tensor_of_many_dimensions_does_not_bring_the_runtime_down(rest: Rest, rank: int, status: int) -> None:
    value: Any = "a"
    for _ in range(rank):
        value = [value]
    reply = rest.predict({"signature_name": "raw", "inputs": value})
    assert reply.status == status
    assert status == 200 or reply.error == "tensor parsing error: data"
    by_row = rest.predict({"signature_name": "raw", "instances": value})
    assert by_row.status == status


def test_rows_of_the_most_dimensions_are_refused(rest: Rest) -> None:
    for rank in (253, 254, 255, 256, 257, 300):
        assert rest.predict(b'{"instances":' + b"[" * rank + b"1" + b"]" * rank + b"}").status == 400
