"""Large requests say what small ones do: each is read by protobuf too, and compared."""

import random
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError

from unroll.serving.front.limits import Limits
from unroll.serving.protocol import examples, protos, tensors, wire
from unroll.serving.protocol.status import StatusError
from unroll.serving.services import large_requests

COUNT = 30_000
SPEC = wire.block(1, wire.block(1, b"sample"))


def request(*tensor: bytes, name: bytes = b"x") -> bytes:
    return SPEC + wire.block(2, wire.block(1, name) + wire.blocks(2, tensor))


def head(dtype: str, *shape: int) -> bytes:
    sizes = {"dim": [{"size": size} for size in shape]}
    return protos.TensorProto(dtype=dtype, tensor_shape=sizes).SerializeToString()


def read(message: bytes, limits: Limits | None = None) -> dict[str, large_requests.Tensor]:
    return large_requests.predict(message, limits or Limits(), lambda: None)[1]


def by_protobuf(message: bytes) -> dict[str, large_requests.Tensor]:
    found: dict[str, large_requests.Tensor] = {}
    for name, proto in protos.PredictRequest.FromString(message).inputs.items():
        try:
            found[name] = tensors.decode(proto)
        except ValueError as error:
            found[name] = error
    return found


FLOATS = np.arange(COUNT, dtype=np.float32)
NUMBERS = [wire.varint(number * number % 100_000) for number in range(COUNT)]
STRINGS = [b"x" * (number % 7) for number in range(COUNT)]
HIDDEN = [b"BBBB" * (number % 5) for number in range(COUNT)]  # as the next string's tag looks
LONG = [b"B" * 20_000, b"", b"y" * 9_000]
TENSORS = {
    "packed floats": [head("DT_FLOAT", 100, 300), wire.block(5, FLOATS.tobytes())],
    "floats in two parts": [
        head("DT_FLOAT", COUNT), wire.block(5, FLOATS[:17_000].tobytes()), wire.block(5, FLOATS[17_000:].tobytes())
    ],
    "floats one by one": [head("DT_FLOAT", COUNT), b"".join(b"\x2d" + value.tobytes() for value in FLOATS)],
    "floats in content": [head("DT_FLOAT", COUNT), wire.block(4, FLOATS.tobytes())],
    "content of another size": [head("DT_FLOAT", COUNT + 1), wire.block(4, FLOATS.tobytes())],
    "complex numbers": [head("DT_COMPLEX64", COUNT // 2), wire.block(9, FLOATS.tobytes())],
    "complex numbers cut in two": [
        head("DT_COMPLEX64", COUNT // 2), wire.block(9, FLOATS[:9_001].tobytes()),
        wire.block(9, FLOATS[9_001:].tobytes()),
    ],
    "packed integers": [head("DT_INT64", COUNT), wire.block(10, b"".join(NUMBERS))],
    "integers one by one": [head("DT_INT32", COUNT), b"".join(b"\x38" + number for number in NUMBERS)],
    "bytes that wrap around": [head("DT_UINT8", COUNT), wire.block(7, b"".join(NUMBERS))],
    "negative integers": [head("DT_INT32", COUNT), wire.block(7, wire.varint(-1) * COUNT)],
    "halves": [head("DT_HALF", COUNT), wire.block(13, b"".join(wire.varint(n % 30_000) for n in range(COUNT)))],
    "booleans": [head("DT_BOOL", COUNT), wire.block(11, bytes((0, 1)) * (COUNT // 2))],
    "booleans in content": [head("DT_BOOL", COUNT), wire.block(4, bytes((0, 1)) * (COUNT // 2))],
    "no booleans": [head("DT_BOOL", COUNT), wire.block(4, b"\x02" * COUNT)],
    "eight bits": [head("DT_FLOAT8_E5M2", COUNT), wire.block(18, bytes(COUNT))],
    "strings": [head("DT_STRING", COUNT), wire.blocks(8, STRINGS)],
    "strings like tags": [head("DT_STRING", COUNT), wire.blocks(8, HIDDEN)],
    "long strings": [head("DT_STRING", 3), wire.blocks(8, LONG)],
    "long strings among short": [head("DT_STRING", 6006), wire.blocks(8, [*STRINGS[:3000], *LONG, *STRINGS[:3003]])],
    "strings in content": [
        head("DT_STRING", COUNT), wire.block(4, b"".join([wire.varint(len(s)) for s in STRINGS] + STRINGS))
    ],
    "long strings in content": [
        head("DT_STRING", 3), wire.block(4, b"".join([wire.varint(len(s)) for s in LONG] + LONG))
    ],
    "the shape last": [wire.blocks(8, STRINGS), head("DT_STRING", 100, 300)],
    "a shape in parts": [head("DT_STRING", 100), wire.blocks(8, STRINGS), head("DT_STRING", 300)],
    "fewer than the shape": [head("DT_INT64", 2 * COUNT), wire.block(10, b"".join(NUMBERS))],
    "one for many": [head("DT_INT64", 1 << 20), wire.block(10, b"\x07"), wire.block(99, bytes(9_000))],
    "surplus": [head("DT_STRING", 5), wire.blocks(8, STRINGS)],
    "none asked for": [head("DT_STRING", 0, 3), wire.blocks(8, STRINGS)],
    "of another type": [head("DT_FLOAT", 1), wire.blocks(8, STRINGS)],
    "no type": [wire.blocks(8, STRINGS)],
    "unknown fields": [head("DT_INT32", 1), b"\xa0\x06\x01" * COUNT, b"\x38\x05"],
    "fields of all kinds": [
        head("DT_INT32", 1), (b"\xa1\x06" + bytes(8) + b"\xa5\x06" + bytes(4) + b"\x08\x03") * 2_000, b"\x38\x05"
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_are_read_as_protobuf_and_tensorflow_read_them(name: str) -> None:
    message = request(*TENSORS[name])
    assert_same(read(message)["x"], by_protobuf(message)["x"])


def assert_same(ours: large_requests.Tensor, theirs: large_requests.Tensor) -> None:
    if isinstance(theirs, ValueError):
        assert isinstance(ours, ValueError)
        assert str(ours) == str(theirs)
    else:
        assert isinstance(ours, np.ndarray)
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_array_equal(ours, theirs)


def test_any_mixture_of_fields_is_read_as_protobuf_reads_it() -> None:
    chance = random.Random(7)
    for dtype, field in (("DT_STRING", 8), ("DT_INT64", 10), ("DT_FLOAT", 5)):
        for _ in range(20):
            fields = [head(dtype, chance.randrange(2 * COUNT))]
            while sum(map(len, fields)) < large_requests.LARGE:
                size = 4 * int(chance.expovariate(1 / chance.choice((1, 50, 5000))))
                number = field if chance.random() < 0.9 else chance.choice((4, 5, 8, 10, 16, 700))
                fields.append(wire.block(number, chance.choice((b"B", b"\x01", b"\x42\x05")) * (size // 2 * 2)))
            message = request(*fields)
            try:
                theirs = by_protobuf(message)["x"]
            except DecodeError:
                with pytest.raises(StatusError, match="not a PredictRequest message"):
                    read(message)
            else:
                assert_same(read(message)["x"], theirs)


def test_what_else_a_request_says_is_read_too() -> None:
    message = (
        request(*TENSORS["strings"], name=b"old")
        + request(*TENSORS["strings"], name=b"x")
        + request(*TENSORS["packed floats"], name=b"x")
        + wire.blocks(3, [b"score", b"label"])
    )
    rest, inputs = large_requests.predict(message, Limits(), lambda: None)
    assert (rest.model_spec.name, list(rest.output_filter)) == ("sample", ["score", "label"])
    assert set(inputs) == {"old", "x"}
    np.testing.assert_array_equal(inputs["x"], FLOATS.reshape(100, 300))


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (request(head("DT_STRING", 1), wire.blocks(8, STRINGS) + b"\x42\x7f"), "not a PredictRequest message"),
        (request(head("DT_INT64", 1), wire.block(10, b"\xff" * COUNT)), "not a PredictRequest message"),
        (request(head("DT_FLOAT", 1), wire.block(5, bytes(COUNT + 1))), "not a PredictRequest message"),
        (request(*TENSORS["strings"], name=b"\xff"), "not a PredictRequest message"),
        (request(*TENSORS["strings"]) + wire.block(99, bytes(1 << 20)), "bytes beside its inputs or examples"),
    ],
    ids=["cut short", "no number", "half a number", "no name", "what means nothing"],
)
def test_what_is_no_request_is_refused(message: bytes, said: str) -> None:
    with pytest.raises(StatusError, match=said):
        read(message)


def test_no_strings_are_kept_beyond_those_that_are_asked_for_and_limits_count() -> None:
    with pytest.raises(StatusError, match="'x': text 4 has 4 bytes; this server takes at most 3"):
        read(request(*TENSORS["strings"]), Limits(max_text_bytes=3))
    assert len(read(request(head("DT_STRING", 4), wire.blocks(8, STRINGS)), Limits(max_text_bytes=3))["x"]) == 4


def example(text: bytes) -> bytes:
    return protos.Example(features={"feature": {"text": {"bytes_list": {"value": [text]}}}}).SerializeToString()


EXAMPLES = [example(text) for text in STRINGS[:3000]]
INPUTS: dict[str, list[bytes]] = {
    "a list": [wire.block(1, wire.blocks(1, EXAMPLES))],
    "a list in two parts": [wire.block(1, wire.blocks(1, EXAMPLES[:9])), wire.block(1, wire.blocks(1, EXAMPLES[9:]))],
    "with a context": [wire.block(2, wire.blocks(1, EXAMPLES) + wire.blocks(2, [example(b"c"), example(b"d")]))],
    "one after the other": [
        wire.block(1, wire.blocks(1, EXAMPLES[:9])), wire.block(2, wire.block(2, example(b"c"))),
        wire.block(1, wire.blocks(1, EXAMPLES)),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", INPUTS)
def test_examples_are_read_as_protobuf_reads_them(name: str) -> None:
    for message in (
        SPEC + wire.block(2, b"".join(INPUTS[name])),
        SPEC + wire.blocks(2, INPUTS[name]),
    ):
        request: Any = protos.ClassificationRequest
        spec, found = large_requests.of_examples(request, message, Limits(max_batch_rows=3000), lambda: None)
        assert spec.model_spec.name == "sample"
        theirs = examples.serialized(request.FromString(message).input)
        assert [*map(protos.Example.FromString, found)] == [*map(protos.Example.FromString, theirs)]
        with pytest.raises(StatusError, match="has 3000 or more rows; this server takes at most 2999"):
            large_requests.of_examples(request, message, Limits(max_batch_rows=2999), lambda: None)
        with pytest.raises(StatusError, match="has 4 bytes; this server takes at most 3"):
            large_requests.of_examples(request, message, Limits(max_text_bytes=3), lambda: None)
