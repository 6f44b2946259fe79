"""Requests that no client means, for a real server: structured ones, and valid ones with bytes changed.

Nothing may crash or hang it, and nothing may come back as INTERNAL or UNKNOWN. `benchmarks/fuzz.py` sends a million.
"""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    predict_pb2,
    regression_pb2,
)

PREDICTION = "/tensorflow.serving.PredictionService/"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
MODELS = {
    "sample": {"serving_default": ["text"], "classify": ["inputs"], "sums": ["a", "b"], "pick": ["index"]},
    "half_plus_two": {
        "serving_default": ["x"],
        "classify_x_to_y": ["inputs"],
        "classify_both": ["inputs"],
        "regress_x_to_y": ["inputs"],
        "regress_columns": ["inputs"],
        "sparse": ["x"],
        "number": ["text"],
    },
}
TASKS = ["tensorflow/serving/classify", "tensorflow/serving/regress", "tensorflow/serving/predict", "", "\0"]
NUMBERS = [0, 1, -1, 2, 3, 127, 128, 255, 256, 2**31 - 1, -(2**31), 2**32 - 1, 2**62, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.0, 1.0, float("nan"), float("inf"), -float("inf"), 1e38, 1e-45]
STRINGS = [b"", b"good", b"bad", b"1.5", b"x", b"\xff\xfe\x00", "\N{SNOWMAN}".encode(), b"%s" * 50, b"\xff\xd8\xff" * 9]
FIELDS = {
    "half_val": [0, 1, 2**15, -1], "float_val": FLOATS, "double_val": FLOATS, "string_val": STRINGS,
    "int_val": [0, 1, -1, 2**31 - 1, -(2**31)], "int64_val": [*range(-2, 4), 2**63 - 1, -(2**63)],
    "bool_val": [True, False], "uint32_val": [0, 1, 2**32 - 1], "uint64_val": [0, 1, 2**64 - 1],
    "scomplex_val": FLOATS, "dcomplex_val": FLOATS,
}  # fmt: skip
BAD = (
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAVAILABLE,
)


