"""Answers that no message can hold, and those that barely fit."""

import tracemalloc
from typing import Any

import grpc
import numpy as np
import pytest

from unroll.serving.engine import answers
from unroll.serving.engine.session_engine import Signature, TensorSpec
from unroll.serving.protocol import protos
from unroll.serving.protocol.status import StatusError

FLOATS = np.broadcast_to(np.float32(1), (1 << 29, 2))  # 4 GiB that take four bytes
SAID = r"The outputs have \d+ bytes or more; one message holds at most 2147418111\. Send fewer rows a request, or ask "


@pytest.mark.parametrize(
    "arrays",
    [
        [FLOATS],
        [np.ones(3, np.float32), FLOATS],
        [np.broadcast_to(np.int64(1), 1 << 31)],  # a byte each, as varints
        [np.broadcast_to(np.float32(1), (1 << 28) + (1 << 27))] * 2,
    ],
)
@pytest.mark.parametrize("content", [False, True])
def test_outputs_beyond_what_a_message_holds_are_refused_before_they_are_written(arrays: Any, content: bool) -> None:
    names = [(position, f"y{position}") for position in range(len(arrays))]
    tracemalloc.start()
    try:
        with pytest.raises(StatusError, match=SAID) as refused:
            answers.predictions(names, arrays, content)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.slow
def test_texts_beyond_what_a_message_holds_are_refused() -> None:
    with pytest.raises(StatusError, match=SAID):
        answers.predictions([(0, "y")], [np.broadcast_to(np.array(b"x" * (1 << 20), object), 1 << 11)], False)


def test_large_outputs_are_written_with_little_memory_besides() -> None:
    array = np.arange(1 << 20)
    tracemalloc.start()
    data = answers.predictions([(0, "y")], [array], False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(data) + (8 << 20)
    read = protos.PredictResponse.FromString(data).outputs["y"]
    np.testing.assert_array_equal(read.int64_val, array)


def test_classes_and_scores_of_many_rows_are_written_row_by_row() -> None:
    rows, width = 500, 200
    spec = {
        name: TensorSpec(name, np.dtype(dtype), (None, None)) for name, dtype in (("classes", "O"), ("scores", "f"))
    }
    signature = Signature("s", "tensorflow/serving/classify", {}, spec, {})
    classes = np.full((rows, width), b"label", object)
    scores = np.arange(rows * width, dtype=np.float32).reshape(rows, width)
    tracemalloc.start()
    data = answers.EXAMPLE_TASKS["tensorflow/serving/classify"].write(signature, [classes, scores], rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(data)
    read = protos.ClassificationResult.FromString(data)
    assert len(read.classifications) == rows
    last = read.classifications[-1].classes[-1]
    assert (last.label, last.score) == ("label", rows * width - 1)
