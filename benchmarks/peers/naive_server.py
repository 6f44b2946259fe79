"""A SavedModel behind gRPC as tutorials write it: a thread pool, one call of the TF2 signature a request.

python naive_server.py SAVED_MODEL PORT
"""

import sys
from concurrent import futures
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, directory: str) -> None:
        self.model = tf.saved_model.load(directory)
        self.answer = self.model.signatures["serving_default"]

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        for name, tensor in self.answer(**inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(tensor.numpy()))
        return response


if __name__ == "__main__":
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Prediction(sys.argv[1]), server)
    server.add_insecure_port(f"127.0.0.1:{sys.argv[2]}")
    server.start()
    server.wait_for_termination()
