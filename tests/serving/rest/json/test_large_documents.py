"""Large documents are read as small ones are, in little memory, and in turns with others."""

import json
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving_fixtures import ROOT
from unroll.serving.front.background import Pace
from unroll.serving.protocol import protos, tensors
from unroll.serving.protocol.status import StatusError, invalid
from unroll.serving.rest.json import large_documents
from unroll.serving.rest.json import requests as json_requests
from unroll.serving.rest.json import text as json_text
from unroll.serving.rest.json.numbers import LISTS, Numbers
from unroll.serving.rest.json.requests import Inputs

FLOAT, DOUBLE, STRING, INT64, UINT64 = 1, 2, 7, 9, 23
MEGABYTE = b"[" + b",".join(b"%.6f" % value for value in np.random.default_rng(0).random(111_000)) + b"]"


def no_pace() -> None:
    pass


def plain(value: Any) -> Any:
    """Lists of whatever stands for them; whole numbers among others as what they become beside them.

    Raises:
        StatusError: a number is too big for a double. Of many in a list that is told when they are read, of others when
            they become a tensor.
    """
    if isinstance(value, Numbers):
        return [float(item) if value.shape[1:] == [] else plain(item) for item in value]
    if isinstance(value, LISTS):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if (isinstance(value, int) and abs(value) > sys.float_info.max) or (
        value in (float("inf"), -float("inf")) and not isinstance(value, json_text.Infinite)
    ):
        raise invalid(json_text.TOO_BIG)
    return float(value)


def outcome(parse: Any, body: bytes) -> Any:
    try:
        return repr(plain(parse(body)))
    except StatusError as error:
        return error.code


def request(body: bytes, inputs: Inputs) -> bytes:
    """The message that a body becomes, if it fits its signature."""
    try:
        return json_requests.predict_request(large_documents.parse(body, no_pace), b"", inputs)[0]
    except json_requests.Refused as refused:
        raise refused.words() from None


def sent(body: bytes, inputs: Inputs) -> dict[str, Any]:
    message = protos.PredictRequest.FromString(request(body, inputs))
    return {alias: tensors.decode(proto) for alias, proto in message.inputs.items()}


