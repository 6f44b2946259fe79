"""A SavedModel behind LitServe with batching.

python litserve_server.py SAVED_MODEL PORT
"""

import os
import sys
from typing import Any

import litserve
import numpy as np


class SavedModel(litserve.LitAPI):
    def __init__(self, directory: str, **options: Any) -> None:
        super().__init__(**options)
        self.directory = directory

    def setup(self, device: str) -> None:
        import tensorflow as tf

        self.tf = tf
        self.model = tf.saved_model.load(self.directory)
        self.answer = self.model.signatures["serving_default"]
        self.dtypes = {name: spec.dtype for name, spec in self.answer.structured_input_signature[1].items()}

    def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        return request["inputs"]

    def batch(self, inputs: list[dict[str, Any]]) -> tuple[dict[str, Any], list[int]]:
        joined = {name: [row for rows in inputs for row in rows[name]] for name in self.dtypes}
        return joined, [len(next(iter(rows.values()))) for rows in inputs]

    def predict(self, batch: tuple[dict[str, Any], list[int]]) -> list[dict[str, Any]]:
        inputs, sizes = batch
        answer = self.answer(**{name: self.tf.constant(inputs[name], dtype) for name, dtype in self.dtypes.items()})
        ends = np.cumsum(sizes)[:-1]
        parts = {name: np.split(tensor.numpy(), ends) for name, tensor in answer.items()}
        return [{name: rows[number] for name, rows in parts.items()} for number in range(len(sizes))]

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return {
            name: (array.astype(str) if array.dtype == object else array).tolist() for name, array in output.items()
        }


if __name__ == "__main__":
    api = SavedModel(sys.argv[1], max_batch_size=64, batch_timeout=0.001)
    # Its documentation: as many workers as cores on a CPU; the fast queue beyond a hundred requests a second.
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=os.cpu_count(), fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
