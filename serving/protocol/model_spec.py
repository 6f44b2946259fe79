"""The API's names; and which model a message asks for, or answers of, found without reading its tensors.

Parsed with messages that know of a model only: tensors stay the bytes they are, and what counts where a field is sent
twice is decided as the method itself will decide it.
"""

from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import Int64Value

from unroll.serving.protocol.text_protos import message

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"
PREDICTION = f"/{PREDICTION_SERVICE}/"
MULTI_INFERENCE = f"{PREDICTION}MultiInference"
METADATA = f"{PREDICTION}GetModelMetadata"
STATUS = f"/{MODEL_SERVICE}/GetModelStatus"
RELOAD = f"/{MODEL_SERVICE}/HandleReloadConfigRequest"
INFERENCE = tuple(f"{PREDICTION}{name}" for name in ("Predict", "Classify", "Regress", "MultiInference"))
DEFAULT_SIGNATURE = "serving_default"
PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"

_ModelSpec = message(
    "unroll.ModelSpec",
    {
        "name": (1, "string"),
        "version": (2, Int64Value),
        "signature_name": (3, "string"),
        "version_label": (4, "string"),
    },
)
# Field 1 of every message but these two is the model's: there it is the list of tasks or of results.
_First = message("unroll.First", {"model_spec": (1, _ModelSpec), "inputs": (2, "repeated bytes")})
_Tasks = message("unroll.Tasks", {"tasks": (1, "repeated bytes"), "inputs": (2, "repeated bytes")})
_Second = message("unroll.Second", {"model_spec": (2, _ModelSpec)})


def asked(path: str, request: bytes) -> tuple[list[Any], bool]:
    """What a request names.

    Args:
        path: of the method.
        request: its message.

    Returns:
        The ModelSpecs, one but for MultiInference's tasks, none where the message has none or is not one; and whether
        it holds inputs.
    """
    try:
        if path == MULTI_INFERENCE:
            tasks = _Tasks.FromString(request)
            return [_First.FromString(task).model_spec for task in tasks.tasks], bool(tasks.inputs)
        first = _First.FromString(request)
    except DecodeError:
        return [], False
    return [first.model_spec] if first.HasField("model_spec") else [], path in INFERENCE and bool(first.inputs)


def answered(path: str, response: bytes) -> Any:
    """The ModelSpec that an answer carries, of MultiInference the first result's; an empty one where it has none."""
    try:
        if path == MULTI_INFERENCE:
            results = _Tasks.FromString(response).tasks
            return _First.FromString(results[0] if results else b"").model_spec
        return (_First if path == METADATA else _Second).FromString(response).model_spec
    except DecodeError:
        return _ModelSpec()