class Requests:
    """Draws requests.

    Args:
        rng: decides everything, so that a seed is a request.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def draw(self) -> tuple[str, bytes]:
        """A method's path, and a message for it."""
        kinds: list[Callable[[], tuple[str, Any]]] = [
            *[self.predict] * 4, self.classify, self.regress, self.multi_inference, self.metadata, self.status,
        ]  # fmt: skip
        path, request = self._rng.choice(kinds)()
        data = request.SerializeToString()
        return path, self.mutated(data) if self._rng.random() < 0.4 else data

    def predict(self) -> tuple[str, Any]:
        request = predict_pb2.PredictRequest()
        inputs = self._spec(request)
        if self._rng.random() < 0.1:
            inputs = [*inputs, self._word()]
        for name in inputs:
            if self._rng.random() < 0.95:
                request.inputs[name].CopyFrom(self._fitting(name) if self._rng.random() < 0.4 else self._tensor())
        if self._rng.random() < 0.2:
            names = ["score", "sum", "label", "y", self._word()]
            request.output_filter.extend(self._rng.choices(names, k=self._rng.randrange(1, 4)))
        return f"{PREDICTION}Predict", request

    def classify(self) -> tuple[str, Any]:
        request = classification_pb2.ClassificationRequest(input=self._input())
        self._spec(request)
        return f"{PREDICTION}Classify", request

    def regress(self) -> tuple[str, Any]:
        request = regression_pb2.RegressionRequest(input=self._input())
        self._spec(request)
        return f"{PREDICTION}Regress", request

    def multi_inference(self) -> tuple[str, Any]:
        request = inference_pb2.MultiInferenceRequest(input=self._input())
        for _ in range(self._rng.randrange(5)):
            self._spec(request.tasks.add(method_name=self._rng.choice(TASKS)))
        return f"{PREDICTION}MultiInference", request

    def metadata(self) -> tuple[str, Any]:
        request = get_model_metadata_pb2.GetModelMetadataRequest()
        request.metadata_field.extend(
            self._rng.choices(["signature_def", self._word()], [4, 1], k=self._rng.randrange(3))
        )
        self._spec(request)
        return f"{PREDICTION}GetModelMetadata", request

    def status(self) -> tuple[str, Any]:
        request = get_model_status_pb2.GetModelStatusRequest()
        self._spec(request)
        return STATUS, request

    def _spec(self, request: Any) -> list[str]:
        """Names a model and a signature, and returns that signature's inputs."""
        rng = self._rng
        model = rng.choice(list(MODELS))
        signature = rng.choice(list(MODELS[model]))
        inputs = MODELS[model][signature]
        if rng.random() < 0.03:
            return inputs
        request.model_spec.name = model if rng.random() < 0.97 else self._word()
        request.model_spec.signature_name = signature if rng.random() < 0.97 else self._word()
        if rng.random() < 0.1:
            request.model_spec.version.value = rng.choice([1, 1, 1, *NUMBERS])
        elif rng.random() < 0.03:
            request.model_spec.version_label = self._word()
        return inputs

    def _fitting(self, name: str) -> Any:
        rows = self._rng.choice([0, 1, 1, 2, 3, 5])
        kinds: dict[str, Any] = {
            "index": lambda: np.array(self._rng.choices(range(-1, 4), k=rows), np.int64),
            "a": lambda: np.array(self._rng.choices(FLOATS, k=2 * rows), np.float32).reshape(rows, 2),
            "b": lambda: np.array(self._rng.choices(FLOATS, k=rows), np.float32),
            "x": lambda: np.array(self._rng.choices(FLOATS, k=rows), np.float32).reshape(rows, 1),
        }
        texts = np.array(self._rng.choices(STRINGS, k=rows), object)
        return tf.make_tensor_proto(kinds[name]() if name in kinds else texts)

    def _tensor(self) -> Any:
        rng = self._rng
        tensor = predict_pb2.PredictRequest().inputs["x"]
        tensor.dtype = rng.choice([1, 3, 7, 9, rng.randrange(0, 32), rng.choice([101, 107, 120, 2**31 - 1])])
        for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3, 6, 70, 300]) if rng.random() < 0.9 else 0):
            tensor.tensor_shape.dim.add().size = (
                rng.choice([0, 1, 1, 2, 3, 4]) if rng.random() < 0.97 else rng.choice(NUMBERS)
            )
        if rng.random() < 0.03:
            tensor.tensor_shape.unknown_rank = True
        for field, values in FIELDS.items():
            if rng.random() < 0.25:
                getattr(tensor, field).extend(rng.choices(values, k=rng.randrange(1, 7)))
        if rng.random() < 0.3:
            tensor.tensor_content = rng.randbytes(rng.choice([1, 4, 8, 16, 24, rng.randrange(64)]))
        if rng.random() < 0.03:
            tensor.version_number = rng.randrange(-2, 3)
        return tensor

    def _input(self) -> Any:
        rng = self._rng
        asked = input_pb2.Input()
        if rng.random() < 0.1:
            return asked
        if rng.random() < 0.7:
            asked.example_list.SetInParent()
            examples = asked.example_list.examples
        else:
            examples = asked.example_list_with_context.examples
            self._fill(asked.example_list_with_context.context)
        for _ in range(rng.choice([0, 1, 1, 2, 5])):
            self._fill(examples.add())
        return asked

    def _fill(self, example: Any) -> None:
        rng = self._rng
        for _ in range(rng.randrange(4)):
            feature = example.features.feature[rng.choice(["x", "x2", "text", self._word()])]
            kind = rng.randrange(4)
            count = rng.choice([0, 1, 1, 1, 2])
            if kind == 0:
                feature.bytes_list.value.extend(rng.choices(STRINGS, k=count))
            elif kind == 1:
                feature.float_list.value.extend(rng.choices(FLOATS, k=count))
            elif kind == 2:
                feature.int64_list.value.extend(rng.choices(NUMBERS, k=count))

    def _word(self) -> str:
        return self._rng.choice(
            ["", "s", "__saved_model_init_op", "../etc", "\0", "%d%n", "\N{SNOWMAN}" * 3, "x" * 3000]
        )

    def mutated(self, data: bytes) -> bytes:
        """With a few bytes inserted, left out, changed or doubled."""
        rng = self._rng
        changed = bytearray(data)
        for _ in range(rng.choice([1, 1, 1, 2, 5])):
            at = rng.randrange(len(changed) + 1)
            kind = rng.randrange(5)
            if kind == 0:
                changed[at:at] = rng.randbytes(rng.randrange(1, 9))
            elif kind == 1:
                del changed[at : at + rng.randrange(1, 9)]
            elif kind == 2 and changed:
                changed[at % len(changed)] = rng.randrange(256)
            elif kind == 3 and changed:
                changed[at % len(changed)] ^= 1 << rng.randrange(8)
            elif kind == 4:
                changed[at:at] = changed[at : at + rng.randrange(1, 40)]
        return bytes(changed)


def run(
    channel: grpc.Channel, requests: int, seed: int = 0, together: int = 16, timeout: float = 60
) -> tuple[Counter[str], list[str]]:
    """Sends requests.

    Args:
        channel: to a server of `MODELS`.
        requests: how many.
        seed: of the first; each further request has the next.
        together: how many are under way at once.
        timeout: seconds for each answer.

    Returns:
        How many came back with each code, and a line for each that came back with one of `BAD`.
    """
    codes: Counter[str] = Counter()
    offenders: list[str] = []
    for start in range(0, requests, together):
        seeds = range(seed + start, seed + min(start + together, requests))
        drawn = [(one, *Requests(random.Random(one)).draw()) for one in seeds]
        calls = [channel.unary_unary(path).future(message, timeout=timeout) for _, path, message in drawn]
        for (one, path, message), call in zip(drawn, calls, strict=True):
            codes[call.code().name] += 1
            if call.code() in BAD:
                offenders.append(f"seed {one}: {path} {message!r}: {call.code().name} {call.details()}")
    return codes, offenders