numbers = st.one_of(
    st.sampled_from([0, 1, -1, 2**31, 2**53 + 1, 2**63, 2**64 - 1, 2**70, -0.0, 1e300, float("nan"), float("-inf")]),
    st.integers(-300, 300),
    st.floats(),
)
dense = st.integers(1, 3).flatmap(lambda size: st.lists(st.lists(numbers, min_size=size, max_size=size), max_size=3))
values = st.recursive(
    st.one_of(numbers, st.lists(numbers, max_size=9), dense, st.text(max_size=9), st.sampled_from([None, True, "],["])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["a", 'é"\\', "b"]), inner, max_size=3)
    ),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from(["instances", "inputs", "x"]), values, max_size=3)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    body = json.dumps(draw(documents), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
    data = body.encode(errors="replace")
    if draw(st.booleans()):
        at = draw(st.integers(0, len(data)))
        data = (
            data[:at] + draw(st.sampled_from([b"", b",", b"]", b"[", b"}", b'"', b"1", b" ", b"\xff"])) + data[at + 1 :]
        )
    return data


@pytest.mark.parametrize("piece", [1, 7, 40, 1000])
def test_documents_are_read_as_small_ones_are(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(large_documents, "_PIECE", piece)

    @settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(bodies())
    def same(body: bytes) -> None:
        assert outcome(lambda body: large_documents.parse(body, no_pace), body) == outcome(json_text.parse, body)

    same()


@pytest.mark.parametrize(
    ("text", "shape"),
    [("[1,2,3]", [3]), ("[[1, 2],\n [3, 4]]", [2, 2]), ("[[[1],[2]]]", [1, 2, 1]), ("[NaN, -Infinity]", [2])],
)
def test_dense_numbers_take_no_object_each(text: str, shape: list[int]) -> None:
    value = large_documents.parse(b'{"x": %b}' % text.encode(), no_pace)["x"]
    assert isinstance(value, Numbers)
    assert value.shape == shape


@pytest.mark.parametrize(
    "text", ["[[1],[2,3]]", "[[1],2]", "[[],[]]", "[1,,2]", "[1,]", "[1 2]", "[[1]2]", "[+1]", "[01]"]
)
def test_what_is_not_dense_is_no_array_of_numbers(text: str) -> None:
    document = b'{"x": %b}' % text.encode()
    assert outcome(lambda body: large_documents.parse(body, no_pace), document) == outcome(json_text.parse, document)


def test_whole_numbers_of_64_bits_are_kept_exactly() -> None:
    for data_type, values in ((INT64, [2**63 - 1, -(2**63), 2**53 + 1]), (UINT64, [2**64 - 1, 0])):
        assert sent(json.dumps({"instances": values}).encode(), Inputs({"x": data_type}))["x"].tolist() == values


def test_rows_in_many_pieces_become_one_tensor() -> None:
    rows = [{"a": [index, 0.5], "s": f"row {index}"} for index in range(20_000)]
    arrays = sent(json.dumps({"instances": rows}).encode(), Inputs({"a": FLOAT, "s": STRING}))
    assert arrays["a"].tolist() == [row["a"] for row in rows]
    assert [text.decode() for text in arrays["s"]] == [row["s"] for row in rows]


@pytest.mark.parametrize("bad", [{"a": [1], "s": ""}, {"a": [1, 2]}, {"a": [1, 2], "s": 3}, {"a": [1, "b"], "s": ""}])
def test_the_row_that_does_not_fit_is_named(bad: Any) -> None:
    rows = [{"a": [1, 2], "s": "text"}] * 5000 + [bad]
    with pytest.raises(StatusError, match="Failed to process element: 5000"):
        request(json.dumps({"instances": rows}).encode(), Inputs({"a": FLOAT, "s": STRING}))


def test_a_list_nested_without_end_is_refused() -> None:
    for depth in (30_000, 1_000_000):
        with pytest.raises(StatusError, match="nested too deeply"):
            large_documents.parse(b'{"instances":' + b"[" * depth + b"1" + b"]" * depth + b"}", no_pace)


def test_a_megabyte_of_numbers_takes_30_milliseconds() -> None:
    def seconds() -> float:
        start = time.thread_time()
        request(b'{"instances":%b}' % MEGABYTE, Inputs({"x": FLOAT}))
        return time.thread_time() - start

    assert min(seconds() for _ in range(5)) < 0.03


def test_others_have_their_turn_meanwhile() -> None:
    body = b'{"instances":[%b]}' % b",".join([MEGABYTE] * 8)
    reading = threading.Thread(target=lambda: large_documents.parse(body, Pace(60)))
    waits = []
    reading.start()
    while reading.is_alive():
        start = time.perf_counter()
        time.sleep(0.001)
        waits.append(time.perf_counter() - start)
    assert len(waits) > 5
    assert sorted(waits)[len(waits) // 2] < 0.02


def test_what_takes_too_long_is_cancelled() -> None:
    with pytest.raises(StatusError, match="Timed out"):
        large_documents.parse(b'{"instances":[%b]}' % b",".join([MEGABYTE] * 8), Pace(0.001))


_MEMORY = """
import re, sys
from unroll.serving.rest.json import large_documents, requests
item, data_types = sys.argv[1:]
body = b'{"instances":[' + b",".join([item.encode()] * (8_000_000 // (len(item) + 1))) + b"]}"
open("/proc/self/clear_refs", "w").write("5")
def kilobytes(name): return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])
before = kilobytes("VmRSS")
inputs = requests.Inputs(eval(data_types))
requests.predict_request(large_documents.parse(body, lambda: None), b"", inputs)
print(1 + (kilobytes("VmHWM") - before) * 1024 / len(body))
"""


@pytest.mark.parametrize(
    ("item", "types", "times"),
    [
        ("0.123456", {"x": FLOAT}, 4),
        ("[1.5, 2]", {"x": FLOAT}, 4),
        ("1", {"x": FLOAT}, 5),  # two bytes become four in the message
        ("1", {"x": DOUBLE}, 6.5),  # and here eight, of which a smaller message cannot be made
        ("1," * 99 + "0.1", {"x": FLOAT}, 4),
        ("[%s0.1]" % ("1," * 99), {"x": FLOAT}, 4),
        ('"a fine film"', {"x": STRING}, 4),
        ('{"a": 1.25, "s": "b"}', {"a": FLOAT, "s": STRING}, 4),
    ],
)
def test_memory_is_a_few_times_the_body(item: str, types: dict[str, int], times: float) -> None:
    command = [sys.executable, "-c", _MEMORY, item, repr(types)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    assert float(done.stdout) < times, (done.stdout, done.stderr)  # the body included
