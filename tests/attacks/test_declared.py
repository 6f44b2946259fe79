"""Requests of a few bytes that stand for much: none may take memory, nor be answered otherwise than by a clean refusal.

The server is a process of its own with its default flags: its peak of resident memory shows what a request took.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests.serving_fixtures import Server, start_model_server
from unroll.serving.protocol import protos, tensors, wire
from unroll.serving.versions.store import Store

PREDICTION = "/tensorflow.serving.PredictionService/"
PREDICT, CLASSIFY, REGRESS, MULTI_INFERENCE, METADATA = (
    PREDICTION + name for name in ("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata")
)
RELOAD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
MAX_MEGABYTES = 200  # that all of these may add to the server's peak
CODE = grpc.StatusCode


@pytest.fixture(scope="module")
def target(exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    store = Store(tmp_path_factory.mktemp("declared"))
    store.put("sample", 1, exports[1])
    server = start_model_server("--model_name=sample", f"--model_base_path={store.root / 'sample'}")
    assert server.port, server.text
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def call(target: Server) -> Iterator[Callable[..., bytes]]:
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(target.address, options) as channel:
        yield lambda path, message: channel.unary_unary(path)(message, timeout=30)


def spec(signature: str) -> bytes:
    return wire.block(1, wire.block(1, b"sample") + wire.block(3, signature.encode()))


def predict(signature: str, **inputs: bytes) -> bytes:
    entries = (wire.block(1, name.encode()) + wire.block(2, tensor) for name, tensor in inputs.items())
    return spec(signature) + wire.blocks(2, entries)


def tensor(dtype: str, *sizes: int, **values: Any) -> bytes:
    shape = {"dim": [{"size": size} for size in sizes]}
    return protos.TensorProto(dtype=dtype, tensor_shape=shape, **values).SerializeToString()


FLOATS, STRINGS, INDICES = "DT_FLOAT", "DT_STRING", "DT_INT64"
MANY = 1 << 20
UNSENT = "tensor parsing error: .*stands for .* bytes, and .* values were sent"
ROWS = "has .* rows; this server takes at most 100000 a request"
CONTEXT = protos.Example(features={"feature": {"text": {"bytes_list": {"value": [b"x" * 1000]}}}}).SerializeToString()
REFUSED = {
    "rows without an element": (PREDICT, predict("pick", index=tensor(INDICES, 1 << 40, 0)), UNSENT),
    "fewer of them": (PREDICT, predict("pick", index=tensor(INDICES, MANY, 0)), ROWS),
    "elements beside no row": (PREDICT, predict("pick", index=tensor(INDICES, 0, 1 << 62)), UNSENT),
    "a product that wraps around": (PREDICT, predict("pick", index=tensor(INDICES, 1 << 32, 1 << 32)), UNSENT),
    "one value for many": (PREDICT, predict("pick", index=tensor(INDICES, 1 << 22, int64_val=[1])), UNSENT),
    "one value for many rows": (PREDICT, predict("pick", index=tensor(INDICES, MANY, int64_val=[1])), ROWS),
    "one text for many": (PREDICT, predict("", text=tensor(STRINGS, MANY, string_val=[b"x" * 1000])), UNSENT),
    "no text for many": (PREDICT, predict("", text=tensor(STRINGS, 1 << 19)), ROWS),
    "many sizes": (PREDICT, predict("pick", index=tensor(INDICES, *[1] * 100_000, int64_val=[1])), "tensor parsing"),
    "inputs that differ in rows": (
        PREDICT,
        predict("sums", a=tensor(FLOATS, 1, 2), b=tensor(FLOATS, 1 << 50, 0)),
        UNSENT,
    ),
    "two million inputs": (PREDICT, spec("pick") + b"\x12\0" * (1 << 21), "more than 32768 parts"),
    "two million handles": (PREDICT, predict("pick", index=b"\x72\0" * (1 << 21)), "resources and variants"),
    "two million sizes": (
        PREDICT,
        predict("pick", index=wire.block(2, b"\x12\0" * (1 << 21))),
        "the shape has too many dimensions",
    ),
    "two million sizes behind a group": (
        PREDICT,
        b"\xa3\x06\xa4\x06" + predict("pick", index=wire.block(2, b"\x12\0" * (1 << 21))),
        "the shape has too many dimensions",
    ),
    "two million sizes before what is not a field": (
        PREDICT,
        predict("pick", index=wire.block(2, b"\x12\0" * (1 << 21))) + b"\xff",
        "not a PredictRequest message",
    ),
    "two million sizes in several inputs": (
        PREDICT,
        predict("pick", **{f"input{number}": wire.block(2, b"\x12\0" * (1 << 18)) for number in range(8)}),
        "the shape has too many dimensions",
    ),
    "two million sizes of one input, given again and again": (
        PREDICT,
        spec("pick") + wire.block(2, wire.blocks(2, [wire.block(2, b"\x12\0" * 8000)] * 256)),
        "the shape has too many dimensions",
    ),
    "a large tensor that is not one": (PREDICT, predict("pick", index=b"\xff" * MANY), "not a PredictRequest message"),
    "two million tasks": (MULTI_INFERENCE, b"\x0a\0" * (1 << 21), "more than 32768 parts"),
    "empty examples": (CLASSIFY, spec("classify") + wire.block(2, wire.block(1, b"\x0a\0" * MANY)), ROWS),
    "eight million empty examples": (
        CLASSIFY,
        spec("classify") + wire.block(2, wire.block(1, b"\x0a\0" * 8 * MANY)),
        ROWS,
    ),
    "eight million more": (REGRESS, spec("classify") + wire.block(2, wire.block(2, b"\x0a\0" * 8 * MANY)), ROWS),
    "a context for each": (
        CLASSIFY,
        spec("classify") + wire.block(2, wire.block(2, b"\x0a\0" * 90_000 + wire.block(2, CONTEXT))),
        "context of .* bytes, once an example",
    ),
    "two million names of outputs": (PREDICT, predict("pick") + b"\x1a\0" * (1 << 21), "more than 32768 parts"),
    "names of outputs": (PREDICT, predict("pick", index=tensor(INDICES, 1)) + b"\x1a\0" * 4000, "output tensor alias"),
    "kinds of metadata": (METADATA, spec("") + b"\x12\0" * MANY, "Metadata field  is not supported"),
    "two million models": (RELOAD, wire.block(1, wire.block(1, b"\x0a\0" * (1 << 21))), "at most 4194304"),
}


def peak(server: Server) -> float:
    """Megabytes that were resident at the most."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]


