"""A SavedModel as an MLflow pyfunc model: the plain way to put it behind `mlflow models serve`.

python mlflow_model.py SAVED_MODEL DIRECTORY
"""

import sys
from typing import Any

import mlflow.pyfunc
import tensorflow as tf


class SavedModel(mlflow.pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        self.model = tf.saved_model.load(context.artifacts["saved_model"])
        self.answer = self.model.signatures["serving_default"]
        self.dtypes = {name: spec.dtype for name, spec in self.answer.structured_input_signature[1].items()}

    def predict(self, context: Any, model_input: Any, params: Any = None) -> dict[str, Any]:
        answer = self.answer(**{name: tf.constant(model_input[name], dtype) for name, dtype in self.dtypes.items()})
        return {name: _plain(tensor) for name, tensor in answer.items()}


def _plain(tensor: tf.Tensor) -> Any:
    return tensor.numpy().astype(str) if tensor.dtype == tf.string else tensor.numpy()


mlflow.models.set_model(SavedModel())

if __name__ == "__main__":
    _, saved_model, packed = sys.argv
    mlflow.pyfunc.save_model(
        packed, python_model=__file__, artifacts={"saved_model": saved_model}, pip_requirements=["mlflow"]
    )
