"""What `strict_shapes` refuses, before an op sees it."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from unroll.serving.engine.inputs import predict_feeds
from unroll.serving.engine.session_engine import Signature, TensorSpec
from unroll.serving.protocol import protos, tensors
from unroll.serving.protocol.status import StatusError

FLOAT = np.dtype(np.float32)


def signature(**shapes: Any) -> Signature:
    inputs = {name: TensorSpec(f"{name}:0", FLOAT, shape) for name, shape in shapes.items()}
    return Signature("s", "tensorflow/serving/predict", inputs, {"y": TensorSpec("y:0", FLOAT, (None,))}, {})


def sent(**arrays: Any) -> Any:
    request = protos.PredictRequest()
    for name, array in arrays.items():
        request.inputs[name].MergeFromString(tensors.encode(np.asarray(array, FLOAT)))
    return request.inputs


@pytest.mark.parametrize(
    ("shapes", "arrays", "message"),
    [
        ({"a": (None, 2)}, {"a": [[1, 2, 3]]}, "Input 'a': expected shape [?, 2], received [1, 3]."),
        ({"a": (None,)}, {"a": 1}, "Input 'a': expected shape [?], received []."),
        ({"a": ()}, {"a": [1]}, "Input 'a': expected shape [], received [1]."),
        (
            {"a": (None,), "b": (None,)},
            {"a": [1, 2], "b": [1]},
            "Inputs must have the same number of rows. Received: a=2, b=1.",
        ),
    ],
)
def test_another_shape(shapes: Any, arrays: Any, message: str) -> None:
    asked = signature(**shapes)
    with pytest.raises(StatusError) as refused:
        predict_feeds(asked, sent(**arrays), strict_shapes=True)
    assert refused.value.message == message
    feeds = predict_feeds(asked, sent(**arrays))
    for read, array in zip(feeds, arrays.values(), strict=True):
        np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("shapes", [{"a": None}, {"a": (None, None)}, {"a": (2, None)}])
def test_a_shape_that_fits(shapes: Any) -> None:
    (read,) = predict_feeds(signature(**shapes), sent(a=[[1, 2], [3, 4]]), strict_shapes=True)
    np.testing.assert_array_equal(read, [[1, 2], [3, 4]])


def test_a_default_stands_for_any_number_of_rows_without_taking_their_memory() -> None:
    asked = signature(a=(None, 1), b=(None, 1 << 20))
    asked.defaults["b"] = np.ones((1, 1 << 20), FLOAT)
    tracemalloc.start()
    _, default = predict_feeds(asked, sent(a=np.zeros((5000, 1))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert default.shape == (5000, 1 << 20)
    assert peak < 1 << 20