def test_few_bytes_take_little_memory_and_a_clean_refusal(target: Server, call: Callable[..., bytes]) -> None:
    ordinary = predict("", text=tensors.encode(tensors.from_python(["good"])))
    for _ in range(20):
        call(PREDICT, ordinary)
    before = peak(target)
    for name, (path, message, said) in REFUSED.items():
        with pytest.raises(grpc.RpcError) as refused:
            call(path, message)
        assert refused.value.code() in (CODE.INVALID_ARGUMENT, CODE.RESOURCE_EXHAUSTED), (name, refused.value)
        assert re.search(said, refused.value.details()), (name, refused.value.details())
        assert peak(target) - before < MAX_MEGABYTES, name
    call(PREDICT, ordinary)


def test_large_honest_requests_are_answered(call: Callable[..., bytes]) -> None:
    texts = tensors.from_python(["x" * MANY, "y", "z" * MANY])
    unknown = wire.integer(99, 1) + b"\xa1\x06" + bytes(8) + b"\xa5\x06" + bytes(4) + b"\xa3\x06\xa4\x06"
    for message in (
        predict("", text=tensors.encode(texts)),
        predict("", text=tensors.encode(texts, content=True)) + unknown,
    ):
        outputs = protos.PredictResponse.FromString(call(PREDICT, message)).outputs
        assert list(outputs["score"].float_val) == [MANY, 1, MANY]
    rows = np.ones((99_999, 2), np.float32)
    message = predict("sums", a=tensors.encode(rows, content=True), b=tensors.encode(rows[:, 0]))
    outputs = protos.PredictResponse.FromString(call(PREDICT, message)).outputs
    np.testing.assert_array_equal(tensors.decode(outputs["sum"]), np.full(99_999, 3, np.float32))


def test_as_many_rows_as_are_taken_by_default(target: Server, call: Callable[..., bytes]) -> None:
    before = peak(target)
    answer = call(PREDICT, predict("pick", index=tensor(INDICES, 100_000, int64_val=[1])))
    picked = protos.PredictResponse.FromString(answer).outputs["picked"]
    np.testing.assert_array_equal(tensors.decode(picked), np.full(100_000, 20, np.float32))
    assert peak(target) - before < MAX_MEGABYTES


def test_json_rows_of_nothing(target: Server) -> None:
    before = peak(target)
    body = {"signature_name": "pick", "instances": [[]] * 200_000}
    reply = target.rest("POST", "/v1/models/sample:predict", body)
    assert reply.status == 400
    assert "has 200000 rows; this server takes at most 100000 a request" in reply.body.decode()
    assert peak(target) - before < MAX_MEGABYTES
