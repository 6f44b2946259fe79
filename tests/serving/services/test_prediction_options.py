"""What the options of PredictionService change, over a real SavedModel."""

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests.serving.dtype_models import export_counter
from tests.serving.running_versions import put, running
from unroll.serving.front.limits import Limits
from unroll.serving.protocol import protos, tensors
from unroll.serving.protocol.call import Call
from unroll.serving.protocol.status import StatusError
from unroll.serving.services.prediction_service import PredictionService
from unroll.serving.versions.model_config import ModelConfig

SERVICE = "/tensorflow.serving.PredictionService"


async def ask(base: Path, method: str, request: Any, **options: Any) -> bytes:
    async with running(ModelConfig(request.model_spec.name, base)) as versions:
        path = f"{SERVICE}/{method}"
        return await PredictionService(versions, **options).methods()[path](request.SerializeToString(), Call(path))


def predict(signature: str, model: str = "sample", **inputs: Any) -> Any:
    request = protos.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for alias, values in inputs.items():
        request.inputs[alias].MergeFromString(tensors.encode(tensors.from_python(values)))
    return request


def classify(*texts: bytes) -> Any:
    request = protos.ClassificationRequest()
    request.model_spec.name = "sample"
    request.model_spec.signature_name = "classify"
    for text in texts:
        request.input.example_list.examples.add().features.feature["text"].bytes_list.value.append(text)
    return request


@pytest.fixture(scope="module")
def base(exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("sample")
    put(base, 1, exports[1])
    return base


async def test_answers_in_tensor_content(base: Path) -> None:
    answer = await ask(base, "Predict", predict("serving_default", text=["good", "ugh"]), tensor_content=True)
    outputs = protos.PredictResponse.FromString(answer).outputs
    assert outputs["score"].tensor_content == np.array([4, 3], "f").tobytes()
    assert outputs["label"].tensor_content == b"\x08\x07positiveunknown"
    assert not outputs["score"].float_val
    assert not outputs["label"].string_val


@pytest.mark.parametrize(
    ("method", "request_", "options", "message"),
    [
        (
            "Predict",
            predict("pick", index=np.zeros((1, 1), np.int64)),
            {"strict_shapes": True},
            "Input 'index': expected shape [?], received [1, 1].",
        ),
        (
            "Predict",
            predict("serving_default", text=["good"] * 3),
            {"limits": Limits(max_batch_rows=2)},
            "Input 'text' has 3 rows; this server takes at most 2 a request (--max_request_rows). "
            "Send the rest in further requests.",
        ),
        (
            "Classify",
            classify(b"good", b"excellent"),
            {"limits": Limits(max_text_bytes=5)},
            "Input 'examples': text 1 has 9 bytes; this server takes at most 5 (--max_text_bytes). "
            "Shorten it, or send it in parts.",
        ),
        (
            "Classify",
            classify(b"good", b"bad"),
            {"limits": Limits(max_batch_rows=1)},
            "Input 'examples' has 2 rows; this server takes at most 1 a request (--max_request_rows). "
            "Send the rest in further requests.",
        ),
        (
            "Classify",
            protos.ClassificationRequest(model_spec={"name": "sample", "signature_name": "sums"}),
            {"check_method_names": True},
            "Expected classification signature method_name to be tensorflow/serving/classify. Was: "
            "tensorflow/serving/predict",
        ),
    ],
)
async def test_what_an_option_refuses(base: Path, method: str, request_: Any, options: Any, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        await ask(base, method, request_, **options)
    assert (refused.value.code, refused.value.message) == (grpc.StatusCode.INVALID_ARGUMENT, message)


async def test_only_what_has_rows_is_counted_by_them_and_what_costs_nothing_to_send(tmp_path: Path) -> None:
    export_counter(tmp_path / "1")
    limits = Limits(max_batch_rows=2)
    answer = await ask(tmp_path, "Predict", predict("total", "counter", terms=np.ones(3, "f")), limits=limits)
    assert list(protos.PredictResponse.FromString(answer).outputs["output"].float_val) == [3]
    with pytest.raises(StatusError, match="'terms' has 3 rows"):
        await ask(tmp_path, "Predict", predict("total", "counter", terms=np.ones((3, 0), "f")), limits=limits)
