"""A server made of TensorFlow Serving's own stubs, which keeps what it was sent."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import tensorflow  # noqa: F401  # its stubs below cannot be the first that is imported of it
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

Refusal = tuple[grpc.StatusCode, str]


class Recorder(prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer):
    """Answers all while `release` is set; `refusals` are what the next calls but GetModelMetadata's get instead."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.metadata: list[dict[str, Any]] = []
        self.deadlines: list[float] = []
        self.refusals: list[Refusal] = []
        self.state = 30  # AVAILABLE
        self.metadata_seconds = 0.0
        self.release = threading.Event()
        self.release.set()
        self.cancelled = threading.Event()

    def _see(self, request: Any, context: grpc.ServicerContext) -> None:
        self.seen.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.deadlines.append(context.time_remaining())
        if self.refusals:
            context.abort(*self.refusals.pop(0))
        context.add_callback(lambda: None if self.release.is_set() else self.cancelled.set())
        assert self.release.wait(30)

    def Predict(self, request, context):  # noqa: N802
        self._see(request, context)
        response = predict_pb2.PredictResponse()
        response.model_spec.version.value = 7
        for name, tensor in request.inputs.items():
            response.outputs[name].CopyFrom(tensor)
        return response

    def Classify(self, request, context):  # noqa: N802
        self._see(request, context)
        response = classification_pb2.ClassificationResponse()
        for example in request.input.example_list.examples:
            text = example.features.feature["text"].bytes_list.value[0].decode()
            response.result.classifications.add().classes.add(label=text, score=0.5)
        return response

    def Regress(self, request, context):  # noqa: N802
        self._see(request, context)
        response = regression_pb2.RegressionResponse()
        for example in request.input.example_list.examples:
            response.result.regressions.add(value=sum(example.features.feature["x"].float_list.value))
        return response

    def MultiInference(self, request, context):  # noqa: N802
        self._see(request, context)
        response = inference_pb2.MultiInferenceResponse()
        for task in request.tasks:
            result = response.results.add()
            if task.method_name == "tensorflow/serving/classify":
                result.classification_result.classifications.add().classes.add(label="a", score=0.25)
            else:
                assert task.method_name == "tensorflow/serving/regress"
                result.regression_result.regressions.add(value=2.0)
        return response

    def GetModelMetadata(self, request, context):  # noqa: N802
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        signatures = get_model_metadata_pb2.SignatureDefMap()
        version = request.model_spec.version.value
        signatures.signature_def["serving_default"].inputs["x"].dtype = 9 if version == 9 else 1  # int64, float
        time.sleep(self.metadata_seconds)
        response.metadata["signature_def"].Pack(signatures)
        return response

    def GetModelStatus(self, request, context):  # noqa: N802
        self._see(request, context)
        response = get_model_status_pb2.GetModelStatusResponse()
        response.model_version_status.add(version=7, state=self.state)
        return response

    def HandleReloadConfigRequest(self, request, context):  # noqa: N802
        self._see(request, context)
        response = model_management_pb2.ReloadConfigResponse()
        if request.config.model_config_list.config[0].name == "refused":
            response.status.error_code, response.status.error_message = 9, "not so"
        return response


@contextmanager
def recording(credentials: grpc.ServerCredentials | None = None, address: str = "127.0.0.1:0") -> Iterator[Any]:
    """A recorder, and the address where it is."""
    recorder = Recorder()
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(recorder, server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(recorder, server)
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
        server.start()
        yield recorder, address if address.startswith("unix:") else f"127.0.0.1:{port}"
        recorder.release.set()
        server.stop(0).wait()
